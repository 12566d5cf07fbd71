"""Ordering deliveries: what campaigns and otp call to have somebody called or texted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import connection

from telephony.call_scripts import Script, dump
from telephony.engine import trunk_queues
from telephony.engine.routing import Router
from telephony.models import Channel, Purpose
from telephony.models.statuses import QUEUED
from telephony.unnest import rowset


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """One delivery to be made. `credit_limit` is what it costs when all of it is delivered."""

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
    useful_until: datetime | None = None
    script: Script = ()


def enqueue(*, orders: Sequence[Order]) -> list[int]:
    """Insert queued deliveries in one statement; their ids. One that exists already is left as it is."""
    if not orders:
        return []
    routers = {channel: Router(channel) for channel in {order.channel for order in orders}}
    trunks = [routers[order.channel].pick(order.to) for order in orders]
    rows, parameters = rowset(
        "o",
        {
            "item": ("bigint", [order.item for order in orders]),
            "owner_id": ("bigint", [order.owner_id for order in orders]),
            "trunk_id": ("bigint", trunks),
            "purpose": ("text", [order.purpose.value for order in orders]),
            "batch": ("bigint", [order.batch for order in orders]),
            "priority": ("smallint", [order.priority for order in orders]),
            "channel": ("text", [order.channel.value for order in orders]),
            "to": ("text", [order.to for order in orders]),
            "caller": ("text", [order.caller for order in orders]),
            "text": ("text", [order.text for order in orders]),
            "audio_id": ("bigint", [order.audio_id for order in orders]),
            "hold_id": ("bigint", [order.hold_id for order in orders]),
            "credit_limit": ("numeric", [order.credit_limit for order in orders]),
            "useful_until": ("timestamptz", [order.useful_until for order in orders]),
            "script": ("jsonb", [dump(order.script) for order in orders]),
        },
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""INSERT INTO telephony_delivery
                    (item, owner_id, trunk_id, purpose, batch, priority, channel, "to", caller, text, audio_id,
                     hold_id, credit_limit, useful_until, script,
                     status, cause, carrier_text, ref, attempts, stopped, credits)
                SELECT o.*, {QUEUED}, '', '', '', 0, false, 0 FROM {rows}
                ON CONFLICT DO NOTHING RETURNING id""",
            parameters,
        )
        ids = [row[0] for row in cursor.fetchall()]
    alias_of = next(iter(routers.values())).alias_of
    for trunk in sorted(set(trunks)):
        trunk_queues.wake(alias_of[trunk])
    return ids
