"""SMS that people send back: each is stored with the account whose message it answers, and STOP and START are obeyed."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from django.db import connection, transaction

from telephony import optouts
from telephony.carriers.base import InboundSms
from telephony.models import InboundMessage, PhoneNumber, Trunk
from telephony.numbering import normalise

log = logging.getLogger(__name__)


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
    wishes: dict[tuple[int, str], tuple[optouts.Wish, str]] = {}
    for message, owner in zip(messages, owners, strict=True):
        wish = optouts.wish_of(message.text)
        if wish is None:
            continue
        if owner is None:
            log.warning(
                "%s wants no more, or again, of %s, but nobody has sent them anything", message.sender, alias
            )
            continue
        wishes[owner, message.sender] = (wish, message.text)
    optouts.opt_out(
        {key: text for key, (wish, text) in wishes.items() if wish is optouts.Wish.STOP},
        back=[key for key, (wish, _) in wishes.items() if wish is optouts.Wish.START],
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
