"""Queue deliveries. Campaigns and OTPs request calls and SMS here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import connection

from telephony import caller_id
from telephony.call_scripts import Script, dump
from telephony.engine import routing, trunk_queues
from telephony.models import Cause, Channel, Purpose
from telephony.models.statuses import QUEUED
from telephony.senders.choosing import SenderChoice, no_sender
from telephony.unnest import rowset


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryRequest:
    """A request for one call or one SMS. `credit_limit` is its price if the whole message is delivered.

    A call costs `pulse_credits` for each started pulse of `pulse_seconds`. If these are None, the settings at the end of the
    call apply. A request with the cause TOO_LONG or NO_PRICE is never submitted, and its delivery fails with that cause.
    `enqueue` chooses the sender of an SMS.

    It is submitted between `not_before` and `not_after`: its calling hours. None means now, and without an end.
    `tries_reserved` is how many further tries may cost as much again. The hold must cover them, too.
    With `past_opt_outs`, it also reaches a recipient who has opted out.
    """

    owner_id: int
    channel: Channel
    to: str
    purpose: Purpose
    batch: int
    item: int
    priority: int
    text: str = ""
    audio_id: int | None = None
    caller: str = ""
    hold_id: int | None = None
    credit_limit: Decimal = Decimal(0)
    pulse_credits: Decimal | None = None
    pulse_seconds: int | None = None
    useful_until: datetime | None = None
    script: Script = ()
    cause: Cause = Cause.NONE
    not_before: datetime | None = None
    not_after: datetime | None = None
    tries_reserved: int = 0
    past_opt_outs: bool = False


def enqueue(*, requests: Sequence[DeliveryRequest], needs_senders: bool = False) -> list[int]:
    """Insert queued deliveries in one statement; return their ids.

    A delivery that exists already does not change, and its id is not returned. An SMS whose trunk needs an approved sender,
    but whose owner has none, will fail with the cause NO_SENDER. With `needs_senders`, nothing is queued then, and NoSender
    is raised. Raises Unavailable if no trunk serves a channel.
    """
    if not requests:
        return []
    approved = _approved_senders(requests)
    trunks = routing.choose_trunks(
        [(request.owner_id, request.channel, request.to) for request in requests], senders=approved
    )
    callers = caller_id.showable_callers(
        [
            (one.owner_id, one.channel, one.caller, alias)
            for one, (_, alias) in zip(requests, trunks, strict=True)
        ]
    )
    senders = [
        approved.pick(one.owner_id, alias, one.to)
        if approved is not None and one.channel is Channel.SMS and one.to
        else ""
        for one, (_, alias) in zip(requests, trunks, strict=True)
    ]
    if needs_senders and None in senders:
        raise no_sender([one.to for one, sender in zip(requests, senders, strict=True) if sender is None])
    rows, parameters = rowset(
        "o",
        {
            "item": ("bigint", [request.item for request in requests]),
            "owner_id": ("bigint", [request.owner_id for request in requests]),
            "trunk_id": ("bigint", [trunk_id for trunk_id, _ in trunks]),
            "purpose": ("text", [request.purpose.value for request in requests]),
            "batch": ("bigint", [request.batch for request in requests]),
            "priority": ("smallint", [request.priority for request in requests]),
            "channel": ("text", [request.channel.value for request in requests]),
            "to": ("text", [request.to for request in requests]),
            "caller": ("text", callers),
            "sender": ("text", [sender or "" for sender in senders]),
            "text": ("text", [request.text for request in requests]),
            "audio_id": ("bigint", [request.audio_id for request in requests]),
            "hold_id": ("bigint", [request.hold_id for request in requests]),
            "credit_limit": ("numeric", [request.credit_limit for request in requests]),
            "pulse_credits": ("numeric", [request.pulse_credits for request in requests]),
            "pulse_seconds": ("integer", [request.pulse_seconds for request in requests]),
            "useful_until": ("timestamptz", [request.useful_until for request in requests]),
            "script": ("jsonb", [dump(request.script) for request in requests]),
            "cause": (
                "text",
                [
                    (Cause.NO_SENDER if sender is None and not one.cause else one.cause).value
                    for one, sender in zip(requests, senders, strict=True)
                ],
            ),
            "not_after": ("timestamptz", [request.not_after for request in requests]),
            "tries_reserved": ("smallint", [request.tries_reserved for request in requests]),
            "past_opt_outs": ("bool", [request.past_opt_outs for request in requests]),
            "begins": ("timestamptz", [request.not_before for request in requests]),
        },
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""INSERT INTO telephony_delivery
                    (item, owner_id, trunk_id, purpose, batch, priority, channel, "to", caller, sender, text,
                     audio_id, hold_id, credit_limit, pulse_credits, pulse_seconds, useful_until, script, cause, not_after,
                     tries_reserved, past_opt_outs, not_before, status, carrier_text, ref, attempts, stopped, credits)
                SELECT item, owner_id, trunk_id, purpose, batch, priority, channel, "to", caller, sender, text,
                       audio_id, hold_id, credit_limit, pulse_credits, pulse_seconds, useful_until, script, cause, not_after,
                       tries_reserved, past_opt_outs, coalesce(begins, statement_timestamp()), {QUEUED}, '', '', 0, false, 0
                  FROM {rows}
                ON CONFLICT DO NOTHING RETURNING id""",
            parameters,
        )
        ids = [row[0] for row in cursor.fetchall()]
    for _, alias in sorted(set(trunks)):
        trunk_queues.wake(alias)
    return ids


def _approved_senders(requests: Sequence[DeliveryRequest]) -> SenderChoice | None:
    """Read the approved senders of the accounts that request SMS, with one query; None if these requests have no SMS.

    Numbers that cannot exist do not count.
    """
    owners = {request.owner_id for request in requests if request.channel is Channel.SMS and request.to}
    return SenderChoice(owners, locked=True) if owners else None
