"""Read the reports of Aakash, and assign their rows to the SMS that iris has sent."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.utils import timezone

from telephony.carriers.base import CarrierEvent
from telephony.models import FINAL, Cause, Channel, Delivery, DeliveryStatus

NEPAL = ZoneInfo("Asia/Kathmandu")  # the times of a report have no zone
MATCH_WINDOW = timedelta(minutes=10)  # between the submission and the time in the row of the same SMS
MAX_OPEN = 5000

# Other words, such as queued, submitted and sent, are not final.
FINAL_STATUSES: Mapping[str, tuple[DeliveryStatus, Cause]] = {
    "delivered": (DeliveryStatus.COMPLETED, Cause.NONE),
    "failed": (DeliveryStatus.FAILED, Cause.REFUSED),
    "cancelled": (DeliveryStatus.FAILED, Cause.REFUSED),
    "canceled": (DeliveryStatus.FAILED, Cause.REFUSED),
    "aborted": (DeliveryStatus.FAILED, Cause.REFUSED),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a report. `id` is the part after the last underscore; `alike` is the number and the text."""

    id: str
    alike: tuple[str, str] = field(repr=False)
    status: str
    sent_at: datetime | None
    changed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Sent:
    """An SMS that iris has sent, or may have sent. `at` is when it was submitted."""

    key: str
    ref: str
    alike: tuple[str, str] = field(repr=False)
    at: datetime


class Page(NamedTuple):
    rows: list[Row]
    last_page: int


def page_of(body: Mapping[str, Any]) -> Page | None:
    """Return the rows of a page, in any of the documented shapes; None if it has none of these shapes."""
    data: Any = body.get("data")
    last_page: Any = 1
    if isinstance(data, dict):
        result = data.get("result", data)
        if not isinstance(result, dict):
            return None
        data, last_page = result.get("data"), result.get("last_page", 1)
    if not isinstance(data, list) or body.get("error") is True:
        return None
    rows = [row for each in data if isinstance(each, dict) and (row := _row(each)) is not None]
    return Page(rows, last_page if isinstance(last_page, int) else 1)


def assign(rows: Iterable[Row], sent: Sequence[Sent]) -> Iterator[tuple[Row, Sent]]:
    """Yield each row with its SMS, found by the id, or else by number, text and time. No SMS gets two rows."""
    by_ref = {bare(one.ref): one for one in sent if one.ref}
    by_words: dict[tuple[str, str], list[Sent]] = defaultdict(list)
    for each in sorted(sent, key=lambda one: one.at):
        by_words[each.alike].append(each)
    used: set[str] = set()
    for row in rows:
        one = by_ref.get(row.id) if row.id else None
        if one is None:
            one = next(
                (each for each in by_words[row.alike] if each.key not in used and _may_be(row, each)), None
            )
        if one is not None and one.key not in used:
            used.add(one.key)
            yield row, one


def event_of(row: Row, one: Sent) -> CarrierEvent | None:
    """Return the final report in a row; None if nothing is decided yet."""
    if row.status not in FINAL_STATUSES:
        return None
    status, cause = FINAL_STATUSES[row.status]
    at = min(row.changed_at or timezone.now(), timezone.now())
    return CarrierEvent(
        key=one.key, ref=row.id, status=status, cause=cause, at=max(at, one.at), text=row.status
    )


def sent_without_report(alias: str) -> list[Sent]:
    """Return the newest SMS of a trunk that have no final report."""
    unfinished = Delivery.objects.filter(status__gt=DeliveryStatus.SUBMITTING, status__lt=FINAL)
    return _sent(unfinished.filter(trunk__alias=alias).order_by("-id")[:MAX_OPEN])


def sent_by_key(alias: str, keys: Sequence[str]) -> list[Sent]:
    return _sent(Delivery.objects.filter(trunk__alias=alias, pk__in=[int(key) for key in keys]))


def taken_refs(alias: str, rows: Iterable[Row]) -> Collection[str]:
    """Return the ids in these rows that deliveries of the trunk have."""
    ids = [row.id for row in rows if row.id]
    return set(Delivery.objects.filter(trunk__alias=alias, ref__in=ids).values_list("ref", flat=True))


def bare(identity: str) -> str:
    """Return the part of an id after its prefix, which some responses have and others do not."""
    return identity.rpartition("_")[2][:100]


def _sent(deliveries: Any) -> list[Sent]:
    columns = deliveries.values_list("pk", "channel", "ref", "to", "text", "submitted_at", "claimed_at")
    return [
        Sent(str(pk), ref, _alike(to, text), claimed_at or submitted_at)
        for pk, channel, ref, to, text, submitted_at, claimed_at in columns
        if channel == Channel.SMS and (claimed_at or submitted_at)
    ]


def _row(row: Mapping[str, Any]) -> Row | None:
    def first(*names: str) -> str:
        return next((str(row[name]) for name in names if row.get(name) not in (None, "")), "")

    number, status = first("mobile", "recipient", "receiver"), first("status").strip().casefold()
    if not number or not status:
        return None
    return Row(
        id=bare(first("id", "message_id")),
        alike=_alike(number, first("text", "message")),
        status=status,
        sent_at=_time(first("sent_on", "created_at")),
        changed_at=_time(first("delivery_at", "updated_at")),
    )


def _may_be(row: Row, one: Sent) -> bool:
    if row.id and one.ref:  # both have ids, which differ
        return False
    return row.sent_at is not None and abs(row.sent_at - one.at) <= MATCH_WINDOW


def _alike(number: str, text: str) -> tuple[str, str]:
    digits = "".join(letter for letter in number if letter.isdigit())
    return digits[-10:], " ".join(text.split())


def _time(written: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(written)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=NEPAL)
