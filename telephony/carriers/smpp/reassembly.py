"""Long SMS that people have sent: their parts are kept until all have come, in whatever order, however often, and joined.

What never comes whole is shown after a while as what there is of it. The parts of one message have its sender's number
of it, which comes again after 256 messages or 65,536; so what is joined stays only for as long as parts may come twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from telephony.carriers.base import InboundSms
from telephony.carriers.smpp import encoding
from telephony.engine import delivery_reports
from telephony.models import InboundPart, Trunk

WHOLE_WITHIN = (
    600  # seconds from the last part that came, after which a message is shown as what there is of it
)
TWICE_WITHIN = 86400  # seconds in which an SMSC may send a part again
MISSING = "[…]"  # in the place of parts that never came
SHOWN_AT_ONCE = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Part `number` of `total`, from 1; `octets` without the header."""

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
        """What all parts of one message have in common."""
        return self.sender, self.to, self.reference, self.total


@transaction.atomic
def store(alias: str, parts: Sequence[Part]) -> None:
    """Keep parts, and show the messages that have become whole, in one transaction. Raises DatabaseError."""
    trunk = _locked(alias)
    known = _known(trunk, parts)
    whole: list[list[InboundPart]] = []
    for part in parts:
        mine = known.setdefault(part.message, [])
        if any((one.number, bytes(one.octets)) == (part.number, part.octets) for one in mine):
            continue
        waiting = [one for one in mine if one.joined_at is None]
        if any(one.number == part.number for one in waiting):  # another message with the same number
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
        for shown in whole:
            for one in shown:
                one.joined_at = one.joined_at or timezone.now()
    _show(alias, whole)


@transaction.atomic
def show_incomplete(alias: str) -> int:
    """Show what has waited for its other parts too long, and forget parts that cannot come again; how many were shown."""
    if not InboundPart.objects.filter(trunk__alias=alias).exists():
        return 0
    trunk = _locked(alias)
    messages: dict[tuple[str, str, int, int], list[InboundPart]] = {}
    for row in InboundPart.objects.filter(trunk=trunk, joined_at=None).order_by("id")[:SHOWN_AT_ONCE]:
        messages.setdefault((row.sender, row.to, row.reference, row.total), []).append(row)
    oldest = _ago(WHOLE_WITHIN)
    shown = [rows for rows in messages.values() if max(row.created_at for row in rows) < oldest]
    _show(alias, shown)
    InboundPart.objects.filter(trunk=trunk, joined_at__lt=_ago(TWICE_WITHIN)).delete()
    return len(shown)


def _locked(alias: str) -> Trunk:
    """The trunk, once no other process joins parts of it: the two last parts may come over two connections at once."""
    trunk, _ = Trunk.objects.get_or_create(alias=alias)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('inbound parts'), %s)", [trunk.pk])
    return trunk


def _known(trunk: Trunk, parts: Sequence[Part]) -> dict[tuple[str, str, int, int], list[InboundPart]]:
    """What has come of the messages of these parts, in the order in which it came."""
    rows = InboundPart.objects.filter(
        trunk=trunk,
        sender__in={part.sender for part in parts},
        reference__in={part.reference for part in parts},
        created_at__gt=_ago(TWICE_WITHIN),
    ).order_by("id")
    known: dict[tuple[str, str, int, int], list[InboundPart]] = {}
    for row in rows:
        known.setdefault((row.sender, row.to, row.reference, row.total), []).append(row)
    return known


def _show(alias: str, messages: Sequence[Sequence[InboundPart]]) -> None:
    """Hand each message on as the one SMS that it is."""
    if not messages:
        return
    InboundPart.objects.filter(pk__in=[row.pk for rows in messages for row in rows]).update(
        joined_at=timezone.now()
    )
    delivery_reports.record(
        alias,
        [
            InboundSms(
                sender=rows[0].sender,
                to=rows[0].to,
                text=_text(rows),
                at=max(row.received_at for row in rows),
            )
            for rows in messages
        ],
    )


def _text(rows: Sequence[InboundPart]) -> str:
    """Their text: octets are joined before they are read, since a character may be cut in two."""
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
