"""Erase what accounts no longer keep: messages, recorded answers, recipients.

Each account chooses for how many days it keeps each of them (`accounts.account_settings`). Passes work in batches and
stop after some seconds; `Retention.marks` says where the next pass begins. Rows, statuses and costs stay.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.db import InterfaceError, OperationalError
from django.db.models import Exists, F, OuterRef, Q
from django.utils import timezone

from accounts.models import Account, Retention
from campaigns import people as campaigns
from campaigns.models import Campaign, Recipient, Run, Service
from otp import people as otps
from otp.models import Otp
from telephony import people as telephony
from telephony.models import FINAL, Delivery, InboundMessage, Purpose
from telephony.persons import ERASED

log = logging.getLogger(__name__)

BATCH = 500


class _OutOfTime(Exception):
    """The pass has used its time. The next one goes on."""


class _Pass:
    """One pass over the data of one account."""

    def __init__(self, account: Account, *, end: float) -> None:
        self.account = account
        self._state, _ = Retention.objects.get_or_create(account=account)
        self._end = end

    def mark(self, kind: str) -> Any:
        return self._state.marks.get(kind)

    def count(self, kind: str, number: int) -> None:
        """Count what was erased. The counts are those of the last day on which something was."""
        if number:
            now, before = timezone.now(), self._state.erased_at
            if before is None or timezone.localdate(before) != timezone.localdate(now):
                self._state.counts = {}
            self._state.counts[kind] = self._state.counts.get(kind, 0) + number
            self._state.erased_at = now
            self._state.save(update_fields=["counts", "erased_at"])
        if time.monotonic() >= self._end:
            raise _OutOfTime

    def reach(self, kind: str, mark: Any) -> None:
        """Note that everything of this kind is erased up to this mark."""
        self._state.marks[kind] = mark
        self._state.save(update_fields=["marks"])

    def end(self) -> None:
        self._state.passed_at = timezone.now()
        self._state.save(update_fields=["passed_at"])

    def since(self, kind: str) -> datetime:
        """Return the mark of a kind as a time."""
        return datetime.fromisoformat(self.mark(kind) or "1970-01-01T00:00:00+00:00")


def erase_expired(*, budget: float) -> bool:
    """Erase expired data for at most about `budget` seconds, of the accounts in turn. Return whether some may remain.

    Only one process at a time may call it.
    """
    end = time.monotonic() + budget
    some = Q(keep_messages_days__isnull=False) | Q(keep_recordings_days__isnull=False)
    keeping = Account.objects.filter(some | Q(keep_recipients_days__isnull=False))
    for account in keeping.order_by(F("retention__passed_at").asc(nulls_first=True), "pk"):
        one = _Pass(account, end=end)
        try:
            _erase_of(one)
        except _OutOfTime:
            return True
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # the other accounts must still be served
            log.exception("What account %d no longer keeps cannot be erased", account.pk)
        finally:
            one.end()
    return False


def _erase_of(one: _Pass) -> None:
    now = timezone.now()
    kinds: list[tuple[int | None, Callable[[_Pass, datetime], None]]] = [
        (one.account.keep_recordings_days, _erase_recordings),
        (one.account.keep_messages_days, _erase_messages),
        (one.account.keep_messages_days, _erase_otps),
        (one.account.keep_messages_days, _erase_inbox),
        (one.account.keep_recipients_days, _erase_recipients),
        (one.account.keep_recipients_days, _erase_unused_lists),
    ]
    for days, erase in kinds:
        if days is not None:
            erase(one, now - timedelta(days=days))


def _runs(one: _Pass, kind: str, before: datetime) -> Iterator[Run]:
    """Yield the account's runs that ended before this time, and after the mark of this kind. Each of them moves the mark."""
    ended = Run.objects.filter(campaign__owner=one.account, finished_at__lt=before).select_related("campaign")
    ended = ended.order_by("finished_at", "pk")
    for run in ended.filter(finished_at__gte=one.since(kind)).iterator(chunk_size=100):
        yield run
        assert run.finished_at is not None
        one.reach(kind, run.finished_at.isoformat())


def _erase_messages(one: _Pass, before: datetime) -> None:
    for run in _runs(one, "messages", before):
        rows = Delivery.objects.filter(purpose=Purpose.CAMPAIGN, batch=run.pk, status__gte=FINAL)
        for ids in _batches(rows.exclude(to=ERASED), "item"):
            one.count("messages", telephony.erase_deliveries(ids))


def _erase_otps(one: _Pass, before: datetime) -> None:
    sent = Otp.objects.filter(owner=one.account, created_at__lt=before).order_by("pk")
    while rows := list(sent.filter(pk__gt=one.mark("otps") or 0).select_related("delivery")[:BATCH]):
        unfinished = [row.pk for row in rows if row.delivery is not None and row.delivery.status < FINAL]
        rows = [row for row in rows if not unfinished or row.pk < unfinished[0]]
        if not rows:
            return
        erased = otps.erase_rows(Otp.objects.filter(pk__in=[row.pk for row in rows]).exclude(number=ERASED))
        telephony.erase_deliveries([row.delivery_id for row in rows if row.delivery_id])
        one.reach("otps", rows[-1].pk)
        one.count("messages", erased)


def _erase_inbox(one: _Pass, before: datetime) -> None:
    received = InboundMessage.objects.filter(owner=one.account, received_at__lt=before).order_by("pk")
    while ids := list(received.filter(pk__gt=one.mark("inbox") or 0).values_list("pk", flat=True)[:BATCH]):
        rows = InboundMessage.objects.filter(pk__in=ids).exclude(sender=ERASED)
        erased = rows.update(sender=ERASED, text="")
        one.reach("inbox", ids[-1])
        one.count("messages", erased)


def _erase_recordings(one: _Pass, before: datetime) -> None:
    for run in _runs(one, "recordings", before):
        if run.campaign.service == Service.SURVEY:
            for ids in _batches(Recipient.objects.filter(campaign=run.campaign_id), "pk"):
                one.count("recordings", campaigns.erase_recordings(ids, run_id=run.pk))


def _erase_recipients(one: _Pass, before: datetime) -> None:
    for run in _runs(one, "recipients", before):
        later = Run.objects.filter(campaign=run.campaign_id, pk__gt=run.pk)
        if not later.exists():  # otherwise the latest run decides
            _erase_list(one, run.campaign_id)


def _erase_unused_lists(one: _Pass, before: datetime) -> None:
    """Erase the recipients of campaigns that were never begun, and not changed since this time."""
    unused = Campaign.objects.filter(owner=one.account, updated_at__lt=before).exclude(
        Exists(Run.objects.filter(campaign=OuterRef("pk")))
    )
    since = one.since("lists")
    for pk, changed in (
        unused.filter(updated_at__gte=since).order_by("updated_at").values_list("pk", "updated_at")
    ):
        _erase_list(one, pk)
        one.reach("lists", changed.isoformat())


def _erase_list(one: _Pass, campaign_id: int) -> None:
    for ids in _batches(Recipient.objects.filter(campaign=campaign_id).exclude(number=ERASED), "pk"):
        one.count("recipients", campaigns.erase_recipients(ids))


def _batches(rows: Any, key: str) -> Iterator[list[int]]:
    """Yield the ids of these rows in batches, in the order of the unique `key`."""
    last = 0
    while found := list(rows.filter(**{f"{key}__gt": last}).order_by(key).values_list(key, "pk")[:BATCH]):
        last = found[-1][0]
        yield [pk for _, pk in found]
