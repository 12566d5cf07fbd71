"""Count the recipients of a campaign by their present state, and compute the pace of its run.

The counts agree with `states`: the rows behind each figure are those that a search for its states finds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from campaigns.models import Campaign, Run, RunStatus, Service
from campaigns.reports import recipient_counts
from telephony.models import FINAL, Channel, DeliveryStatus, Purpose
from telephony.models.statuses import QUEUED, TERMINATED

# The recipients of a large campaign are counted while they change (`recipient_counts`), because counting a million of them
# takes a third of a second. The figures of a large campaign are also kept for some seconds, the longer the more recipients
# it has: some must be counted nevertheless (`_from_counts`).
CACHE_ABOVE_NUMBERS, NUMBERS_A_SECOND = 5_000, 100_000
PACE_SECONDS = 60.0
MIN_PACE_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Figures:
    """How many recipients are in each state. None is “not started”, as in `states`."""

    counts: Mapping[DeliveryStatus | None, int]

    def of(self, *statuses: DeliveryStatus | None) -> int:
        return sum(self.counts.get(status, 0) for status in statuses)

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def left(self) -> int:
        return self.counts.get(None, 0)

    @property
    def under_way(self) -> int:
        return sum(n for status, n in self.counts.items() if status is not None and status < FINAL)

    @property
    def ended(self) -> int:
        return sum(n for status, n in self.counts.items() if status is not None and status >= FINAL)

    @property
    def reached(self) -> int:
        return self.counts.get(DeliveryStatus.COMPLETED, 0)

    @property
    def not_reached(self) -> int:
        """The recipients whose attempts have ended without success."""
        return self.ended - self.reached


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Recipients a minute: `now` over the last minute, `mean` since the run began. `ends_at` is expected at this pace."""

    now: float | None
    mean: float | None
    ends_at: datetime | None


def figures_of(campaign: Campaign, run: Run | None) -> Figures:
    """Count a campaign's recipients by state. `run` is its live run (`run_statuses.live_run`), or None.

    Takes at most two queries, and three more once for each large campaign.
    """
    run = None if run is None or run.trial else run
    if campaign.number_count < CACHE_ABOVE_NUMBERS:
        return Figures(counts=_counted(campaign, run))
    # The key changes with everything that a person sees at once, such as a pause.
    state = "" if run is None else f"{run.pk}:{run.status}:{run.filled_at is not None}"
    key = f"figures:{campaign.pk}:{campaign.number_count}:{state}"
    counts = cache.get(key)
    if counts is None:
        counts = _from_counts(campaign, run)
        if counts is None:
            counts = _counted(campaign, run)
        cache.set(key, counts, max(1.0, campaign.number_count / NUMBERS_A_SECOND))
    return Figures(counts=counts)


def _counted(campaign: Campaign, run: Run | None) -> dict[DeliveryStatus | None, int]:
    """Read all recipients of a campaign and count them."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, _arguments(campaign, run))
        return {_status(shown): n for shown, n in cursor.fetchall()}


def _from_counts(campaign: Campaign, run: Run | None) -> dict[DeliveryStatus | None, int] | None:
    """Derive the figures from the counts by status; None if all recipients must be read.

    While a run fills, its recipients without a delivery are shown as not started, whatever an earlier run stored with them.
    They are not counted apart from the others, so only the figures of the first run can be derived. A stopping run shows
    them as terminated.
    """
    if run is not None and run.filled_at is None and (run.status == RunStatus.STOPPING or not _is_first(run)):
        return None
    if not recipient_counts.is_counted(campaign.pk):
        return None
    with connection.cursor() as cursor:
        cursor.execute(_ADD_UP, _arguments(campaign, run))
        return {_status(shown): n for shown, n in cursor.fetchall()}


def _is_first(run: Run) -> bool:
    """Return whether no earlier run has stored a result with the recipients."""
    earlier = Run.objects.filter(campaign=run.campaign_id, pk__lt=run.pk, trial=False)
    return not earlier.exclude(status=RunStatus.WITHDRAWN).exists()


def _status(number: int | None) -> DeliveryStatus | None:
    return None if number is None else DeliveryStatus(number)


def _arguments(campaign: Campaign, run: Run | None) -> dict[str, Any]:
    calls = Service(campaign.service).calls
    untouched = run is not None and run.filled_at is None
    return {
        "campaign": campaign.pk,
        "purpose": Purpose.CAMPAIGN.value,
        "batch": -1 if run is None else run.pk,
        "channel": (Channel.CALL if calls else Channel.SMS).value,
        "final": int(FINAL),
        "queued": QUEUED,
        # An empty range of ids if there are no untouched recipients.
        "after": run.cursor if run is not None and untouched else 0,
        "last": run.last_recipient if run is not None and untouched else -1,
        "statuses": None if run is None else run.statuses,
        "individual": None if run is None else run.individual,
        "untouched": TERMINATED if run is not None and run.status == RunStatus.STOPPING else None,
    }


_COUNT = """
    SELECT shown, count(*) FROM (
        SELECT CASE WHEN d.status = %(queued)s THEN NULL
                    WHEN d.status IS NOT NULL THEN d.status
                    WHEN r.id > %(after)s AND r.id <= %(last)s
                         AND (%(statuses)s::smallint[] IS NULL OR r.status = ANY(%(statuses)s::smallint[]))
                         AND (%(individual)s::bigint[] IS NULL OR r.id = ANY(%(individual)s::bigint[]))
                    THEN %(untouched)s::smallint
                    ELSE r.status END AS shown
          FROM campaigns_recipient r
          LEFT JOIN telephony_delivery d ON d.item = r.id AND d.batch = %(batch)s AND d.purpose = %(purpose)s
                AND d.channel = %(channel)s AND d.status < %(final)s
         WHERE r.campaign_id = %(campaign)s) AS states
     GROUP BY shown
"""


# In one statement, so that a recipient whose delivery ends meanwhile is counted once. Those with a delivery that is not over
# are shown with its status instead of the stored one.
_ADD_UP = """
    WITH unfinished AS (
        SELECT r.status AS stored, NULLIF(d.status, %(queued)s) AS shown, count(*) AS n
          FROM telephony_delivery d JOIN campaigns_recipient r ON r.id = d.item
         WHERE d.batch = %(batch)s AND d.purpose = %(purpose)s AND d.channel = %(channel)s AND d.status < %(final)s
         GROUP BY r.status, d.status
    )
    SELECT status, sum(n)::bigint FROM (
        SELECT status, count AS n FROM campaigns_recipientcount WHERE campaign_id = %(campaign)s
        UNION ALL SELECT stored, -n FROM unfinished
        UNION ALL SELECT shown, n FROM unfinished) AS parts
     GROUP BY status HAVING sum(n) <> 0
"""


def pace_of(run: Run, figures: Figures) -> Pace:
    """Return the pace of a running run. Takes one query, on its latest deliveries only."""
    now = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute(
            _LATELY,
            {
                "batch": run.pk,
                "purpose": Purpose.CAMPAIGN.value,
                "latest": 2 * settings.IRIS_HOPPER_SIZE,
                "since": now - timedelta(seconds=PACE_SECONDS),
            },
        )
        lately, first, examined = cursor.fetchone()
    rate: float | None = None
    if lately:
        # If all examined deliveries are recent, the time since the first of them is the shorter period.
        seconds = PACE_SECONDS if examined > lately else (now - first).total_seconds()
        since_start = (now - run.starts_at).total_seconds()
        seconds = max(min(seconds, since_start), MIN_PACE_SECONDS)
        rate = 60 * lately / seconds
    minutes = (now - run.starts_at).total_seconds() / 60
    begun = max(run.recipient_count - figures.left, 0)
    mean = begun / minutes if minutes > 0 and begun else None
    usual = rate or mean
    ends_at = (
        now + timedelta(minutes=figures.left / usual) if usual and run.status == RunStatus.RUNNING else None
    )
    return Pace(now=rate, mean=mean, ends_at=ends_at)


_LATELY = """
    SELECT count(*) FILTER (WHERE submitted_at > %(since)s), min(submitted_at) FILTER (WHERE submitted_at > %(since)s),
           count(*) FILTER (WHERE submitted_at IS NOT NULL)
      FROM (SELECT submitted_at FROM telephony_delivery WHERE purpose = %(purpose)s AND batch = %(batch)s
             ORDER BY item DESC LIMIT %(latest)s) AS latest
"""
