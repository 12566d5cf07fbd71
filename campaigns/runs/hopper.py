"""A running run keeps a small stock of queued deliveries ahead of its trunk: the hopper.

Recipients are taken by the order of their ids. Inserting their deliveries and moving the run's cursor is one
transaction, so no crash can skip or repeat anyone; the cursor is compared before, so two fillers cannot either.
"""

from __future__ import annotations

import logging
import time
from decimal import Decimal

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Count, Q, Sum
from django.utils import timezone

from campaigns.models import Run, RunStatus, Service, Source
from campaigns.runs import lifecycle, rendering, setting_aside, survey_calls
from telephony import speech
from telephony.engine import lifecycle as deliveries
from telephony.engine import stalls
from telephony.engine.enqueue import enqueue
from telephony.engine.failpoints import failpoint
from telephony.engine.locks import locked
from telephony.models import FINAL, Channel, Delivery, Purpose
from telephony.models.statuses import QUEUED
from telephony.phone_numbers import choose_caller, lock_if_owned

log = logging.getLogger(__name__)

IDLE = 0.05  # seconds between two looks at full hoppers
# Recipients whose speech is made at once, so that the first calls need not wait for the last: so many at first, then
# as many as are spoken within these seconds, so that the other runs need not wait long either.
SPEECH_CHUNK, FEWEST, MOST = 50, 10, 500
SPEECH_SECONDS = 1.0

_chunks: dict[int, int] = {}  # by run
# To count all that is queued takes longer the more has left the queue since it was vacuumed, so how much of it is older
# than a hopper full is remembered for so long.
OLDER_SECONDS = 1.0
_older: dict[int, tuple[float, int]] = {}  # by run: when it was counted (monotonic), and how many there were
# The run that was looked at last: the next turn goes on behind it, so that slow speech of some starves no other.
_last = 0


def fill_all(*, budget: float, stays: bool = True) -> bool:
    """Keep every running run's hopper full until all are filled for good or `budget` seconds are over.

    Several processes may do so: each run is filled by one at a time. Who does not stay goes once all are full, or are
    being filled. A run that cannot be filled is left to a later call. Returns whether another one still has recipients
    to take.
    """
    global _last
    end = time.monotonic() + budget
    broken: set[int] = set()
    while True:
        unfilled = list(
            Run.objects.filter(status__in=[RunStatus.RUNNING, RunStatus.STOPPING], filled_at__isnull=True)
            .exclude(pk__in=broken)
            .order_by("pk")
            .values_list("pk", "status")
        )
        if not unfilled:
            return False
        moved = False
        for pk, status in sorted(unfilled, key=lambda run: run[0] <= _last):
            _last = pk
            stalls.note_progress(stalls.FILL if stays else stalls.FILL_MORE)
            with locked(f"fill:{pk}") as ours:
                moved |= ours and _advance(pk, RunStatus(status), broken)
            if time.monotonic() >= end:
                return True
        if not moved:
            if not stays:
                return True
            time.sleep(IDLE)


def _advance(run_id: int, status: RunStatus, broken: set[int]) -> bool:
    """Whether anything was done for this run; one that is broken must not stop the others."""
    try:
        if status is RunStatus.STOPPING:
            return lifecycle.terminate_untouched(run_id)
        return fill(run_id) > 0
    except (OperationalError, InterfaceError):
        raise
    except (speech.SpeechTimedOut, speech.SpeechBudgetExceeded) as error:
        setting_aside.for_its_speech(run_id, error)
        return True
    except Exception as error:
        log.exception("Run %d cannot be filled", run_id)
        broken.add(run_id)
        setting_aside.if_it_keeps_failing(run_id, error)
        return False


def fill(run_id: int) -> int:
    """Queue the deliveries of a run's next recipients, as many as its hopper has room for; how many.

    Raises SpeechTimedOut, or SpeechBudgetExceeded when a single recipient takes longer to speak for than one run may take.
    """
    run = Run.objects.select_related("campaign", "audio", "hold").get(pk=run_id)
    room = room_of(run)
    if not room:
        return 0
    if run.caller:  # it may have been released since the run began
        run.caller = choose_caller(owner_id=run.campaign.owner_id, wanted=run.caller)
    speaks = Service(run.campaign.service).calls and run.source == Source.MESSAGE
    limit = min(room, _chunks.get(run.pk, SPEECH_CHUNK)) if speaks else room
    if run.is_capped:
        # Looked at first: what ends between the two looks gives credits back, and the run goes on.
        has_unfinished = lifecycle.has_unfinished_deliveries(run.pk)
        limit = min(limit, _affordable(run))
        if limit <= 0:
            return 0 if has_unfinished else _end_for_want_of_credits(run)
    recipients = rendering.addressees(run.untouched()[:limit])
    content = survey_calls if run.campaign.service == Service.SURVEY else rendering
    begun_at = time.monotonic()
    try:
        orders = content.orders(run, recipients)
    except speech.SpeechBudgetExceeded as error:
        if len(recipients) == 1 and not error.made_count:
            raise
        _chunks[run.pk] = max(1, len(recipients) // 2)  # what was made is there next time
        return 0
    if speaks and len(recipients) == limit:
        _learn(run.pk, spoken=limit, seconds=time.monotonic() - begun_at)
    failpoint("rendered")
    with transaction.atomic():
        if run.caller and not lock_if_owned(owner_id=run.campaign.owner_id, number=run.caller):
            return 0
        # Speech was made outside: it takes time. Whoever filled, stopped or paused this run meanwhile has won.
        moved = Run.objects.filter(
            pk=run.pk, status=RunStatus.RUNNING, cursor=run.cursor, filled_at=None
        ).update(
            cursor=recipients[-1].pk if recipients else run.last_recipient,
            filled_at=timezone.now() if len(recipients) < limit else None,
            failing_since=None,
        )
        if not moved:
            return 0
        enqueue(requests=orders)
        failpoint("filling")
    failpoint("filled")
    return len(orders)


def _learn(run_id: int, *, spoken: int, seconds: float) -> None:
    """How many recipients of this run are spoken for within a second, at most twice as many as just now."""
    if len(_chunks) > 1000:  # of runs that have ended long ago
        _chunks.clear()
    fitting = int(spoken * min(2.0, SPEECH_SECONDS / max(seconds, 0.001)))
    # Below the fewest there is only what has run out of time.
    _chunks[run_id] = min(max(fitting, min(FEWEST, 2 * spoken)), MOST)


def _end_for_want_of_credits(run: Run) -> int:
    """Nothing more can be paid for, and nothing is under way that could give some back: the run has ended."""
    Run.objects.filter(pk=run.pk, status=RunStatus.RUNNING, cursor=run.cursor).update(
        filled_at=timezone.now()
    )
    return 0


def room_of(run: Run) -> int:
    """For how many more deliveries a run's hopper has room; 0 while it is more than half full."""
    latest, alike = _queued_of_the_latest(run)
    counted_at, older = _older.get(run.pk, (0.0, 0))
    known = time.monotonic() - counted_at < OLDER_SECONDS
    if _is_full(latest + older if known else latest):
        return 0
    if not known or not alike:
        older = max(0, _queued(run) - latest)
        if len(_older) > 1000:  # of runs that have ended long ago
            _older.clear()
        _older[run.pk] = time.monotonic(), older
    return 0 if _is_full(latest + older) else int(settings.IRIS_HOPPER_SIZE) - latest - older


def _is_full(queued: int) -> bool:
    return queued > settings.IRIS_HOPPER_SIZE / 2


def _queued_of_the_latest(run: Run) -> tuple[int, bool]:
    """How many of the run's latest deliveries, a hopper full, are queued, and whether they all go the same way.

    Older ones are queued where they do not, since the latest may have left by the faster way; else when put back.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT count(*) FILTER (WHERE status = {QUEUED}),
                       coalesce(min(trunk_id) = max(trunk_id) AND min(channel) = max(channel), true)
                  FROM (SELECT status, trunk_id, channel FROM telephony_delivery WHERE purpose = %s AND batch = %s
                         ORDER BY item DESC LIMIT %s) latest""",
            [Purpose.CAMPAIGN.value, run.pk, settings.IRIS_HOPPER_SIZE],
        )
        count, alike = cursor.fetchone()
        return count, alike


def _queued(run: Run) -> int:
    return deliveries.count_queued(
        run.pk, purpose=Purpose.CAMPAIGN, owner_id=run.campaign.owner_id, priority=rendering.PRIORITY
    )


def _affordable(run: Run) -> int:
    """For how many more recipients a run with a spending limit has credits set aside."""
    unfinished = Delivery.objects.filter(purpose=Purpose.CAMPAIGN, batch=run.pk, status__lt=FINAL).aggregate(
        reserved=Sum("credit_limit"), calls=Count("pk", filter=Q(channel=Channel.CALL))
    )
    reserved = unfinished["reserved"] or Decimal(0)
    if run.failover_statuses:
        reserved += run.sms_limit * unfinished["calls"]
    # The hold is read after them: what is captured in between counts twice, and never not at all.
    run.hold.refresh_from_db()
    return int((run.hold.remaining - reserved) // (run.call_limit + run.sms_limit))
