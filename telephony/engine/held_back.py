"""Say what keeps the deliveries of a batch from being submitted now, by the conditions that claims use.

`waits` looks at the deliveries (`lifecycle.conditions`), `trunk_holds` at the trunks that they wait for (`pacing.claim`),
`server_holds` at the whole server.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings
from django.db import connection
from django.utils import timezone

from telephony.engine import pacing, restore_hold, trunk_queues, workers
from telephony.engine.lifecycle.conditions import WAIT, Wait, is_queued_and_due
from telephony.engine.pace_setting import effective
from telephony.models import Cause, Channel, Purpose, Trunk
from telephony.models.statuses import END, QUEUED
from telephony.optouts.conditions import blocked, opted_out

# The newest unfinished deliveries of a batch, among which `waits` counts. A run with retries can have a million.
MAX_EXAMINED = 20_000
# A working dispatcher updates its note every few seconds, so an older note no longer describes the trunk.
PACE_NOTE_AGE = timedelta(seconds=30)


class TrunkHold(StrEnum):
    """Why a trunk submits nothing for a batch now, or submits slowly. These words are published."""

    RESTORED = "held_after_restore"
    NO_WORKER = "no_worker"
    NOT_CONFIGURED = "trunk_not_configured"
    PAUSED = "trunk_paused"
    RESTS = "trunk_rests"
    OTHERS_FIRST = "others_first"
    NO_FREE_CHANNELS = "no_free_channels"
    SLOW = "pace_below_setting"
    PACE = "pace"


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """How many deliveries of a batch are in the same state on a trunk.

    `wait` is None for deliveries that may be claimed now; if `is_under_way`, they have been claimed already. `first_at` is
    when the first of them is due, if that is known. `words` are those with which the carrier put one of them off.
    """

    alias: str
    channel: Channel
    is_under_way: bool
    wait: Wait | None
    count: int
    priority: int
    first_at: datetime | None
    words: str

    @property
    def is_due(self) -> bool:
        return self.wait is None and not self.is_under_way


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldTrunk:
    """Why a trunk holds deliveries back. `alias` is empty if the reason is one of the whole server."""

    hold: TrunkHold
    alias: str = ""
    since: datetime | None = None
    until: datetime | None = None
    words: str = ""
    count: int | None = None
    of: int | float | None = None


def waits(*, purpose: Purpose, batch: int, items: Sequence[int] | None = None) -> list[Waiting]:
    """Return what the unfinished deliveries of a batch wait for, or those of some items. Takes one query.

    It counts at most MAX_EXAMINED deliveries, those of the newest items.
    """
    chosen = "" if items is None else "AND item = ANY(%(items)s)"
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT t.alias, d.channel, d.status > {QUEUED} AS under_way,
                       CASE WHEN d.status = {QUEUED} THEN {WAIT} END AS wait, count(*), min(d.priority),
                       min(CASE WHEN isfinite(d.not_before) THEN d.not_before ELSE d.due_at END),
                       coalesce(max(d.carrier_text), '')
                  FROM (SELECT * FROM telephony_delivery
                         WHERE purpose = %(purpose)s AND batch = %(batch)s AND status < {END} {chosen}
                         ORDER BY item DESC LIMIT {MAX_EXAMINED}) d
                  JOIN telephony_trunk t ON t.id = d.trunk_id
                 GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4""",
            {"purpose": purpose.value, "batch": batch, "items": None if items is None else list(items)},
        )
        return [
            Waiting(
                alias=alias,
                channel=Channel(channel),
                is_under_way=under_way,
                wait=None if wait is None else Wait(wait),
                count=count,
                priority=priority,
                first_at=first_at,
                words=words,
            )
            for alias, channel, under_way, wait, count, priority, first_at, words in cursor.fetchall()
        ]


def trunk_holds(waiting: Sequence[Waiting]) -> Iterator[HeldTrunk]:
    """Yield why these deliveries, if they are due, are not submitted at once. Takes a few queries for each trunk."""
    due = [one for one in waiting if one.is_due]
    if not due:
        return
    for alias in sorted({one.alias for one in due}):
        of_trunk = [one for one in due if one.alias == alias]
        yield from _holds_of(Trunk.objects.get(alias=alias), of_trunk)


def server_holds() -> Iterator[HeldTrunk]:
    """Yield why this server submits nothing at all."""
    hold = restore_hold.hold()
    if hold is not None:
        yield HeldTrunk(hold=TrunkHold.RESTORED, since=hold.since)
    if not workers.living():
        yield HeldTrunk(hold=TrunkHold.NO_WORKER)


def _holds_of(trunk: Trunk, due: Sequence[Waiting]) -> Iterator[HeldTrunk]:
    alias = trunk.alias
    if alias not in settings.CARRIERS:
        yield HeldTrunk(hold=TrunkHold.NOT_CONFIGURED, alias=alias)
        return
    if pacing.is_paused(trunk.pause_reason, trunk.paused_until, now=timezone.now()):
        yield HeldTrunk(
            hold=TrunkHold.PAUSED if trunk.paused_until is None else TrunkHold.RESTS,
            alias=alias,
            since=trunk.paused_at or trunk.last_error_at,
            until=trunk.paused_until,
            words=trunk.pause_reason,
        )
    if not trunk_queues.is_served(alias):
        yield HeldTrunk(hold=TrunkHold.NO_WORKER, alias=alias)
    first = max(one.priority for one in due)
    if before := _count_before(trunk.pk, first):
        yield HeldTrunk(hold=TrunkHold.OTHERS_FIRST, alias=alias, count=before)
    config = settings.CARRIERS[alias]
    channels = config.get("CHANNELS")
    if channels is not None and any(one.channel is Channel.CALL for one in due):
        busy = pacing.count_busy_channels(trunk.pk)
        if busy >= channels:
            yield HeldTrunk(hold=TrunkHold.NO_FREE_CHANNELS, alias=alias, count=busy, of=channels)
    if is_slow(trunk):
        yield HeldTrunk(hold=TrunkHold.SLOW, alias=alias, since=trunk.pace_noted_at, words=trunk.pace_note)
    if pace := effective(alias, trunk.cps):
        yield HeldTrunk(hold=TrunkHold.PACE, alias=alias, of=pace, count=sum(one.count for one in due))


def is_slow(trunk: Trunk) -> bool:
    """Return whether the trunk has lately submitted more slowly than its CPS; `pace_note` then says why."""
    is_fresh = trunk.pace_noted_at is not None and timezone.now() - trunk.pace_noted_at < PACE_NOTE_AGE
    return is_fresh and bool(trunk.pace_note)


def _count_before(trunk_id: int, priority: int) -> int:
    """Return how many due deliveries of a trunk are claimed before those with this priority, at most MAX_EXAMINED."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT count(*) FROM (
                    SELECT FROM telephony_delivery d WHERE {is_queued_and_due("%s")} AND d.priority < %s
                     LIMIT {MAX_EXAMINED}) AS before""",
            [trunk_id, priority],
        )
        return int(cursor.fetchone()[0])


def refusal_of(*, owner_id: int, to: str, channel: Channel, past_opt_outs: bool = False) -> Cause | None:
    """Return why a claim would refuse a campaign's delivery of this account to this number; None if it would not."""
    has_opted_out, keys = opted_out("d")
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT {blocked("d")}, {has_opted_out}
                  FROM (SELECT %(purpose)s::text AS purpose, %(owner)s::bigint AS owner_id, %(to)s::text AS "to",
                               %(channel)s::text AS channel, %(past)s::bool AS past_opt_outs) AS d""",
            {
                "purpose": Purpose.CAMPAIGN.value,
                "owner": owner_id,
                "to": to,
                "channel": channel.value,
                "past": past_opt_outs,
                **keys,
            },
        )
        is_blocked, is_opted_out = cursor.fetchone()
    return Cause.BLOCKED if is_blocked else Cause.OPTED_OUT if is_opted_out else None
