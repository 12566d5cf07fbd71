"""Say how reliable each carrier is: what share of the accepted deliveries was delivered, failed or silent, and how fast.

The figures are sums of `OutcomeCount`. Shares of deliveries that are still under way are not known, so they do not count.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

from telephony.engine.outcomes import BOUNDS

# The silent share of the last day is compared with that of the weeks before.
RECENT, USUAL = timedelta(days=1), timedelta(days=14)
MIN_RECENT, MIN_USUAL = 50, 200  # fewer ended deliveries say nothing
SIGMAS = 4.0  # how far from the usual share a share of this many deliveries is, by chance, less than once in 10,000 times
MIN_DEVIATION = 0.02
WARN_SECONDS = 3600.0  # between two warnings of one process

log = logging.getLogger(__name__)
_warned_at = -WARN_SECONDS


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth:
    """The figures of a trunk and an operator. Latencies are in seconds, None if nothing was delivered."""

    trunk: str
    channel: str
    operator: str
    accepted: int
    delivered: int
    failed: int
    silent: int
    overdue: int
    unconfirmed: int
    refused: int
    latencies: tuple[int, ...]

    @property
    def reported(self) -> int:
        """Return how many deliveries of a carrier with reports have ended, or should have been reported by now."""
        return self.delivered + self.failed + self.silent + self.overdue

    @property
    def silent_share(self) -> float | None:
        return (self.silent + self.overdue) / self.reported if self.sends_reports else None

    @property
    def delivered_share(self) -> float | None:
        return self.delivered / self.reported if self.sends_reports else None

    @property
    def sends_reports(self) -> bool:
        """Return whether the carrier reports: most of what has ended was reported or should have been."""
        return self.reported > self.unconfirmed

    def latency(self, share: float) -> float | None:
        """Return the seconds within which this share of the delivered ones was reported."""
        return quantile(self.latencies, share)


@dataclass(frozen=True, kw_only=True, slots=True)
class Unusual:
    """A silent share outside of its usual band."""

    trunk: str
    channel: str
    operator: str
    share: float
    usual: float
    low: float
    high: float

    def __str__(self) -> str:
        return (
            f"{self.trunk}, {self.operator}: {self.share:.1%} of the {self.channel} deliveries of the last day were never "
            f"reported; usually it is {self.usual:.1%} ({self.low:.1%} to {self.high:.1%})."
        )


def quantile(counts: Sequence[int], share: float) -> float | None:
    """Return the value below which this share of the counted latencies is, by linear interpolation between BOUNDS."""
    total = sum(counts)
    if not total:
        return None
    wanted, below = share * total, 0
    for place, count in enumerate(counts):
        if count and below + count >= wanted:
            low = BOUNDS[place - 1] if place else 0
            high = BOUNDS[place] if place < len(BOUNDS) else BOUNDS[-1]
            return low + (high - low) * (wanted - below) / count
        below += count
    return float(BOUNDS[-1])


def figures(
    *, since: datetime, until: datetime | None = None, trunk: str = "", by_operator: bool = True
) -> list[Truth]:
    """Return the figures of the deliveries submitted in these hours, by trunk, channel and operator.

    Without `by_operator`, one for each trunk and channel, with the operator "all".
    """
    operator = "o.operator" if by_operator else "'all'"
    places = ", ".join(f"sum(o.latencies[{place + 1}])" for place in range(len(BOUNDS) + 1))
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT t.alias, o.channel, {operator}, sum(o.accepted), sum(o.delivered), sum(o.failed), sum(o.silent),
                       sum(o.overdue), sum(o.unconfirmed), sum(o.refused), ARRAY[{places}]
                  FROM telephony_outcomecount o JOIN telephony_trunk t ON t.id = o.trunk_id
                 WHERE o.hour >= date_trunc('hour', %s::timestamptz) AND o.hour < %s AND (%s = '' OR t.alias = %s)
                 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3""",
            [since, until or timezone.now() + timedelta(hours=1), trunk, trunk],
        )
        return [
            Truth(
                trunk=row[0], channel=row[1], operator=row[2], accepted=int(row[3]), delivered=int(row[4]),
                failed=int(row[5]), silent=int(row[6]), overdue=int(row[7]), unconfirmed=int(row[8]),
                refused=int(row[9]), latencies=tuple(map(int, row[10])),
            )
            for row in cursor.fetchall()
        ]  # fmt: skip


def unusual(now: datetime | None = None) -> list[Unusual]:
    """Return where the silent share of the last day is outside of its usual band.

    The band is the share of the two weeks before, plus and minus what is likely by chance for so many deliveries.
    """
    now = now or timezone.now()
    usual = {
        (one.trunk, one.channel, one.operator): one
        for one in figures(since=now - RECENT - USUAL, until=now - RECENT)
    }
    found = []
    for one in figures(since=now - RECENT):
        before = usual.get((one.trunk, one.channel, one.operator))
        if before is None or before.reported < MIN_USUAL or one.reported < MIN_RECENT:
            continue
        share, expected = one.silent_share, before.silent_share
        if share is None or expected is None:
            continue
        deviation = max(MIN_DEVIATION, SIGMAS * math.sqrt(expected * (1 - expected) / one.reported))
        low, high = max(0.0, expected - deviation), min(1.0, expected + deviation)
        if not low <= share <= high:
            found.append(
                Unusual(
                    trunk=one.trunk, channel=one.channel, operator=one.operator, share=share, usual=expected,
                    low=low, high=high,
                )
            )  # fmt: skip
    return found


def warn() -> None:
    """Log where the silent share is outside of its usual band, at most once an hour."""
    global _warned_at
    if time.monotonic() - _warned_at < WARN_SECONDS:
        return
    _warned_at = time.monotonic()
    for one in unusual():
        log.warning("%s", one, extra={"trunk": one.trunk})


COLUMNS = (
    "trunk", "channel", "operator", "accepted", "delivered", "failed", "silent", "overdue", "unconfirmed",
    "refused", "delivered_share", "silent_share", "median_seconds", "p95_seconds",
)  # fmt: skip


def cells(one: Truth) -> list[str]:
    """Return the figures as texts, one for each of COLUMNS."""
    counts = [
        one.accepted, one.delivered, one.failed, one.silent, one.overdue, one.unconfirmed, one.refused,
    ]  # fmt: skip
    return [
        one.trunk,
        one.channel,
        one.operator,
        *map(str, counts),
        _percent(one.delivered_share),
        _percent(one.silent_share),
        _seconds(one.latency(0.5)),
        _seconds(one.latency(0.95)),
    ]


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _seconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.1f}"
