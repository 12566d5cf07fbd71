"""Join the parts of long SMS that people send to us, in whatever order and however often the parts come.

If a part does not come in time, the message is stored without that part. All parts of a message have the sender's reference
number, which is used again after 256 or 65,536 messages. So joined parts are kept only for as long as duplicates of them may
come.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from telephony.carriers.base import InboundSms, Store
from telephony.carriers.smpp import encoding
from telephony.models import InboundPart, Trunk

# Seconds without a new part, after which a message is stored without the missing parts.
INCOMPLETE_AFTER = 600
DUPLICATE_WITHIN = 86400  # seconds in which an SMSC may send a part again
MISSING = "[…]"  # stands for parts that never came
MAX_PARTS_AT_ONCE = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Hold part `number` of `total`, counted from 1. `octets` are without the user data header."""

    sender: str = field(repr=False)
    to: str = field(repr=False)
    reference: int
    total: int
    number: int
    coding: int
    octets: bytes = field(repr=False)
    at: datetime

    @property
    def message(self) -> tuple[str, str, int, int]:
        """Return the values that all parts of one message have in common."""
        return self.sender, self.to, self.reference, self.total


@transaction.atomic
def keep(alias: str, parts: Sequence[Part], *, store: Store) -> None:
    """Keep parts, and give complete messages to `store`, in one transaction. Raises DatabaseError."""
    trunk = _locked(alias)
    known = _known(trunk, parts)
    whole: list[list[InboundPart]] = []
    for part in parts:
        mine = known.setdefault(part.message, [])
        if any((one.number, bytes(one.octets)) == (part.number, part.octets) for one in mine):
            continue
        waiting = [one for one in mine if one.joined_at is None]
        if any(one.number == part.number for one in waiting):  # another message with the same reference
            whole.append(waiting)
            waiting = []
        row = InboundPart(
            trunk=trunk,
            sender=part.sender,
            to=part.to,
            reference=part.reference,
            total=part.total,
            number=part.number,
            coding=part.coding,
            octets=part.octets,
            received_at=part.at,
        )
        row.save()
        mine.append(row)
        waiting.append(row)
        if len(waiting) == part.total:
            whole.append(waiting)
        for rows in whole:
            for one in rows:
                one.joined_at = one.joined_at or timezone.now()
    _hand_on(whole, store)


@transaction.atomic
def hand_on_incomplete(alias: str, *, store: Store) -> int:
    """Store messages whose missing parts have not come in time, and delete old parts. Return the number of messages.

    In one transaction.
    """
    if not InboundPart.objects.filter(trunk__alias=alias).exists():
        return 0
    trunk = _locked(alias)
    messages: dict[tuple[str, str, int, int], list[InboundPart]] = {}
    for row in InboundPart.objects.filter(trunk=trunk, joined_at=None).order_by("id")[:MAX_PARTS_AT_ONCE]:
        messages.setdefault((row.sender, row.to, row.reference, row.total), []).append(row)
    oldest = _ago(INCOMPLETE_AFTER)
    incomplete = [rows for rows in messages.values() if max(row.created_at for row in rows) < oldest]
    _hand_on(incomplete, store)
    InboundPart.objects.filter(trunk=trunk, joined_at__lt=_ago(DUPLICATE_WITHIN)).delete()
    return len(incomplete)


def _locked(alias: str) -> Trunk:
    """Lock a trunk's parts: the last two parts of a message may come over two connections at once."""
    trunk, _ = Trunk.objects.get_or_create(alias=alias)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('inbound parts'), %s)", [trunk.pk])
    return trunk


def _known(trunk: Trunk, parts: Sequence[Part]) -> dict[tuple[str, str, int, int], list[InboundPart]]:
    """Find the stored parts of the same messages, grouped by message, in the order of arrival."""
    rows = InboundPart.objects.filter(
        trunk=trunk,
        sender__in={part.sender for part in parts},
        reference__in={part.reference for part in parts},
        created_at__gt=_ago(DUPLICATE_WITHIN),
    ).order_by("id")
    known: dict[tuple[str, str, int, int], list[InboundPart]] = {}
    for row in rows:
        known.setdefault((row.sender, row.to, row.reference, row.total), []).append(row)
    return known


def _hand_on(messages: Sequence[Sequence[InboundPart]], store: Store) -> None:
    """Give each message to `store` as one SMS."""
    if not messages:
        return
    InboundPart.objects.filter(pk__in=[row.pk for rows in messages for row in rows]).update(
        joined_at=timezone.now()
    )
    store(
        [
            InboundSms(
                sender=rows[0].sender,
                to=rows[0].to,
                text=_text(rows),
                at=max(row.received_at for row in rows),
            )
            for rows in messages
        ]
    )


def _text(rows: Sequence[InboundPart]) -> str:
    """Decode the text of a message. Octets are joined first, since two parts may share a character."""
    by_number = {row.number: row for row in rows}
    pieces: list[str] = []
    octets, coding = b"", rows[0].coding
    for number in range(1, rows[0].total + 1):
        row = by_number.get(number)
        if row is not None and (row.coding == coding or not octets):
            octets, coding = octets + bytes(row.octets), row.coding
            continue
        pieces.append(encoding.decode(octets, data_coding=coding, esm_class=0))
        octets = b""
        if row is not None:
            octets, coding = bytes(row.octets), row.coding
        elif not pieces or pieces[-1] != MISSING:
            pieces.append(MISSING)
    pieces.append(encoding.decode(octets, data_coding=coding, esm_class=0))
    return "".join(pieces)


def _ago(seconds: float) -> datetime:
    return timezone.now() - timedelta(seconds=seconds)
