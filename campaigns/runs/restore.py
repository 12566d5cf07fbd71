"""Pause all runs after a backup was restored, until an operator resumes them (`manage.py after_restore`)."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal

from django.db import transaction
from django.db.models import Count, Q, QuerySet

from campaigns.models import LIVE, PENDING, Recipient, Run, RunStatus, Service
from campaigns.runs import delivery_requests, run_statuses
from campaigns.runs.prices import RunPrices
from iris.errors import Conflict
from iris.locks import locked
from telephony.engine import lifecycle as deliveries
from telephony.engine import restore_hold
from telephony.engine.enqueue import DeliveryRequest, enqueue
from telephony.models import Channel, Delivery, DeliveryStatus, Purpose
from telephony.models.statuses import END, QUEUED

log = logging.getLogger(__name__)

# Shown to the owner. It also distinguishes these runs from runs that were paused for other reasons.
HELD = (
    "Held after a restore: this server's data come from a backup, and recipients may have been reached since it was made."
    " The operator of this server lets it go on, or you do."
)
LOCK = "after_restore"
LOCK_SECONDS = 60.0
CHUNK = 2000


@dataclass(frozen=True, slots=True)
class RunProgress:
    """A live run, and its progress at the time of the backup. `is_held` says that it was paused because of the restore."""

    run: Run
    is_held: bool
    ended: int
    under_way: int
    queued: int
    untouched: int


def hold_runs_if_restored() -> bool:
    """Pause all runs if a backup was restored. Return whether everything is held. Each tick calls this first."""
    if not restore_hold.is_held():
        return False
    if restore_hold.must_pause_runs():
        with locked(LOCK) as ours:
            if ours:
                _set_aside_all()
    return True


def hold_everything() -> None:
    """Hold everything and pause all runs, and return when that is done. Idempotent.

    If iris has not noticed a restore, the stored reason is that the operator asked for it.
    """
    hold = restore_hold.hold()
    with _locked():
        if hold is None or hold.since is None:
            restore_hold.hold_everything(reason=hold.reason if hold else restore_hold.BY_HAND)
        if restore_hold.must_pause_runs():
            _set_aside_all()


def _set_aside_all() -> None:
    under_way = Run.objects.filter(status__in=[RunStatus.RUNNING, *PENDING]).order_by("pk")
    for pk in under_way.values_list("pk", flat=True):
        if run_statuses.set_aside(pk, reason=HELD):
            run_statuses.reconcile(pk)
            log.warning("Run %d is held after a restore", pk)
    restore_hold.note_runs_paused()


def release(run_ids: Collection[int] | None) -> list[int]:
    """Release the restore hold and resume the held runs with these ids, or all held runs if None.

    Return the ids of the resumed runs.

    Raises Conflict, and changes nothing, if one of the runs was not paused because of a restore.
    """
    with _locked():
        hold = restore_hold.hold()
        if hold is not None and run_ids is not None:
            # The tick may not have paused the runs yet. Runs that are not released here must stay held.
            if hold.since is None:
                restore_hold.hold_everything(reason=hold.reason)
            if restore_hold.must_pause_runs():
                _set_aside_all()
        held = list(_held_runs().order_by("pk").values_list("pk", flat=True))
        if unknown := sorted(set(run_ids or ()) - set(held)):
            raise Conflict(
                f"These runs are not held after a restore: {', '.join(map(str, unknown))}."
                " manage.py after_restore --show lists the held runs.",
                code="not_in_that_state",
            )
        resumed = [pk for pk in held if (run_ids is None or pk in run_ids) and run_statuses.resume(pk)]
        for pk in resumed:
            run_statuses.reconcile(pk)
        if hold is not None:
            restore_hold.release()
    return resumed


@contextmanager
def _locked() -> Iterator[None]:
    """Hold the lock of restores, so that no tick pauses runs that were just resumed. Raises Conflict after LOCK_SECONDS."""
    end = time.monotonic() + LOCK_SECONDS
    while True:
        with locked(LOCK) as ours:
            if ours:
                yield
                return
        if time.monotonic() > end:
            raise Conflict(
                "Another process is holding or releasing runs. Try again.", code="not_in_that_state"
            )
        time.sleep(0.05)


def _held_runs() -> QuerySet[Run]:
    return Run.objects.filter(status=RunStatus.PAUSED, pause_reason=HELD)


def live_runs() -> list[RunProgress]:
    """Return the progress of all live runs, in the order of their ids."""
    runs = list(Run.objects.filter(status__in=LIVE).select_related("campaign").order_by("pk"))
    counts = {
        row["batch"]: row
        for row in Delivery.objects.filter(purpose=Purpose.CAMPAIGN, batch__in=[run.pk for run in runs])
        .values("batch")
        .annotate(
            ended=Count("pk", filter=Q(status__gte=END)),
            under_way=Count("pk", filter=Q(status__gt=QUEUED, status__lt=END)),
            queued=Count("pk", filter=Q(status=QUEUED)),
        )
    }
    return [
        RunProgress(
            run=run,
            is_held=run.status == RunStatus.PAUSED and run.pause_reason == HELD,
            untouched=run.untouched().count() if run.filled_at is None else 0,
            ended=counts[run.pk]["ended"] if run.pk in counts else 0,
            under_way=counts[run.pk]["under_way"] if run.pk in counts else 0,
            queued=counts[run.pk]["queued"] if run.pk in counts else 0,
        )
        for run in runs
    ]


def mark_reached(numbers: Collection[str]) -> int:
    """Record that recipients of held runs with these numbers (E.164) were reached after the backup was made.

    Their deliveries end as completed, and the runs skip them when they resume. An SMS costs its normal price and a call one
    pulse. In a run with a spending limit below its upper bound they cost nothing. Idempotent. Returns how many deliveries
    ended.
    """
    wanted = frozenset(numbers)
    with _locked():
        return sum(
            _mark_reached(run, wanted)
            for run in _held_runs().select_related("campaign", "hold").order_by("pk")
        )


def _mark_reached(run: Run, numbers: frozenset[str]) -> int:
    unfinished = Delivery.objects.filter(purpose=Purpose.CAMPAIGN, batch=run.pk, status__lt=END)
    ended = _complete([pk for pk, to in unfinished.values_list("pk", "to") if to in numbers])
    last = run.cursor
    while chunk := list(run.untouched().filter(pk__gt=last)[:CHUNK].values_list("pk", "to")):
        last = chunk[-1][0]
        reached = [pk for pk, to in chunk if to in numbers]
        if reached:
            with transaction.atomic():
                ended += _complete(enqueue(requests=_reached_requests(run, reached)))
    return ended


def _reached_requests(run: Run, recipients: Sequence[int]) -> list[DeliveryRequest]:
    """Return the deliveries of recipients who were already reached. No speech is synthesized, because nothing is played."""
    addressees = delivery_requests.addressees(Recipient.objects.filter(pk__in=recipients).order_by("pk"))
    service = Service(run.campaign.service)
    prices, terms = RunPrices(run), delivery_requests.Terms.of(run, Channel.CALL)
    calls = [terms.request(one, "", None, prices.call_bound(one.to)) for one in addressees if service.calls]
    requests = calls + (delivery_requests.sms_requests(run, addressees) if service.texts else [])
    return [replace(request, credit_limit=Decimal(0)) for request in requests] if run.is_capped else requests


def _complete(ids: Sequence[int]) -> int:
    text = "Reached after the backup was made, says the operator"
    return sum(
        deliveries.apply_reports(
            [
                deliveries.Report(id=pk, status=DeliveryStatus.COMPLETED, at=None, text=text)
                for pk in ids[start : start + CHUNK]
            ]
        )
        for start in range(0, len(ids), CHUNK)
    )
