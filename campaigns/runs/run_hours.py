"""Let runs, and what they have queued, wait for their calling hours."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import InterfaceError, OperationalError
from django.utils import timezone

from campaigns.models import Run, RunStatus, Service
from campaigns.runs.rules import rules_of
from telephony.engine import lifecycle as deliveries
from telephony.models import Channel, Purpose

log = logging.getLogger(__name__)


def waits(run: Run) -> bool:
    """Return whether the run must wait for its calling hours; if so, store when they begin.

    A run that calls and sends SMS waits for the hours of its calls. Its SMS then wait in the queue for theirs.
    """
    now = timezone.now()
    opens = opens_at(run, now)
    if opens > now:
        Run.objects.filter(pk=run.pk, status=RunStatus.RUNNING).update(opens_at=opens)
    return opens > now


def opens_at(run: Run, now: datetime) -> datetime:
    """Return from when on a run may queue something: now, or when its next calling hours begin."""
    channel = Channel.CALL if Service(run.campaign.service).calls else Channel.SMS
    return rules_of(run).window(channel, now).opens


def move_after_hours() -> None:
    """Let queued deliveries whose calling hours are over wait for the next ones."""
    for purpose in (Purpose.CAMPAIGN, Purpose.SEED):
        for run_id, channel in deliveries.batches_after_hours(purpose):
            try:
                _move_after_hours(run_id, channel, purpose)
            except (OperationalError, InterfaceError):
                raise
            except Exception:  # the deliveries of other runs must still move
                log.exception(
                    "Run %d: what its calling hours left over cannot wait for the next ones", run_id
                )


def _move_after_hours(run_id: int, channel: Channel, purpose: Purpose) -> None:
    opens, closes = rules_of(Run.objects.get(pk=run_id)).window(channel, timezone.now())
    assert closes is not None
    moved = deliveries.MOVE_SIZE
    while moved == deliveries.MOVE_SIZE:
        moved = deliveries.move_to_hours(
            purpose=purpose, batch=run_id, channel=channel, opens=opens, closes=closes
        )
