"""Queue the next try to reach a recipient, in the transaction that ended the try before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.db import connection

from telephony.caller_id import showable_callers
from telephony.models import Cause, Channel, DeliveryStatus
from telephony.models.statuses import FAILED, HUNGUP, QUEUED
from telephony.senders.queued import choose_again
from telephony.unnest import rowset

UNANSWERED = int(DeliveryStatus.UNANSWERED)
# Another try would end in the same way, or would reach the recipient against their will or a second time.
NEVER_RETRIED = frozenset(
    {
        Cause.INVALID,
        Cause.OPTED_OUT,
        Cause.BLOCKED,
        Cause.LOST,
        Cause.EXPIRED,
        Cause.TOO_LONG,
        Cause.NO_PRICE,
        Cause.NO_SENDER,
        Cause.STOPPED,
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class NextTry:
    """When the delivery `after`, which has just ended, is tried again. `caller` is the number that the next try shows.

    With `paused`, it waits until its batch is resumed, and then until `not_before`.
    """

    after: int
    not_before: datetime
    not_after: datetime | None
    caller: str
    paused: bool


def enqueue_next_tries(tries: Sequence[NextTry]) -> set[int]:
    """Queue the next try of ended deliveries in one statement; return the ids of the deliveries that are tried again.

    The next try is a copy of the delivery, so it says the same, to the same number, at the same price. Its caller and its
    sender are chosen again. Deliveries that were stopped are not tried again, nor those with a cause in NEVER_RETRIED, nor
    calls without anything to play. Call it in the transaction that ended the deliveries, because that has locked them.
    """
    if not tries:
        return set()
    rows, parameters = rowset(
        "e",
        {
            "id": ("bigint", [one.after for one in tries]),
            "begins": ("timestamptz", [one.not_before for one in tries]),
            "ends": ("timestamptz", [one.not_after for one in tries]),
            "caller": ("text", [one.caller for one in tries]),
            "paused": ("bool", [one.paused for one in tries]),
        },
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""WITH ended AS (
                    UPDATE telephony_delivery d SET retried = true FROM {rows}
                     WHERE d.id = e.id AND NOT d.stopped AND NOT d.retried
                       AND d.status IN ({HUNGUP}, {UNANSWERED}, {FAILED}) AND d.cause <> ALL (%s)
                       AND (d.channel <> '{Channel.CALL.value}' OR d.audio_id IS NOT NULL)
                    RETURNING d.*, e.begins, e.ends, e.caller AS next_caller, e.paused
                ), queued AS (
                    INSERT INTO telephony_delivery
                           (item, owner_id, trunk_id, purpose, batch, try_number, tries_reserved, priority, channel, "to",
                            caller, text, audio_id, hold_id, credit_limit, pulse_credits, pulse_seconds, useful_until,
                            script, past_opt_outs, not_before, due_at, not_after, sender, status, cause, carrier_text, ref,
                            attempts, stopped, credits)
                    SELECT item, owner_id, trunk_id, purpose, batch, try_number + 1, greatest(tries_reserved - 1, 0),
                           priority, channel, "to", next_caller, text, audio_id, hold_id, credit_limit, pulse_credits,
                           pulse_seconds, useful_until, script, past_opt_outs,
                           CASE WHEN paused THEN 'infinity' ELSE begins END,
                           CASE WHEN paused THEN begins END, ends, sender, {QUEUED}, '', '', '', 0, false, 0
                      FROM ended ORDER BY id
                    ON CONFLICT DO NOTHING
                    RETURNING id, owner_id, channel, caller, trunk_id
                )
                SELECT ended.id, NULL, NULL, '', '' FROM ended UNION ALL
                SELECT queued.id, owner_id, channel, caller, alias
                  FROM queued JOIN telephony_trunk t ON t.id = trunk_id""",
            [*parameters, [cause.value for cause in NEVER_RETRIED]],
        )
        rows_of_both = cursor.fetchall()
    _choose_origins([_Queued(*row) for row in rows_of_both if row[1] is not None])
    return {row[0] for row in rows_of_both if row[1] is None}


class _Queued(NamedTuple):
    """A next try that was just queued, with the alias of its trunk."""

    id: int
    owner_id: int
    channel: str
    caller: str
    alias: str


def _choose_origins(queued: Sequence[_Queued]) -> None:
    """Give next tries a caller that their trunk can show, and a sender that is approved now."""
    wanted = [(one.owner_id, Channel(one.channel), one.caller, one.alias) for one in queued]
    changed = {
        one.id: caller
        for one, caller in zip(queued, showable_callers(wanted), strict=True)
        if caller != one.caller
    }
    if changed:
        rows, parameters = rowset(
            "e", {"id": ("bigint", list(changed)), "caller": ("text", list(changed.values()))}
        )
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE telephony_delivery d SET caller = e.caller FROM {rows} WHERE d.id = e.id", parameters
            )
    choose_again([one.id for one in queued if one.channel == Channel.SMS], locked=True)
