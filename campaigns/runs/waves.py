"""Waves: a run contacts its first recipients, then waits until a person starts the next wave, or enough were reached.

A run in waves has `wave_room`: how many recipients it may still contact before it must wait. The hopper counts it down in
the transaction that queues them. At zero it queues nothing more, and the run waits, with the status `running`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from accounts import audit
from campaigns.models import WAITS, Campaign, Run, RunStatus, Service
from campaigns.runs.intake import Intake
from campaigns.runs.rules import ContactRules, rules_of
from campaigns.runs.run_statuses import live_run
from iris.errors import Conflict
from telephony.engine.nudge import nudge
from telephony.models import Channel, Purpose
from telephony.models.statuses import COMPLETED, END


class AfterContacts(NamedTuple):
    """The run's new values of fields after some contacts. `is_last`: the wave is complete, and no recipient is left."""

    fields: dict[str, Any]
    is_last: bool


class WaveProgress(NamedTuple):
    """How many recipients of a run's wave were reached, and how many are still under way."""

    succeeded: int
    unfinished: int


def is_waiting(run: Run) -> bool:
    """Return whether the run waits before its next wave. The same condition as WAITS, for a run that was read already."""
    return run.status == RunStatus.RUNNING and run.wave_room == 0 and run.filled_at is None


def next_size(run: Run) -> int | None:
    """Return how many recipients the next wave of a run has; None if `next_wave` cannot begin one now.

    Duplicates and the frequency cap can still leave out some of them.
    """
    if not is_waiting(run):
        return None
    rule = rules_of(run).waves
    size = None if rule is None else rule.size(run.wave + 1)
    return run.untouched()[:size].count()


def room_at_first(rules: ContactRules) -> int | None:
    """Return how many recipients a run with these rules contacts before it waits; None if all."""
    return None if rules.waves is None else rules.waves.size(1)


def after_contacts(run: Run, taken: Intake) -> AfterContacts:
    """Return the new state of the run's wave after these recipients were contacted. The hopper stores it."""
    if run.wave_room is None or not taken.recipients:
        return AfterContacts({}, False)
    rule = rules_of(run).waves
    room = run.wave_room - len(taken.contacts)
    waits = room == 0 and (rule is None or rule.success_percent is None)
    return AfterContacts(
        {"wave_room": room, "waits_since": Now() if waits else None},
        room == 0 and not run.untouched().filter(pk__gt=taken.recipients[-1].pk).exists(),
    )


def next_wave(*, campaign: Campaign) -> Run:
    """Begin the next wave of the live run. Raises Conflict if the run is not waiting for it."""
    with transaction.atomic():
        run = live_run(campaign.pk)
        if run is None or not _begin_next(run):
            raise Conflict(_refusal(run), code="not_waiting")
        audit.note(
            account_id=campaign.owner_id,
            action="wave_begun",
            kind="run",
            object_id=run.pk,
            name=campaign.name,
            campaign_id=campaign.pk,
            run=run.pk,
            wave=run.wave + 1,
        )
    nudge("campaigns.tasks.fill")
    run.refresh_from_db()
    return run


def judge_all() -> None:
    """Begin the next wave of each run whose present wave has reached enough recipients.

    If a wave has ended without reaching enough, its run waits for a person.
    """
    for run in Run.objects.filter(WAITS, waits_since=None).select_related("campaign"):
        rule = rules_of(run).waves
        size = None if rule is None else rule.size(run.wave)
        if rule is None or rule.success_percent is None or size is None:
            continue  # a person decides
        progress = progress_of(run)
        if progress.succeeded * 100 >= rule.success_percent * size:
            _begin_next(run)
        elif not progress.unfinished:
            Run.objects.filter(WAITS, pk=run.pk, wave=run.wave).update(waits_since=Now())


def progress_of(run: Run) -> WaveProgress:
    """Return the progress of a run's present wave. Reads the deliveries of the wave."""
    channel = Channel.CALL if Service(run.campaign.service).calls else Channel.SMS
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT count(DISTINCT item) FILTER (WHERE status = {COMPLETED}), count(*) FILTER (WHERE status < {END})
                  FROM telephony_delivery
                 WHERE purpose = %s AND batch = %s AND item > %s AND channel = %s""",
            [Purpose.CAMPAIGN.value, run.pk, run.wave_after, channel.value],
        )
        return WaveProgress(*cursor.fetchone())


def _begin_next(run: Run) -> bool:
    """Begin the run's next wave if it still waits for it. Return whether this call did."""
    rule = rules_of(run).waves
    room = None if rule is None else rule.size(run.wave + 1)
    return bool(
        Run.objects.filter(WAITS, pk=run.pk, wave=run.wave).update(
            wave=run.wave + 1, wave_room=room, wave_after=F("cursor"), waits_since=None
        )
    )


def _refusal(run: Run | None) -> str:
    if run is None:
        return "This campaign is not running, so it has no next wave."
    if run.status == RunStatus.PAUSED:
        return "This campaign is paused. Resume it before you let its next wave begin."
    rule = rules_of(run).waves
    if rule is None or run.wave > len(rule.sizes):
        return "This campaign has no further waves: it goes on by itself."
    return f"Wave {run.wave} of this campaign is not complete yet. Wait until its details say that it waits for you."
