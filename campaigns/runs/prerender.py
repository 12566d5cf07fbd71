"""Synthesize the speech of scheduled runs before they start.

The chunks follow the order in which the run will take its recipients. Each finished chunk is stored, so a killed worker
resumes there. No run depends on this: the hopper synthesizes speech that is missing when the run starts.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta

from django.db import InterfaceError, OperationalError
from django.db.models import QuerySet
from django.utils import timezone

from campaigns import duplicates
from campaigns.models import Run, RunStatus, Service, Source
from campaigns.runs import delivery_requests, setting_aside, survey_calls
from campaigns.runs.rules import rules_of
from iris.errors import IrisError
from telephony import speech
from telephony.engine import stalls
from telephony.engine.failpoints import failpoint

log = logging.getLogger(__name__)

# How long before the start iris begins. Earlier speech would often be wasted: the message may change, and unused speech is
# pruned.
AHEAD = timedelta(days=1)
CHUNK = 500


def due() -> QuerySet[Run]:
    """Return the scheduled runs whose speech must still be synthesized, in the order of their start times."""
    return (
        Run.objects.filter(
            status=RunStatus.SCHEDULED,
            prepared_at=None,
            starts_at__lte=timezone.now() + AHEAD,
            source=Source.MESSAGE,
            campaign__service__in=[service for service in Service if service.calls],
        )
        .select_related("campaign")
        .order_by("starts_at", "pk")
    )


def prepare_all(*, budget: float) -> bool:
    """Prepare the runs that are due, until `budget` seconds have passed. Return whether any are left."""
    end = time.monotonic() + budget
    while (run := due().first()) is not None:
        stalls.note_progress(stalls.BACKGROUND)
        prepare(run)
        if time.monotonic() >= end:
            return due().exists()
    return False


def prepare(run: Run) -> None:
    """Synthesize the speech for the run's next chunk of recipients, and store the progress.

    A repetition is cheap, because existing recordings are reused.
    """
    recipients = run.untouched().filter(pk__gt=run.prepared_to)
    if rules_of(run).once_per_number:
        recipients = recipients.exclude(duplicates.known(run.campaign))
    rows = delivery_requests.addressees(recipients[:CHUNK])
    done = len(rows) < CHUNK
    try:
        content = survey_calls if run.campaign.service == Service.SURVEY else delivery_requests
        content.prepare_calls(run, rows)
    except (OperationalError, InterfaceError):
        raise
    except speech.SpeechTimedOut as error:
        setting_aside.set_aside_for_speech(run.pk, error)
        return
    except speech.SpeechBudgetExceeded as error:
        if error.made_count:
            return  # the next call continues
        done = True
    # All other errors will occur again in the hopper, which handles them. Here the run is skipped, so that other runs
    # continue.
    except IrisError as error:
        log.warning("The speech of run %d cannot be prepared ahead of time: %s", run.pk, error)
        done = True
    except Exception:
        log.exception("The speech of run %d cannot be prepared ahead of time", run.pk)
        done = True
    failpoint("prepared")
    Run.objects.filter(pk=run.pk, prepared_to=run.prepared_to).update(
        prepared_to=rows[-1].pk if rows else run.last_recipient, prepared_at=timezone.now() if done else None
    )
