"""Set aside runs that cannot continue: pause them with a reason for their owner, so that they do not block other runs."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.db.models.functions import Now

from campaigns.models import Run, RunStatus
from campaigns.runs import run_statuses
from iris.errors import IrisError

log = logging.getLogger(__name__)

# A storage or a trunk that is briefly unavailable recovers within this time. A longer failure needs somebody to correct it.
FAILING_FOR = timedelta(minutes=5)

_SPEECH = "Stop this campaign, change its message or that value, and begin it again; or resume it."
_FAILURE = "So this campaign was paused. Resume it after the problem has been solved, or stop it."
_OUR_FAULT = "This server failed to prepare the calls or SMS of this campaign for several minutes."


def set_aside_for_speech(run_id: int, error: IrisError) -> None:
    """Set aside a run whose speech takes too long. It does not wait for retries, because a retry would take as long."""
    _set_aside(run_id, reason=f"{error} {_SPEECH}")


def set_aside_if_failing(run_id: int, error: Exception) -> None:
    """Set aside a run if every attempt to fill it has failed for FAILING_FOR."""
    running = Run.objects.filter(pk=run_id, status=RunStatus.RUNNING)
    if running.filter(failing_since=None).update(failing_since=Now()):
        return
    if running.filter(failing_since__lt=Now() - FAILING_FOR).exists():
        _set_aside(run_id, reason=f"{error if isinstance(error, IrisError) else _OUR_FAULT} {_FAILURE}")


def _set_aside(run_id: int, *, reason: str) -> None:
    Run.objects.filter(pk=run_id).update(failing_since=None)
    if Run.objects.filter(pk=run_id, trial=True).exists():
        # A trial is stopped instead. The owner does not expect a paused trial, and it would block the next run.
        moved = run_statuses.move(run_id, to=RunStatus.STOPPING, allowed_from=[RunStatus.RUNNING])
    else:
        moved = run_statuses.set_aside(run_id, reason=reason)
    if moved:
        log.warning("Run %d cannot continue and was set aside", run_id)
        run_statuses.reconcile(run_id)
