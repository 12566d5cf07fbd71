"""Decide what follows when deliveries end: another try, an SMS after a missed call, the next number of a household, or
the recipient's outcome.

An outcome is stored with the recipient only after the last try. Everything happens in the transaction that ended the
deliveries, so no crash can lose a try or repeat it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db import connection
from django.utils import timezone

from campaigns.models import Run, RunStatus
from campaigns.runs import alerts, failover, recipient_statuses
from campaigns.runs.delivery_requests import caller_of
from campaigns.runs.retries import outcome_of
from campaigns.runs.rules import URGENT, rules_of
from telephony.engine.lifecycle import Changed
from telephony.engine.survey_responses import MatchedResponse
from telephony.engine.tries import NextTry, enqueue_next_tries
from telephony.models import Channel, Purpose
from telephony.optouts import opted_out


def conclude(changed: Sequence[Changed], **kwargs: Any) -> None:
    """Queue the next tries of recipients who were not reached, and store the outcomes of the others.

    This is a receiver of `deliveries_changed`, and runs in the transaction that ended the deliveries.
    """
    ended = [delivery for delivery in changed if delivery.purpose is Purpose.CAMPAIGN and delivery.is_final]
    if not ended:
        return
    # A late report corrects an end that was announced before, as lost.
    followed = [one for one in ended if not one.is_late and (one.channel is Channel.CALL or outcome_of(one))]
    runs = _lock_runs({one.batch for one in followed})
    # A recipient who has opted out during the call is not tried again, so this end is the outcome.
    unwilling = opted_out([one.id for one in followed if one.batch in runs])
    heard = alerts.heard_in(followed, runs)
    settled = unwilling | heard
    retried = _try_again([one for one in followed if one.id not in settled], runs)
    # The call of a recipient is stored before its SMS is queued.
    recipient_statuses.update_recipients(ended, retried=retried)
    last = [one for one in followed if one.id not in retried]
    failover.send_sms_after_missed_calls([one for one in last if one.id not in settled], runs)
    for run in runs.values():
        _settle_alert(run, last, heard=heard, unwilling=unwilling)


def note_heard(answered: Sequence[MatchedResponse], **kwargs: Any) -> None:
    """Store who has pressed the key of an alert while the call may still be under way.

    This is a receiver of `answers_given`, and runs in the transaction that applies the reports.
    """
    pressed = alerts.pressed(answered)
    if not pressed:
        return
    for run in Run.objects.raw(
        "SELECT * FROM campaigns_run WHERE id = ANY(%s) ORDER BY id FOR SHARE", [sorted(pressed)]
    ):
        spared = alerts.settle(run.pk, have=pressed[run.pk], have_not=())
        recipient_statuses.terminate(spared, run=run)


def _settle_alert(
    run: Run, ended: Sequence[Changed], *, heard: Collection[int], unwilling: Collection[int]
) -> None:
    """Store who has heard in calls that have ended for good. The others receive an SMS, if the alert says so.

    `heard` and `unwilling`, who have opted out, are ids of deliveries.
    """
    rule = alerts.heard_rule(run)
    calls = [one for one in ended if one.batch == run.pk and one.channel is Channel.CALL]
    if rule is None or not calls:
        return
    have = {one.item for one in calls if one.id in heard}
    have_not = {one.item for one in calls} - have
    to_text = have_not - {one.item for one in calls if one.id in unwilling}
    spared = alerts.settle(run.pk, have=have, have_not=have_not)
    recipient_statuses.terminate(spared, run=run)
    if rule.sms and to_text:
        failover.send_sms(run, sorted(to_text))


def _lock_runs(ids: set[int]) -> dict[int, Run]:
    """Return the runs among these that go on, and in which something can follow these ends.

    The lock makes a concurrent stop, pause or resume wait. Each of them first changes the run, and then its queued
    deliveries. It is shared, so that processes that end deliveries of one run do not wait for each other.
    """
    if not ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT id FROM campaigns_run
                WHERE id = ANY(%s) AND status = ANY(%s)
                  AND (failover_statuses <> '{}' OR jsonb_exists_any(rules, %s))
                ORDER BY id FOR SHARE""",
            [sorted(ids), [RunStatus.RUNNING.value, RunStatus.PAUSED.value], ["retry", URGENT]],
        )
        locked = [row[0] for row in cursor.fetchall()]
    if not locked:
        return {}
    runs = Run.objects.filter(pk__in=locked).select_related("campaign").order_by("pk")
    return {run.pk: run for run in runs}


def _try_again(ended: Sequence[Changed], runs: Mapping[int, Run]) -> set[int]:
    """Queue the next try after these ends where the rules of the run want one; return the ids of these deliveries."""
    now = timezone.now()
    tries = []
    for run in runs.values():
        rules = rules_of(run)
        windows = {one.id: rules.next_try(one, now) for one in ended if one.batch == run.pk}
        wanted = [(pk, window) for pk, window in windows.items() if window is not None]
        caller = caller_of(run) if wanted else ""
        tries += [
            NextTry(
                after=pk,
                not_before=window.opens,
                not_after=window.closes,
                caller=caller,
                paused=run.status == RunStatus.PAUSED,
            )
            for pk, window in wanted
        ]
    return enqueue_next_tries(tries)
