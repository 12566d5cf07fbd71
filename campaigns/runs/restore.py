"""What a restored backup means for runs: they are paused, and go on when an operator says so (`manage.py after_restore`)."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal

from django.db import transaction
from django.db.models import Count, Q, QuerySet

from campaigns.models import LIVE, Recipient, Run, RunStatus, Service
from campaigns.runs import lifecycle, rendering
from iris.errors import Conflict
from telephony.engine import lifecycle as deliveries
from telephony.engine import restore_hold
from telephony.engine.enqueue import DeliveryRequest, enqueue
from telephony.engine.locks import locked
from telephony.models import Channel, Delivery, DeliveryStatus, Purpose
from telephony.models.statuses import END, QUEUED

log = logging.getLogger(__name__)

# For the owner; it also tells these runs from others that are paused.
HELD = (
    "Held after a restore: this server's data come from a backup, and recipients may have been reached since it was made."
    " The operator of this server lets it go on, or you do."
)
LOCK = "after_restore"
LOCK_SECONDS = 60.0
CHUNK = 2000


@dataclass(frozen=True, slots=True)
class Waiting:
    """A live run, and how far it was at the time of the backup. `is_held`: it was paused because of the restore."""

    run: Run
    is_held: bool
    ended: int
    under_way: int
    queued: int
    untouched: int


def look_after() -> bool:
    """Called by each tick before anything else: pause what was under way at the time of a backup; whether all is held."""
    if not restore_hold.is_held():
        return False
    if restore_hold.must_pause_runs():
        with locked(LOCK) as ours:
            if ours:
                _set_aside_all()
    return True


def hold_everything() -> None:
    """Hold everything back, if it is not, and pause all runs; returns when that is done.

    Without a sign that a backup was restored, it is because the operator says so.
    """
    found = restore_hold.hold()
    with _alone():
        if found is None or found.since is None:
            restore_hold.hold_everything(reason=found.reason if found else restore_hold.BY_HAND)
        if restore_hold.must_pause_runs():
            _set_aside_all()


def _set_aside_all() -> None:
    under_way = Run.objects.filter(status__in=[RunStatus.RUNNING, RunStatus.SCHEDULED]).order_by("pk")
    for pk in under_way.values_list("pk", flat=True):
        if lifecycle.set_aside(pk, reason=HELD):
            lifecycle.settle(pk)
            log.warning("Run %d is held after a restore", pk)
    restore_hold.note_runs_paused()


def release(run_ids: Collection[int] | None) -> list[int]:
    """Let everything leave again, and these of the paused runs go on, all if None; which ones went on.

    Raises Conflict, and changes nothing, when one of them was not paused because of a restore.
    """
    with _alone():
        found = restore_hold.hold()
        if found is not None and run_ids is not None:
            # The other runs must not go on with these.
            if found.since is None:
                restore_hold.hold_everything(reason=found.reason)
            if restore_hold.must_pause_runs():
                _set_aside_all()
        held = list(_held().order_by("pk").values_list("pk", flat=True))
        if unknown := sorted(set(run_ids or ()) - set(held)):
            raise Conflict(
                f"These runs are not held after a restore: {', '.join(map(str, unknown))}."
                " manage.py after_restore --show has the numbers of those that are.",
                code="not_in_that_state",
            )
        resumed = [pk for pk in held if (run_ids is None or pk in run_ids) and lifecycle.resume(pk)]
        for pk in resumed:
            lifecycle.settle(pk)
        if found is not None:
            restore_hold.release()
    return resumed


@contextmanager
def _alone() -> Iterator[None]:
    """A tick that is pausing runs must not pause what was just let go."""
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


def _held() -> QuerySet[Run]:
    return Run.objects.filter(status=RunStatus.PAUSED, pause_reason=HELD)


def waiting() -> list[Waiting]:
    """All live runs, by id."""
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
        Waiting(
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
    """Recipients of held runs with these numbers (E.164) were reached after the backup was made; how many deliveries ended.

    Each counts as completed, and an SMS costs what it costs, a call one pulse; where a spending limit leaves less than
    everybody can cost, they cost nothing. The runs pass them over when they go on. Done again, it changes nothing.
    """
    wanted = frozenset(numbers)
    with _alone():
        return sum(_mark(run, wanted) for run in _held().select_related("campaign", "hold").order_by("pk"))


def _mark(run: Run, numbers: frozenset[str]) -> int:
    unfinished = Delivery.objects.filter(purpose=Purpose.CAMPAIGN, batch=run.pk, status__lt=END)
    ended = _end([pk for pk, to in unfinished.values_list("pk", "to") if to in numbers])
    last = run.cursor
    while chunk := list(run.untouched().filter(pk__gt=last)[:CHUNK].values_list("pk", "to")):
        last = chunk[-1][0]
        reached = [pk for pk, to in chunk if to in numbers]
        if reached:
            with transaction.atomic():
                ended += _end(enqueue(requests=_orders(run, reached)))
    return ended


def _orders(run: Run, recipients: Sequence[int]) -> list[DeliveryRequest]:
    """What these recipients had: nothing is spoken for it, since nothing is said any more."""
    found = rendering.addressees(Recipient.objects.filter(pk__in=recipients).order_by("pk"))
    service = Service(run.campaign.service)
    calls = [
        rendering.order(run, Channel.CALL, one, "", None, run.call_limit) for one in found if service.calls
    ]
    orders = calls + (rendering.sms_orders(run, found) if service.texts else [])
    return [replace(order, credit_limit=Decimal(0)) for order in orders] if run.is_capped else orders


def _end(ids: Sequence[int]) -> int:
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
