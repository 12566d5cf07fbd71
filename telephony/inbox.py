"""Store each inbound SMS with the account whose message it answers, and apply STOP and START. List what was received."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zlib import crc32

from django.db import connection, transaction
from django.db.models import QuerySet

from accounts.models import Account
from iris.storable import storable
from telephony import optouts
from telephony.carriers.base import InboundSms
from telephony.models import Delivery, InboundMessage, OptOut, OptOutWay, PhoneNumber, Purpose, Trunk
from telephony.numbering import to_e164
from telephony.optouts.keywords import NO_KEYWORDS, OwnKeywords
from telephony.webhook_events import tell_received

log = logging.getLogger(__name__)

MAX_MESSAGES = 100  # of each side, in a conversation


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One message of a conversation: received from the phone number, or sent to it."""

    at: datetime
    received: InboundMessage | None = None
    sent: Delivery | None = None


def latest(account: Account, *, before: int | None = None) -> QuerySet[InboundMessage]:
    """Return the SMS that were received for an account, newest first; with `before`, those with smaller ids."""
    rows = InboundMessage.objects.filter(owner=account).order_by("-pk")
    return rows if before is None else rows.filter(pk__lt=before)


def conversation(account: Account, number: str) -> list[Exchange]:
    """Return the latest messages between an account and a number, oldest first. OTPs are left out. Takes two queries."""
    received = latest(account).filter(sender=number)[:MAX_MESSAGES]
    sent = Delivery.objects.filter(to=number, owner=account).exclude(purpose=Purpose.OTP)
    both = [Exchange(at=one.received_at, received=one) for one in received]
    both += [Exchange(at=one.created_at, sent=one) for one in sent.order_by("-pk")[:MAX_MESSAGES]]
    return sorted(both, key=lambda one: one.at)


def opt_out_of(account: Account, number: str) -> OptOut | None:
    """Return the entry of a number in the account's opt-out list, or None."""
    return OptOut.objects.filter(owner=account, number=number).first()


@transaction.atomic
def receive(alias: str, messages: Sequence[InboundSms], *, owner_id: int | None = None) -> None:
    """Store the inbound SMS of a trunk and apply their keywords, in order of arrival. Repeated ones change nothing.

    `owner_id` is the account that they answer, if that is known. Otherwise it is found by their numbers.
    """
    trunk, _ = Trunk.objects.get_or_create(alias=alias)
    messages = _without_repeats(trunk, [_without_unstorable(message) for message in messages])
    owners = _find_owners(trunk, messages) if owner_id is None else [owner_id for _ in messages]
    stored = InboundMessage.objects.bulk_create(
        InboundMessage(
            trunk=trunk,
            owner_id=owner,
            sender=message.sender,
            to=message.to,
            text=message.text,
            received_at=message.at,
            ref=message.ref,
        )
        for message, owner in zip(messages, owners, strict=True)
    )
    tell_received([message.pk for message in stored if message.owner_id is not None])
    _apply_keywords(alias, stored)


def _apply_keywords(alias: str, messages: Sequence[InboundMessage]) -> None:
    """Opt the senders of STOP out, and those of START in again. The last keyword of a sender counts."""
    own = _own_keywords({message.owner_id for message in messages if message.owner_id is not None})
    last: dict[tuple[int, str], tuple[optouts.Keyword, InboundMessage]] = {}
    for message in messages:
        keyword = optouts.keyword_in(message.text, own.get(message.owner_id or 0, NO_KEYWORDS))
        if keyword is None:
            continue
        if message.owner_id is None:
            log.warning(
                "…%s sent STOP or START to trunk %s, but no account has sent them a message",
                message.sender[-2:],
                alias,
            )
            continue
        last[message.owner_id, message.sender] = keyword, message
    optouts.add(
        optouts.NewOptOut(
            owner_id=owner,
            number=number,
            way=OptOutWay.KEYWORD,
            source=message.text,
            evidence={
                "inbox": message.pk,
                "to": message.to,
                "received_at": message.received_at.isoformat(),
            },
        )
        for (owner, number), (keyword, message) in last.items()
        if keyword is optouts.Keyword.STOP
    )
    optouts.remove(key for key, (keyword, _) in last.items() if keyword is optouts.Keyword.START)


def _own_keywords(owner_ids: set[int]) -> dict[int, OwnKeywords]:
    """Return the keywords that these accounts have added, by account."""
    rows = Account.objects.filter(pk__in=owner_ids, opt_out_words__isnull=False)
    return {pk: OwnKeywords.of(words) for pk, words in rows.values_list("pk", "opt_out_words")}


def _find_owners(trunk: Trunk, messages: Sequence[InboundSms]) -> list[int | None]:
    """Return the account that each message answers, or None.

    It is the owner of the number to which the message was sent, or else the account that last sent an SMS to its sender.
    """
    written = {form for message in messages for form in _spellings(message.to)}
    owner_of_number = {
        to_e164(number) or number: owner
        # The invented numbers of test twins receive no real SMS.
        for number, owner in PhoneNumber.objects.filter(
            number__in=written, owner__isnull=False, invented_for=None
        ).values_list("number", "owner")
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
        owner_of_number.get(to_e164(message.to) or message.to, owner_of_last.get(message.sender))
        for message in messages
    ]


def _without_repeats(trunk: Trunk, messages: Sequence[InboundSms]) -> list[InboundSms]:
    """Return the messages whose ids are not stored yet, each id once. Messages without an id are never repeats."""
    refs = {message.ref for message in messages if message.ref}
    known: set[str] = set()
    if refs:
        with connection.cursor() as cursor:
            # The same SMS may arrive twice at the same time. The second one waits here until the first one is stored.
            cursor.execute(
                "SELECT pg_advisory_xact_lock(%s, %s)", [crc32(b"inbox") - 2**31, trunk.pk % 2**31]
            )
        known = set(InboundMessage.objects.filter(trunk=trunk, ref__in=refs).values_list("ref", flat=True))
    fresh: list[InboundSms] = []
    for message in messages:
        if message.ref not in known:
            fresh.append(message)
            known |= {message.ref} - {""}
    return fresh


def _spellings(number: str) -> set[str]:
    """Return the forms in which the PhoneNumber table may contain this number."""
    whole = to_e164(number)
    if not whole:
        return {number}
    national = whole.removeprefix("+977")
    return {number, whole, whole.removeprefix("+"), national}


def _without_unstorable(message: InboundSms) -> InboundSms:
    """Truncate the fields to the length of their columns, and remove characters that PostgreSQL cannot store."""
    return InboundSms(
        sender=storable(to_e164(message.sender) or message.sender)[:32],
        to=storable(message.to)[:32],
        text=storable(message.text),
        at=message.at,
        ref=storable(message.ref)[:100],
    )
