"""What a scheduled run will say is spoken before its time comes.

Chunk by chunk in the order in which the run will take its recipients; the chunk that was done is written down, so
whoever is killed goes on from there. Nobody waits for it: what is missing when the run begins, the hopper makes.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta

from django.db import InterfaceError, OperationalError
from django.db.models import QuerySet
from django.utils import timezone

from campaigns.models import Run, RunStatus, Service, Source
from campaigns.runs import rendering, setting_aside, survey_calls
from iris.errors import IrisError
from telephony import speech
from telephony.engine import stalls
from telephony.engine.failpoints import failpoint

log = logging.getLogger(__name__)

# Not earlier: until then the message may be changed, and unused speech is pruned after some days.
AHEAD = timedelta(days=1)
CHUNK = 500


def due() -> QuerySet[Run]:
    """The scheduled runs whose speech is still to be made, the next to begin first."""
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
    """Speak for all that are due, until `budget` seconds are over; whether something is left."""
    end = time.monotonic() + budget
    while (run := due().first()) is not None:
        stalls.note_progress(stalls.BACKGROUND)
        prepare(run)
        if time.monotonic() >= end:
            return due().exists()
    return False


def prepare(run: Run) -> None:
    """Speak for the run's next recipients, and write down how far that is. Done twice, it costs a look-up."""
    rows = rendering.addressees(run.untouched().filter(pk__gt=run.prepared_to)[:CHUNK])
    done = len(rows) < CHUNK
    try:
        content = survey_calls if run.campaign.service == Service.SURVEY else rendering
        content.prepare_calls(run, rows)
    except (OperationalError, InterfaceError):
        raise
    except speech.SpeechTimedOut as error:
        setting_aside.for_its_speech(run.pk, error)
        return
    except speech.SpeechBudgetExceeded as error:
        if error.made_count:
            return  # the rest in another turn
        done = True
    # The hopper meets all others again, when it matters; until then the others have their turn.
    except IrisError as error:
        log.warning("Run %d is not prepared: %s", run.pk, error)
        done = True
    except Exception:
        log.exception("Run %d is not prepared", run.pk)
        done = True
    failpoint("prepared")
    Run.objects.filter(pk=run.pk, prepared_to=run.prepared_to).update(
        prepared_to=rows[-1].pk if rows else run.last_recipient, prepared_at=timezone.now() if done else None
    )
