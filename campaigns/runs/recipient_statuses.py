"""The only writer of the status and the results of recipients."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from django.db import connection, transaction
from django.utils import timezone

from campaigns.models import LeftOut, Run, RunStatus
from campaigns.runs import alerts, delivery_requests
from telephony.engine.lifecycle import Changed
from telephony.models import Channel, DeliveryStatus
from telephony.models.statuses import COMPLETED, FAILED, HUNGUP
from telephony.unnest import rowset


def update_recipients(ended: Sequence[Changed], *, retried: Collection[int] = ()) -> None:
    """Store with each recipient how its latest delivery ended. Of those in `retried`, only what they cost is stored."""
    ended = [delivery for delivery in ended if delivery.id not in retried or delivery.credits]
    if not ended:
        return
    with connection.cursor() as cursor:
        # A call and an SMS of one recipient can end at the same moment. Locking in the order of ids avoids deadlocks.
        cursor.execute(
            "SELECT FROM campaigns_recipient WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE",
            [[delivery.item for delivery in ended]],
        )
    for channel in Channel:
        of_channel = [delivery for delivery in ended if delivery.channel is channel]
        _update_recipients_of(channel, of_channel, retried=retried)


def _update_recipients_of(channel: Channel, ended: list[Changed], *, retried: Collection[int]) -> None:
    if not ended:
        return
    ended.sort(key=lambda delivery: delivery.item)
    # `status`, `seconds` and `playback` are those of the call. An SMS sent with or after a call has fields of its own.
    shown = "NOT run.trial" if channel is Channel.CALL else "NOT run.trial AND c.service = 'sms'"
    is_sms = "true" if channel is Channel.SMS else "false"
    # A late report may be about an earlier run. It replaces the result of a later run only if it says that the
    # recipient was reached, or if that result is a failure.
    tells = f"NOT e.retried AND (NOT e.late OR e.status IN ({COMPLETED}, {HUNGUP}) OR {{shown}} = {FAILED})"
    shown = f"{shown} AND {tells.format(shown='r.status')}"
    texted = f"{is_sms} AND NOT run.trial AND {tells.format(shown='r.sms_status')}"
    rows, parameters = rowset(
        "e",
        {
            "id": ("bigint", [delivery.item for delivery in ended]),
            "batch": ("bigint", [delivery.batch for delivery in ended]),
            "status": ("smallint", [int(delivery.status) for delivery in ended]),
            "seconds": ("float8", [delivery.seconds for delivery in ended]),
            "playback": ("smallint", [delivery.playback for delivery in ended]),
            "credits": ("numeric", [delivery.credits for delivery in ended]),
            "late": ("bool", [delivery.is_late for delivery in ended]),
            "retried": ("bool", [delivery.id in retried for delivery in ended]),
            "attempts": ("smallint", [attempts_of(delivery) for delivery in ended]),
        },
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE campaigns_recipient r
                   SET status = CASE WHEN {shown} THEN e.status ELSE r.status END,
                       left_out = CASE WHEN {shown} THEN '' ELSE r.left_out END,
                       seconds = CASE WHEN {shown} THEN e.seconds ELSE r.seconds END,
                       playback = CASE WHEN {shown} THEN e.playback ELSE r.playback END,
                       attempts = CASE WHEN {shown} THEN
                                      CASE WHEN jsonb_exists(run.rules, 'retry') THEN e.attempts END
                                  ELSE r.attempts END,
                       sms_status = CASE WHEN {texted} THEN e.status ELSE r.sms_status END,
                       sms_credits = r.sms_credits + CASE WHEN {is_sms} THEN e.credits ELSE 0 END,
                       credits = r.credits + e.credits
                  FROM {rows}, campaigns_campaign c, campaigns_run run
                 WHERE r.id = e.id AND c.id = r.campaign_id AND run.id = e.batch""",
            parameters,
        )


def leave_out(run: Run, reasons: Mapping[int, LeftOut]) -> None:
    """Mark recipients that a run does not contact as `terminated`, each with the reason."""
    if not reasons:
        return
    ids = sorted(reasons)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT FROM campaigns_recipient WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", [ids]
        )
        cursor.execute(
            """UPDATE campaigns_recipient r
                  SET status = %s, left_out = e.reason, attempts = %s, seconds = NULL, playback = NULL
                 FROM unnest(%s::bigint[], %s::text[]) AS e(id, reason) WHERE r.id = e.id""",
            [
                int(DeliveryStatus.TERMINATED),
                _no_attempts(run),
                ids,
                [reasons[pk].value for pk in ids],
            ],
        )


def _no_attempts(run: Run) -> int | None:
    """Return the number of attempts of a recipient that a run has not tried to reach."""
    return 0 if "retry" in run.rules else None


def attempts_of(ended: Changed) -> int:
    """Return how often a recipient was tried when this delivery ended. One that was stopped in the queue was not."""
    return ended.try_number - (ended.status == DeliveryStatus.TERMINATED)


def terminate(ids: Collection[int], *, run: Run) -> None:
    """Mark recipients whom a run will not reach any more as `terminated`. A trial changes none."""
    if not ids or run.trial:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            """WITH locked AS (SELECT id FROM campaigns_recipient WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE)
               UPDATE campaigns_recipient r SET status = %s, attempts = %s, left_out = ''
                 FROM locked WHERE r.id = locked.id""",
            [sorted(ids), int(DeliveryStatus.TERMINATED), _no_attempts(run)],
        )


def terminate_untouched(run_id: int, *, limit: int = 5000) -> bool:
    """Mark recipients that a stopping run has not reached as `terminated`, at most `limit`.

    Return whether such recipients remain.
    """
    with transaction.atomic():
        run = Run.objects.select_for_update(of=("self",)).filter(pk=run_id, status=RunStatus.STOPPING).first()
        if run is None or run.filled_at is not None:
            return False
        rows = list(run.untouched().values_list("pk", flat=True)[:limit])
        waiting = alerts.stop_waiting(run) if delivery_requests.asks_if_heard(run) else []
        terminate([*rows, *waiting], run=run)
        run.cursor = rows[-1] if rows else run.last_recipient
        if len(rows) < limit:
            run.filled_at = timezone.now()
        run.save(update_fields=["cursor", "filled_at"])
    return len(rows) == limit
