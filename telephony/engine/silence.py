"""Pause a trunk that accepts SMS but has stopped reporting on them, and one whose worker is gone.

How long reports take is known from the past (`telephony.engine.carrier_truth`). A carrier that sends no reports, or
of which too little is known, is never paused for silence.
"""

from __future__ import annotations

import time
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.utils import timezone

from telephony.carriers import SessionCarrier, get_carrier
from telephony.engine import carrier_truth, circuit_breaker, routing
from telephony.models import Channel, Delivery, PauseCause, Trunk
from telephony.models.statuses import ANSWERED, QUEUED, SUBMITTED

KNOWN_PERIOD = timedelta(days=14)
MIN_KNOWN = 200  # reports, before it is known how long they take
MIN_REPORTED_SHARE = 0.5
# A trunk is silent if nothing was reported for this many times the time in which 95 % of the reports came.
FACTOR = 5.0
MIN_SECONDS = 300.0
MIN_WAITING = 30  # SMS that should have been reported by now, to different recipients
MAX_WORKER_ABSENCE = timedelta(minutes=5)  # longer than the restart for an upgrade
NOTE_SECONDS = 5.0
WATCH_SECONDS = 15.0

_noted_at: dict[str, float] = {}
_watched_at = float("-inf")
_limits: dict[
    str, tuple[float, float | None]
] = {}  # by trunk: when it was computed (monotonic), and the limit
LIMIT_SECONDS = 300.0  # how long a limit is kept


def note_report(alias: str) -> None:
    """Note in the trunk's row that a final report came now. Frequent calls cost one statement in five seconds."""
    now = time.monotonic()
    if now - _noted_at.get(alias, float("-inf")) >= NOTE_SECONDS:
        _noted_at[alias] = now
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE telephony_trunk SET reported_at = statement_timestamp() WHERE alias = %s", [alias]
            )


def watch() -> None:
    """Pause the trunks that are silent or have no worker. Each tick calls this; it looks every quarter of a minute."""
    global _watched_at
    if time.monotonic() - _watched_at < WATCH_SECONDS:
        return
    _watched_at = time.monotonic()
    for trunk in Trunk.objects.filter(alias__in=settings.CARRIERS, pause_reason=""):
        if _has_lost_its_worker(trunk):
            minutes = MAX_WORKER_ABSENCE.total_seconds() / 60
            circuit_breaker.fail(
                trunk.alias,
                reason=f"It has had no worker for {minutes:.0f} minutes.",
                cause=PauseCause.ERRORS,
            )
            continue
        limit = _limit(trunk.alias)
        if limit is None:
            continue
        waiting = _count_waiting(trunk, limit)
        if waiting >= MIN_WAITING:
            circuit_breaker.fail(
                trunk.alias,
                reason=f"It has reported on none of {waiting} SMS for {limit / 60:.0f} minutes.",
                cause=PauseCause.SILENCE,
            )


def _has_lost_its_worker(trunk: Trunk) -> bool:
    """Return whether a trunk with a connection has long had no worker, while deliveries wait that another could submit."""
    return (
        isinstance(get_carrier(trunk.alias), SessionCarrier)
        and trunk.session_at is not None
        and trunk.session_at < timezone.now() - MAX_WORKER_ABSENCE
        and any(routing.trunks_beside(trunk.alias, channel) for channel in Channel)
        and Delivery.objects.filter(trunk=trunk, status=QUEUED).exists()
    )


def _limit(alias: str) -> float | None:
    """Return after how many seconds without a report a trunk is silent; None if that is not known."""
    now = time.monotonic()
    if alias not in _limits or now - _limits[alias][0] > LIMIT_SECONDS:
        _limits[alias] = now, usual_limit(alias)
    return _limits[alias][1]


def usual_limit(alias: str) -> float | None:
    """Compute after how many seconds without a report a trunk is silent, from its last two weeks."""
    known = carrier_truth.figures(since=timezone.now() - KNOWN_PERIOD, trunk=alias, by_operator=False)
    for one in known:
        if one.channel != Channel.SMS or not one.sends_reports or one.delivered < MIN_KNOWN:
            continue
        latest = one.latency(0.95)
        if latest is not None and (one.delivered + one.failed) / one.reported >= MIN_REPORTED_SHARE:
            limit = max(MIN_SECONDS, FACTOR * latest)
            return limit if limit < get_carrier(alias).report_timeout() else None
    return None


def _count_waiting(trunk: Trunk, limit: float) -> int:
    """Return to how many recipients SMS are waiting for a report for longer than the limit; 0 if any was reported since.

    Counts at most a thousand SMS: those that are lost next.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT count(DISTINCT waiting."to") FROM telephony_trunk t, LATERAL (
                    SELECT "to" FROM telephony_delivery d
                     WHERE d.trunk_id = t.id AND d.status BETWEEN {SUBMITTED} AND {ANSWERED} AND d.channel = %s
                       AND d.ref <> '' AND d.submitted_at < statement_timestamp() - make_interval(secs => %s)
                       AND d.submitted_at > coalesce(t.reported_at, '-infinity')
                     ORDER BY d.expires_at LIMIT 1000) waiting
                 WHERE t.id = %s AND coalesce(t.reported_at, '-infinity')
                       < statement_timestamp() - make_interval(secs => %s)""",
            [Channel.SMS.value, limit, trunk.pk, limit],
        )
        return int(cursor.fetchone()[0])
