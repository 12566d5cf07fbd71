"""Add numbers to opt-out lists, with the evidence, and remove them.

Claims read the list (`conditions`), so a new opt-out also stops what is queued. What a dispatcher has claimed, it checks
again until it submits it (`telephony.engine.dispatch`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction

from accounts.people.pseudonyms import spellings_of
from iris.storable import storable
from telephony.models import Channel, OptOut
from telephony.models.replies import MAX_SOURCE_CHARACTERS, OptOutWay
from telephony.optouts.conditions import opted_out as opted_out_sql
from telephony.unnest import rowset
from telephony.webhook_events import tell_opt_outs
from webhooks import outbox


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOptOut:
    """A number in E.164 that must no longer be contacted by an account, and why.

    `channel` is None for calls and SMS. `source` is what the recipient wrote, or the reason. `evidence` has the ids of what
    proves it: the SMS, the call or the person.
    """

    owner_id: int
    number: str
    way: OptOutWay
    channel: Channel | None = None
    source: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


@transaction.atomic
def add(new: Iterable[NewOptOut]) -> int:
    """Add numbers to opt-out lists in one statement; return how many opt-outs are new or wider than before.

    A number that is on the list keeps its evidence, unless it was listed for the other channel only. It is then listed for
    both channels, with the new evidence.
    """
    # Of several opt-outs of one number, the first counts. Sorted, so that two processes wait for each other's rows in the
    # same order.
    chosen: dict[tuple[int, str], NewOptOut] = {}
    for one in new:
        known = chosen.setdefault((one.owner_id, one.number), one)
        if known.channel is not None and known.channel is not one.channel:
            chosen[one.owner_id, one.number] = _widened(one)
    if not chosen:
        return 0
    ordered = [chosen[key] for key in sorted(chosen)]
    rows, parameters = rowset(
        "e",
        {
            "owner_id": ("bigint", [one.owner_id for one in ordered]),
            "number": ("text", [one.number for one in ordered]),
            "channel": ("text", [one.channel.value if one.channel else "" for one in ordered]),
            "way": ("text", [one.way.value for one in ordered]),
            "source": ("text", [storable(one.source)[:MAX_SOURCE_CHARACTERS] for one in ordered]),
            "evidence": ("jsonb", [json.dumps(one.evidence) for one in ordered]),
        },
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""INSERT INTO telephony_optout AS old (owner_id, number, channel, way, source, evidence)
                SELECT * FROM {rows}
                    ON CONFLICT (owner_id, number) DO UPDATE
                   SET channel = '', way = excluded.way, source = excluded.source, evidence = excluded.evidence,
                       created_at = statement_timestamp()
                 WHERE old.channel <> '' AND old.channel <> excluded.channel
                RETURNING id, {outbox.has_endpoint("owner_id")}""",
            parameters,
        )
        added = cursor.fetchall()
    tell_opt_outs([pk for pk, has_endpoint in added if has_endpoint])
    return len(added)


def _widened(one: NewOptOut) -> NewOptOut:
    return NewOptOut(
        owner_id=one.owner_id, number=one.number, way=one.way, source=one.source, evidence=one.evidence
    )


def remove(listed: Iterable[tuple[int, str]]) -> int:
    """Remove (id of the account, number in E.164) from opt-out lists; return how many entries were there."""
    # A number that was erased is on the list by its pseudonym.
    spelled = sorted(
        (owner, text) for owner, number in listed for text in spellings_of(number, owner_id=owner)
    )
    if not spelled:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            """DELETE FROM telephony_optout o USING unnest(%s::bigint[], %s::text[]) AS e(owner_id, number)
                WHERE o.owner_id = e.owner_id AND o.number = e.number""",
            [[owner for owner, _ in spelled], [number for _, number in spelled]],
        )
        return int(cursor.rowcount)


def is_opted_out(*, owner_id: int, number: str, channel: Channel) -> bool:
    """Return whether a number in E.164 has opted out of calls, or of SMS, of an account."""
    spelled = spellings_of(number, owner_id=owner_id)
    return OptOut.objects.filter(owner=owner_id, number__in=spelled, channel__in=["", channel.value]).exists()


def opted_out(ids: Sequence[int]) -> set[int]:
    """Return which of these deliveries go to recipients who have opted out of further ones."""
    if not ids:
        return set()
    condition, parameters = opted_out_sql("d")
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT d.id FROM telephony_delivery d WHERE d.id = ANY(%(ids)s) AND {condition}",
            {"ids": list(ids), **parameters},
        )
        return {row[0] for row in cursor.fetchall()}
