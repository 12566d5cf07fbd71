"""What people send back, and who wants no more.

An answer of STOP or रोक्नुहोस् puts its sender on the opt-out list of the account whose message it answers, and START
or सुरु takes them off again. Dispatch honours the list for calls and SMS (`lifecycle.claim`), but not for OTPs, which
people ask for themselves.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from enum import Enum, auto

from django.db import connection, transaction

from telephony.carriers.base import InboundSms
from telephony.models import InboundMessage, OptOut, PhoneNumber, Trunk
from telephony.normal_form import normalised
from telephony.numbering import normalise

log = logging.getLogger(__name__)

# Longer messages are about something else, whatever their first word is.
MOST_WORDS = 3

_STOP = {
    "stop",
    "stopall",
    "unsubscribe",
    "optout",
    "रोक्नुहोस्",
    "रोक्नुहोस",
    "रोक्नुस्",
    "रोक्नुस",
    "रोक",
    "रोक्नु",
    "बन्द",
}
_START = {"start", "unstop", "subscribe", "सुरु", "सुरू", "शुरु", "शुरू"}
_INVISIBLE = re.compile("[\u200b-\u200d\ufeff]")
_NOT_IN_WORDS = re.compile(r"[^\w\u0900-\u097f]+")


class Wish(Enum):
    STOP = auto()
    START = auto()


def wish_of(text: str) -> Wish | None:
    """What somebody wants who answers this: the first word counts, in any case, of a message of three words at most."""
    text = _INVISIBLE.sub("", normalised(text)).casefold().replace("।", " ")
    words = _NOT_IN_WORDS.sub(" ", text).split()
    if not words or len(words) > MOST_WORDS:
        return None
    if words[0] in _STOP:
        return Wish.STOP
    if words[0] in _START:
        return Wish.START
    return None


@transaction.atomic
def receive(alias: str, messages: Sequence[InboundSms]) -> None:
    """Record what people have sent to a trunk, and do as they wish, in the order in which it came."""
    trunk, _ = Trunk.objects.get_or_create(alias=alias)
    messages = [_storable(message) for message in messages]
    owners = _owners(trunk, messages)
    InboundMessage.objects.bulk_create(
        InboundMessage(
            trunk=trunk,
            owner_id=owner,
            sender=message.sender,
            to=message.to,
            text=message.text,
            received_at=message.at,
        )
        for message, owner in zip(messages, owners, strict=True)
    )
    wishes: dict[tuple[int, str], tuple[Wish, str]] = {}
    for message, owner in zip(messages, owners, strict=True):
        wish = wish_of(message.text)
        if wish is None:
            continue
        if owner is None:
            log.warning(
                "%s wants no more, or again, of %s, but nobody has sent them anything", message.sender, alias
            )
            continue
        wishes[owner, message.sender] = (wish, message.text)
    opt_out(
        {key: text for key, (wish, text) in wishes.items() if wish is Wish.STOP},
        back=[key for key, (wish, _) in wishes.items() if wish is Wish.START],
    )


def opt_out(stopped: dict[tuple[int, str], str], *, back: Sequence[tuple[int, str]] = ()) -> None:
    """Put (account, number) on the list, each with what it comes from, and take others off it."""
    OptOut.objects.bulk_create(
        [
            OptOut(owner_id=owner, number=number, source=source[:200])
            for (owner, number), source in stopped.items()
        ],
        ignore_conflicts=True,
    )
    if back:
        with connection.cursor() as cursor:
            cursor.execute(
                """DELETE FROM telephony_optout o USING unnest(%s::bigint[], %s::text[]) AS e(owner_id, number)
                    WHERE o.owner_id = e.owner_id AND o.number = e.number""",
                [[owner for owner, _ in back], [number for _, number in back]],
            )


def _owners(trunk: Trunk, messages: Sequence[InboundSms]) -> list[int | None]:
    """Whose message each of them answers: the owner's of the number it was sent to, else of the last one to its sender."""
    written = {form for message in messages for form in _forms(message.to)}
    owner_of_number = {
        normalise(number) or number: owner
        for number, owner in PhoneNumber.objects.filter(number__in=written, owner__isnull=False).values_list(
            "number", "owner"
        )
    }
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT s.number, last.owner_id FROM unnest(%s::text[]) AS s(number), LATERAL (
                   SELECT owner_id FROM telephony_delivery d
                    WHERE d."to" = s.number AND d.trunk_id = %s ORDER BY id DESC LIMIT 1) last""",
            [sorted({message.sender for message in messages}), trunk.pk],
        )
        owner_of_last = dict(cursor.fetchall())
    return [
        owner_of_number.get(normalise(message.to) or message.to, owner_of_last.get(message.sender))
        for message in messages
    ]


def _forms(number: str) -> set[str]:
    """How a number of ours may have been written down."""
    whole = normalise(number)
    if not whole:
        return {number}
    national = whole.removeprefix("+977")
    return {number, whole, whole.removeprefix("+"), national}


def _storable(message: InboundSms) -> InboundSms:
    return InboundSms(
        sender=(normalise(message.sender) or message.sender)[:32].replace("\0", ""),
        to=message.to[:32].replace("\0", ""),
        text=message.text.replace("\0", ""),
        at=message.at,
    )
