"""Set aside runs that cannot continue: pause them with a reason for their owner, so that they do not block other runs."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from campaigns.models import PENDING, Run, RunStatus
from campaigns.runs import run_statuses
from iris.errors import IrisError

log = logging.getLogger(__name__)

# A storage or a trunk that is briefly unavailable recovers within this time. A longer failure needs somebody to correct it.
FAILING_FOR = timedelta(minutes=5)

_SPEECH = "Stop this campaign, change its message or that value, and begin it again; or resume it."
_SENDER = "Then resume this campaign, or stop it."
_NUMBER = "Resume this campaign to call from another one, or stop it."
_FAILURE = "So this campaign was paused. Resume it after the problem has been solved, or stop it."
_OUR_FAULT = "This server failed to prepare the calls or SMS of this campaign for several minutes."


def set_aside_for_speech(run_id: int, error: IrisError) -> None:
    """Set aside a run whose speech takes too long. The run is not retried first, because a retry would take as long."""
    _set_aside(run_id, reason=f"{error} {_SPEECH}")


def set_aside_without_sender(run_id: int, error: IrisError) -> None:
    """Set aside a run whose SMS have no approved sender any more."""
    _set_aside(run_id, reason=f"{error} {_SENDER}")


def set_aside_for_numbers(taken: Sequence[tuple[int, str]], **kwargs: Any) -> None:
    """Set aside the runs whose caller numbers the operator has withdrawn. A receiver of `numbers_retired`.

    A resumed run calls from another number of its owner. Trials continue with one at once.
    """
    for account_id, number in taken:
        runs = Run.objects.filter(
            status__in=[RunStatus.RUNNING, *PENDING], campaign__owner=account_id, caller=number, trial=False
        )
        for run_id in list(runs.order_by("pk").values_list("pk", flat=True)):
            if run_statuses.set_aside(
                run_id, reason=f"The operator has withdrawn the phone number {number}. {_NUMBER}"
            ):
                transaction.on_commit(partial(run_statuses.reconcile, run_id))


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
