"""Tell customers by webhooks that calls and SMS of campaigns, and whole runs, are finished.

Bodies are documented in docs/webhooks.md. Their words are those of the v0 API.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from campaigns.models import RunStatus
from telephony.engine.lifecycle import Changed
from telephony.models import FINAL, Channel, DeliveryStatus, Purpose
from webhooks import outbox
from webhooks.events import Event
from webhooks.outbox import moment

SERVICES = {Channel.SMS: "SMS", Channel.CALL: "PHONE"}
# A finished delivery has the word of its status in lower case, and a run the word that v0 shows for the campaign.
NUMBER_STATUSES = {status: status.name.lower() for status in DeliveryStatus if status >= FINAL}
RUN_STATUSES = {RunStatus.COMPLETED: "Completed", RunStatus.TERMINATED: "Terminated"}


def tell_ended(sender: Any, changed: Sequence[Changed], **_: Any) -> None:
    """Tell which calls and SMS of campaigns have ended, in one statement. A receiver of `deliveries_changed`.

    It runs after `campaigns.runs.outcomes`, so the deliveries that another try follows are marked.
    """
    ended = [one for one in changed if one.has_endpoint and one.purpose is Purpose.CAMPAIGN and one.is_final]
    if not ended:
        return
    outbox.publish(
        Event.DELIVERY_FINISHED,
        rows=f"""SELECT d.owner_id, 'number:' || d.item, json_build_object(
                        'id', d.id, 'campaign', r.campaign_id, 'run', r.id, 'number_id', d.item, 'number', d."to",
                        'services', {_case("d.channel", SERVICES)}, 'status', {_case("d.status", NUMBER_STATUSES)},
                        'cause', nullif(d.cause, ''), 'duration', round(d.seconds), 'playback', d.playback,
                        'credit_consumed', d.credits, 'try', d.try_number, 'is_last', NOT d.retried,
                        'is_trial', r.trial, 'corrects', d.id = ANY(%(late)s::bigint[]),
                        'ended_at', {moment("d.ended_at")})
                   FROM telephony_delivery d JOIN campaigns_run r ON r.id = d.batch WHERE d.id = ANY(%(ids)s::bigint[])""",
        parameters={"ids": [one.id for one in ended], "late": [one.id for one in ended if one.is_late]},
    )


def tell_finished(run_id: int) -> None:
    """Tell that a run has finished. Call it in the transaction that finished it."""
    outbox.publish(
        Event.RUN_FINISHED,
        rows=f"""SELECT c.owner_id, 'run:' || r.id, json_build_object(
                        'id', r.id, 'campaign', c.id, 'name', c.name, 'status', {_case("r.status", RUN_STATUSES)},
                        'number_count', r.recipient_count, 'credit_consumed', h.captured, 'is_trial', r.trial,
                        'started_at', {moment("r.starts_at")}, 'finished_at', {moment("r.finished_at")})
                   FROM campaigns_run r JOIN campaigns_campaign c ON c.id = r.campaign_id
                   JOIN accounts_credithold h ON h.id = r.hold_id WHERE r.id = %s""",
        parameters=[run_id],
    )


def _case(column: str, words: dict[Any, str]) -> str:
    """Return SQL that translates the values of a column."""
    return f"CASE {column} {' '.join(f'WHEN {_literal(value)} THEN {word!r}' for value, word in words.items())} END"


def _literal(value: Any) -> str:
    return f"'{value.value}'" if isinstance(value.value, str) else str(value.value)
