"""Keep a small stock of queued deliveries for each running run ahead of its trunk: the hopper.

Recipients are taken in the order of their ids. One transaction inserts their deliveries and moves the run's cursor, so
a crash can neither skip nor repeat a recipient. The update compares the cursor first, so two processes that fill the
same run at the same time cannot skip or repeat one either.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import BooleanField, Count, ExpressionWrapper, F, Q, QuerySet, Sum
from django.db.models.functions import Now
from django.utils import timezone
from structlog.contextvars import bound_contextvars

from accounts import credits
from campaigns.messages import parse_message
from campaigns.models import LeftOut, Run, RunStatus, Service, Source
from campaigns.runs import (
    alert_intake,
    alerts,
    delivery_requests,
    intake,
    recipient_statuses,
    run_hours,
    run_statuses,
    seeds,
    setting_aside,
    survey_calls,
    waves,
)
from campaigns.runs.prices import RunPrices
from campaigns.runs.rules import URGENT, rules_of
from iris.locks import locked
from telephony import speech
from telephony.engine import lifecycle as deliveries
from telephony.engine import stalls
from telephony.engine.enqueue import enqueue
from telephony.engine.failpoints import failpoint
from telephony.models import FINAL, Cause, Channel, Delivery, Purpose
from telephony.models.statuses import QUEUED
from telephony.phone_numbers import lock_if_owned
from telephony.senders.choosing import NoSender

log = logging.getLogger(__name__)

POLL_SECONDS = 0.05  # seconds between two searches for hoppers with room
# Speech is synthesized for a chunk of recipients at a time, so that the first calls do not wait for the last recipient. The
# first chunk of a run has SPEECH_CHUNK recipients. Later chunks take about SPEECH_SECONDS, so that other runs wait little.
# An urgent run begins with URGENT_SPEECH_CHUNK, so that its first call leaves at once.
URGENT_SPEECH_CHUNK, SPEECH_CHUNK, MIN_SPEECH_CHUNK, MAX_SPEECH_CHUNK = 5, 50, 10, 500
SPEECH_SECONDS = 1.0

_speech_chunks: dict[int, int] = {}  # by run
# Counting all queued deliveries becomes slow when many rows have left the queue since the last vacuum. Therefore the number
# of queued deliveries that are older than the latest IRIS_HOPPER_SIZE is cached for this long.
OLDER_QUEUED_SECONDS = 1.0
_older_queued: dict[int, tuple[float, int]] = {}  # by run: time of the count (monotonic), and the count
# When a full hopper is looked at again (monotonic). Each look reads as many rows as a hopper holds, and no trunk takes more
# than MAX_RATE deliveries a second from it.
MAX_RATE, MAX_LOOK_SECONDS = 10_000, 0.25
_next_looks: dict[int, float] = {}  # by run
# The run that was filled last. The next time slice continues with the run after it, so that slow speech of one run starves
# no other run.
_last_run_id = 0


_IS_URGENT = Q(rules__has_key=URGENT)
_URGENT = ExpressionWrapper(_IS_URGENT, BooleanField())


def unfilled() -> QuerySet[Run]:
    """Return the runs for whose recipients something must be queued, or that must end them.

    Others wait for their calling hours, or before their next wave.
    """
    open_now = (Q(opens_at=None) | Q(opens_at__lte=Now())) & (Q(wave_room=None) | Q(wave_room__gt=0))
    return Run.objects.filter(
        Q(status=RunStatus.STOPPING) | Q(open_now, status=RunStatus.RUNNING), filled_at__isnull=True
    )


def fill_all(*, budget: float, waits_for_room: bool = True) -> bool:
    """Keep the hoppers of all running runs full, until no run has recipients left or `budget` seconds have passed.

    Urgent runs go first: whenever anything was queued for another run, they are looked at again.

    Several processes may call this; a lock lets only one at a time fill a run. Without `waits_for_room`, return as soon as
    every hopper is full or being filled. If filling a run fails, a later call tries it again. Returns whether runs remain
    that have recipients left.
    """
    global _last_run_id
    end = time.monotonic() + budget
    broken: set[int] = set()
    while True:
        waiting = unfilled().exclude(pk__in=broken).order_by("pk")
        found = list(waiting.annotate(urgent=_URGENT).values_list("pk", "status", "urgent"))
        if not found:
            return False
        moved = False
        for pk, status, urgent in sorted(found, key=lambda run: (not run[2], run[0] <= _last_run_id)):
            if status == RunStatus.RUNNING and time.monotonic() < _next_looks.get(pk, 0.0):
                continue
            if not urgent:
                _last_run_id = pk
            stalls.note_progress(stalls.FILL if waits_for_room else stalls.FILL_MORE)
            with bound_contextvars(run=pk), locked(f"fill:{pk}") as ours:
                moved |= ours and _advance(pk, RunStatus(status), broken)
            if time.monotonic() >= end:
                return True
            if moved and not urgent and unfilled().filter(_IS_URGENT).exclude(pk__in=broken).exists():
                break
        if not moved:
            if not waits_for_room:
                return True
            time.sleep(POLL_SECONDS)


def _advance(run_id: int, status: RunStatus, broken: set[int]) -> bool:
    """Fill the run, or terminate its recipients if it is stopping. Return whether anything changed.

    After an error, add the run to `broken`, so that it does not delay the other runs.
    """
    try:
        if status is RunStatus.STOPPING:
            return recipient_statuses.terminate_untouched(run_id)
        return fill(run_id) > 0
    except (OperationalError, InterfaceError):
        raise
    except (speech.SpeechTimedOut, speech.SpeechBudgetExceeded) as error:
        setting_aside.set_aside_for_speech(run_id, error)
        return True
    except NoSender as error:
        setting_aside.set_aside_without_sender(run_id, error)
        return True
    except Exception as error:
        log.exception("Run %d cannot be filled", run_id)
        broken.add(run_id)
        setting_aside.set_aside_if_failing(run_id, error)
        return False


def fill(run_id: int) -> int:
    """Queue deliveries for a run's next recipients, as many as its hopper has room for.

    Recipients that the rules of the run leave out are marked instead (`intake`). Return how many deliveries were queued and
    recipients left out, or 1 if others must be read first.

    Raises SpeechTimedOut, SpeechBudgetExceeded if the speech of a single recipient exceeds the budget of a run, and NoSender
    if the approval of the SMS's sender has ended since the run began.
    """
    run = Run.objects.select_related("campaign", "audio", "hold").get(pk=run_id)
    if run_hours.waits(run) or run.wave_room == 0:
        return 0
    if not intake.is_ready(run):
        return 1
    room = room_of(run)
    if not room:
        return 0
    run.caller = delivery_requests.caller_of(run)
    speaks = Service(run.campaign.service).calls and run.source == Source.MESSAGE
    first_chunk = SPEECH_CHUNK
    if rules_of(run).urgent is not None:
        # What it says to everybody was spoken when it began. Between small chunks, calls of other runs would leave.
        speaks = speaks and bool(parse_message(run.message).tags)
        first_chunk = URGENT_SPEECH_CHUNK
    limit = min(room, _speech_chunks.get(run.pk, first_chunk)) if speaks else room
    asks = delivery_requests.asks_if_heard(run)
    again = alerts.due(run, limit=limit) if asks else []
    taken = (
        intake.Intake(recipients=again, left_out={}, is_last=False)
        if again
        else intake.take(
            run, limit=limit, count_contacts=speaks or run.is_capped or run.wave_room is not None
        )
    )
    if asks:
        if not taken.recipients and alerts.are_left(run):
            return 0
        # The recipients of a household follow each other, so an alert is filled when none of them is left.
        taken = replace(taken, is_last=not taken.recipients)
    if run.is_capped and taken.contacts:
        # Read before the credits: a delivery that ends between the two reads returns credits, and the run continues.
        has_unfinished = run_statuses.has_unfinished_deliveries(run.pk)
        taken = taken.first(count_affordable(run, taken.contacts))
        if not taken.recipients:
            return 0 if has_unfinished else _end_without_credits(run)
    chosen = alerts.choose(run, taken.contacts) if asks and not again else None
    contacts = taken.contacts if chosen is None else chosen.to_call
    content = survey_calls if run.campaign.service == Service.SURVEY else delivery_requests
    begun_at = time.monotonic()
    try:
        rendered = content.requests_for(run, contacts)
    except speech.SpeechBudgetExceeded as error:
        if len(contacts) == 1 and not error.made_count:
            raise
        _speech_chunks[run.pk] = max(
            1, len(contacts) // 2
        )  # the recordings made so far are stored and reused
        return 0
    if speaks and len(taken.recipients) == limit:
        _adapt_speech_chunk(run.pk, spoken=limit, seconds=time.monotonic() - begun_at)
    failpoint("rendered")
    with transaction.atomic():
        taken = intake.confirm(run, taken)
        requests = [request for request in rendered if request.item not in taken.left_out]
        too_long = sum(request.cause == Cause.TOO_LONG for request in requests)
        wave = waves.after_contacts(run, taken)
        if run.is_capped:
            # Before the run, as in transactions that end deliveries.
            credits.lock_holds([run.hold_id])
        if run.caller and not lock_if_owned(owner_id=run.campaign.owner_id, number=run.caller):
            return 0
        # Speech was synthesized before this transaction. If another process has filled, stopped or paused the run since,
        # this update matches no row and nothing is queued.
        moved = Run.objects.filter(
            pk=run.pk, status=RunStatus.RUNNING, cursor=run.cursor, filled_at=None
        ).update(
            cursor=run.cursor
            if again
            else taken.recipients[-1].pk
            if taken.recipients
            else run.last_recipient,
            filled_at=timezone.now() if taken.is_last or wave.is_last else None,
            failing_since=None,
            too_long=F("too_long") + too_long,
            duplicate_count=F("duplicate_count") + taken.count(LeftOut.DUPLICATE),
            over_cap_count=F("over_cap_count") + taken.count(LeftOut.FREQUENCY_CAP),
            **wave.fields,
        )
        if not moved:
            return 0
        # A late report may have taken credits since they were counted (`accounts.late_captures`).
        if run.is_capped and count_affordable(run, taken.contacts) < len(taken.contacts):
            transaction.set_rollback(True)
            return 0
        if asks:
            requests = alert_intake.only_called(run, requests, chosen, again)
        enqueue(requests=requests, needs_senders=True)
        recipient_statuses.leave_out(run, taken.reasons)
        failpoint("filling")
    failpoint("filled")
    if (taken.is_last or taken.recipients) and not again:
        seeds.send_due(run, cursor=run.last_recipient if taken.is_last else taken.recipients[-1].pk)
    if too_long:
        log.warning(
            "Run %d: %d calls are not made, because their speech is longer than the %.0f s that are held for each."
            " The voice %s speaks more slowly than iris assumes (telephony/speech/spoken_length.py)",
            run.pk,
            too_long,
            run.longest_call or run.call_seconds or 0.0,
            run.voice,
        )
    return len(requests) + len(taken.reasons)


def _adapt_speech_chunk(run_id: int, *, spoken: int, seconds: float) -> None:
    """Set the run's next chunk to as many recipients as SPEECH_SECONDS allow, at most double the last chunk."""
    if len(_speech_chunks) > 1000:  # most belong to runs that ended long ago
        _speech_chunks.clear()
    fitting = int(spoken * min(2.0, SPEECH_SECONDS / max(seconds, 0.001)))
    # A chunk is smaller than MIN_SPEECH_CHUNK only after the speech budget was exceeded. It then grows again by doubling.
    _speech_chunks[run_id] = min(max(fitting, min(MIN_SPEECH_CHUNK, 2 * spoken)), MAX_SPEECH_CHUNK)


def _end_without_credits(run: Run) -> int:
    """Mark the run as filled: its credits are used up, and no unfinished delivery could return any. Return 0."""
    Run.objects.filter(pk=run.pk, status=RunStatus.RUNNING, cursor=run.cursor).update(
        filled_at=timezone.now()
    )
    return 0


def room_of(run: Run) -> int:
    """Return how many more deliveries fit into the run's hopper; 0 while it is more than half full."""
    latest, same_way = _count_queued_of_latest(run)
    counted_at, older = _older_queued.get(run.pk, (0.0, 0))
    known = time.monotonic() - counted_at < OLDER_QUEUED_SECONDS
    if _is_full(queued := latest + older if known else latest):
        if len(_next_looks) > 1000:  # most belong to runs that ended long ago
            _next_looks.clear()
        _next_looks[run.pk] = time.monotonic() + min(queued / MAX_RATE, MAX_LOOK_SECONDS)
        return 0
    if not known or not same_way:
        older = max(0, _count_queued(run) - latest)
        if len(_older_queued) > 1000:  # most belong to runs that ended long ago
            _older_queued.clear()
        _older_queued[run.pk] = time.monotonic(), older
    return 0 if _is_full(latest + older) else int(settings.IRIS_HOPPER_SIZE) - latest - older


def _is_full(queued: int) -> bool:
    return queued > settings.IRIS_HOPPER_SIZE / 2


def _count_queued_of_latest(run: Run) -> tuple[int, bool]:
    """Return how many of the run's latest deliveries are due, and whether all use the same trunk and channel.

    The latest deliveries are the last IRIS_HOPPER_SIZE. If they use several trunks or channels, a slow trunk may still have
    older deliveries in its queue after a fast trunk has submitted the latest. Otherwise, older deliveries are due only if
    they returned to the queue, or are retries.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT count(*) FILTER (WHERE status = {QUEUED} AND {deliveries.DUE}),
                       coalesce(min(trunk_id) = max(trunk_id) AND min(channel) = max(channel), true)
                  FROM (SELECT status, trunk_id, channel, not_before FROM telephony_delivery
                         WHERE purpose = %s AND batch = %s ORDER BY item DESC LIMIT %s) latest""",
            [Purpose.CAMPAIGN.value, run.pk, settings.IRIS_HOPPER_SIZE],
        )
        count, same_way = cursor.fetchone()
        return count, same_way


def _count_queued(run: Run) -> int:
    return deliveries.count_due(
        run.pk, purpose=Purpose.CAMPAIGN, owner_id=run.campaign.owner_id, priority=rules_of(run).priority
    )


def count_affordable(run: Run, recipients: Sequence[delivery_requests.Addressee]) -> int:
    """Return how many of the next recipients the hold of a run with a spending limit can pay for."""
    unfinished = Delivery.objects.filter(purpose=Purpose.CAMPAIGN, batch=run.pk, status__lt=FINAL).aggregate(
        reserved=Sum(F("credit_limit") * (1 + F("tries_reserved"))),
        calls=Count("pk", filter=Q(channel=Channel.CALL)),
    )
    reserved = unfinished["reserved"] or Decimal(0)
    if run.failover_statuses:
        reserved += run.sms_limit * unfinished["calls"]
    # The hold is read after the deliveries: credits captured in between are subtracted twice, which is safe. In the
    # other order they would not be subtracted at all.
    run.hold.refresh_from_db()
    return RunPrices(run).affordable([one.to for one in recipients], run.hold.remaining - reserved)
