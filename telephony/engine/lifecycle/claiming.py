"""Claim queued deliveries, so that only one process submits each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import connection

from telephony.engine.lifecycle.conditions import DUE, HAS_BEGUN
from telephony.models import Cause
from telephony.models.statuses import QUEUED, SUBMITTING
from telephony.optouts.conditions import blocked, opted_out


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery that only this process may submit, until its lease ends."""

    id: int
    channel: str
    to: str
    caller: str
    text: str
    audio_name: str
    audio_seconds: float | None
    attempts: int
    owner_id: int
    priority: int
    opted_out: bool
    script: str | None
    cause: str  # why it must not be submitted (`enqueue.DeliveryRequest`); usually ""
    sender: str = ""  # the approved sender of an SMS, if it has one
    not_after: datetime | None = None  # the end of its calling hours


def claim(
    *, trunk_id: int, limit: int, call_limit: int | None, last_owner: int, for_twins: bool = False
) -> list[Claimed]:
    """Mark at most `limit` queued deliveries of a trunk as `submitting`; return them in the order of submission.

    Call it with the trunk's row locked. OTPs come first, then urgent runs, then all others (`priority`): while deliveries of
    a lower value are due, no others are claimed. Within a priority the owners alternate: each round takes one delivery of
    each owner, beginning after `last_owner`, whatever the size of their campaigns. `call_limit` limits the
    calls among them to the free channels; None means no limit. A trunk `for_twins` submits only the deliveries of test
    twins, and other trunks never submit them, whatever trunk a delivery was given.
    """
    # The query skips through the index from owner to owner, and due deliveries come first within each owner. So the cost
    # does not grow with the queue, nor with paused or delayed deliveries.
    has_opted_out, keys = opted_out("taken")
    sql = f"""
        WITH RECURSIVE owners AS (
            (SELECT priority, owner_id FROM telephony_delivery
              WHERE trunk_id = %(trunk)s AND status = {QUEUED} ORDER BY priority, owner_id LIMIT 1)
            UNION ALL
            SELECT next.priority, next.owner_id FROM owners, LATERAL (
                SELECT d.priority, d.owner_id FROM telephony_delivery d
                 WHERE d.trunk_id = %(trunk)s AND d.status = {QUEUED}
                   AND (d.priority, d.owner_id) > (owners.priority, owners.owner_id)
                 ORDER BY d.priority, d.owner_id LIMIT 1) next
        ), ready AS MATERIALIZED (
            SELECT *, count(*) OVER (PARTITION BY priority) AS sharing FROM owners WHERE %(for_twins)s = EXISTS (
                SELECT FROM accounts_account a WHERE a.id = owners.owner_id AND a.twin_of_id IS NOT NULL)
               AND EXISTS (
                SELECT FROM telephony_delivery d
                 WHERE d.trunk_id = %(trunk)s AND d.status = {QUEUED} AND d.priority = owners.priority
                   AND d.owner_id = owners.owner_id AND {DUE})
        ), candidates AS (
            SELECT d.id, d.channel, ready.priority, ready.owner_id,
                   row_number() OVER (PARTITION BY ready.priority, ready.owner_id ORDER BY d.not_before, d.id) AS round
              FROM ready CROSS JOIN LATERAL (
                SELECT id, channel, not_before FROM telephony_delivery d
                 WHERE d.trunk_id = %(trunk)s AND d.status = {QUEUED} AND d.priority = ready.priority
                   AND d.owner_id = ready.owner_id AND {DUE}
                 ORDER BY not_before, id
                 LIMIT ceil(%(limit)s::numeric / ready.sharing)::int) d
        ), ranked AS (
            SELECT id, channel, row_number() OVER (
                       ORDER BY priority, round, owner_id <= %(last_owner)s, owner_id) AS position
              FROM candidates
        ), chosen AS (
            SELECT id FROM (
                SELECT id, position, channel, count(*) FILTER (WHERE channel = 'call') OVER (ORDER BY position) AS calls
                  FROM ranked) counted
             WHERE channel <> 'call' OR %(call_limit)s::int IS NULL OR calls <= %(call_limit)s
             ORDER BY position LIMIT %(limit)s
        ), locked AS (
            -- An array, because with a join the planner underestimates the rows and rescans the queue.
            SELECT id FROM telephony_delivery d WHERE id = ANY (ARRAY(SELECT id FROM chosen)) AND status = {QUEUED}
               AND trunk_id = %(trunk)s AND {HAS_BEGUN}
             ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
        ), taken AS (
            UPDATE telephony_delivery d
               SET status = {SUBMITTING}, attempts = least(attempts + 1, 30000),
                   claimed_at = statement_timestamp(), carrier_text = '',
                   expires_at = statement_timestamp() + make_interval(secs => %(lease)s)
              FROM locked WHERE d.id = locked.id
            RETURNING d.id, d.channel, d."to", d.caller, d.text, d.audio_id, d.attempts, d.owner_id, d.priority,
                      d.purpose, d.script, d.not_before, d.cause, d.sender, d.not_after, d.past_opt_outs
        ), in_round_order AS (
            -- Numbers the rounds again instead of joining `ranked`, which the planner would rescan for each row.
            SELECT *, row_number() OVER (PARTITION BY priority, owner_id ORDER BY not_before, id) AS round FROM taken
        )
        SELECT taken.id, taken.channel, taken."to", taken.caller, taken.text,
               coalesce(audio.name, ''), audio.seconds, taken.attempts, taken.owner_id, taken.priority,
               {has_opted_out}, taken.script::text,
               CASE WHEN {blocked("taken")} THEN '{Cause.BLOCKED.value}' ELSE taken.cause END, taken.sender, taken.not_after
          FROM in_round_order AS taken LEFT JOIN telephony_audio audio ON audio.id = taken.audio_id
         ORDER BY taken.priority, taken.round, taken.owner_id <= %(last_owner)s, taken.owner_id"""
    with connection.cursor() as cursor:
        cursor.execute(
            sql,
            {
                "trunk": trunk_id,
                "limit": limit,
                "call_limit": call_limit,
                "last_owner": last_owner,
                "for_twins": for_twins,
                "lease": settings.IRIS_LEASE_SECONDS,
                **keys,
            },
        )
        return [Claimed(*row) for row in cursor.fetchall()]
