"""Adapt the pace to the SMSC: slow down when it throttles, and speed up again when it accepts."""

from __future__ import annotations

SLOWDOWN = 0.85  # factor on the measured pace when the SMSC throttles
GROWTH, FAST_GROWTH = 1.05, 1.2  # factors for each second after the slowdown
FAST_GROWTH_AFTER_SECONDS = 10.0  # FAST_GROWTH applies if the SMSC has not throttled for this long
# The longest time that one growth step counts, which prevents an overflow. FAST_GROWTH for this long lifts even the lowest
# limit.
MAX_GROWTH_SECONDS = 60.0
HOLD_SECONDS = 0.5  # how long nothing is sent after a throttle
MAX_LIMIT = 10_000  # PDUs a second above which the limit is lifted
# How far back missed slots may be made up for, because there are short gaps between claimed batches.
CATCH_UP_SECONDS = 0.02
MEASURE_SECONDS = 1.0  # window over which the pace is measured
# A pace measured on fewer PDUs says how little there was to send, not what the SMSC allows.
MIN_MEASURED = 30
REPEATED_SECONDS = 10.0  # a second throttle within this time shows that a pause is not enough


class Pace:
    """The pace of one trunk. Times are monotonic. One thread updates it; others may read it.

    `slowed` is the adaptive limit in PDUs a second: None until the SMSC throttles, then it falls fast and rises slowly. The
    first throttle only pauses a trunk that has sent little, because such a trunk was not too fast.
    `ceiling` is the limit agreed with the SMSC's operator.
    """

    def __init__(self, ceiling: float | None = None) -> None:
        self.slowed: float | None = None
        self.held_until = 0.0
        self._ceiling = ceiling
        self._next_slot = 0.0
        self._throttled_at = -REPEATED_SECONDS
        self._grown_at = 0.0
        self._accepted = 0
        self._since = 0.0
        self._rate = 0.0
        self._rate_count = 0  # PDUs on which `_rate` was measured

    @property
    def limit(self) -> float | None:
        """The current limit in PDUs a second; None if there is none."""
        return min((limit for limit in (self.slowed, self._ceiling) if limit), default=None)

    def slot(self, *, now: float) -> float:
        """Take the next slot to send a PDU. Return the seconds until then."""
        limit = self.limit
        if limit is None:
            return 0.0
        slot = max(now - CATCH_UP_SECONDS, self._next_slot)
        self._next_slot = slot + 1 / limit
        return max(0.0, slot - now)

    def note_accepted(self, count: int, *, now: float) -> None:
        """Note that the SMSC accepted `count` PDUs."""
        self._measure(now)
        self._accepted += count
        if self.slowed is not None and now > self._grown_at:
            growth = FAST_GROWTH if now - self._throttled_at > FAST_GROWTH_AFTER_SECONDS else GROWTH
            self.slowed *= growth ** min(now - self._grown_at, MAX_GROWTH_SECONDS)
            self._grown_at = now
            if self.slowed > MAX_LIMIT:
                self.slowed = None

    def note_throttled(self, *, now: float) -> None:
        """Slow down, because the SMSC throttled. Throttles during the hold are ignored: their PDUs were sent before it."""
        self._measure(now)
        if now < self.held_until:
            return
        lately = self._accepted / max(MEASURE_SECONDS, now - self._since)
        seen = max(self._rate, lately)
        is_measured = self._rate_count + self._accepted >= MIN_MEASURED
        is_repeated = now - self._throttled_at < REPEATED_SECONDS
        if self.slowed is not None or is_measured or is_repeated:
            self.slowed = max(1.0, SLOWDOWN * min(self.slowed or seen, seen))
        self._throttled_at = now
        self.held_until = self._grown_at = now + HOLD_SECONDS

    def rest(self, seconds: float, *, now: float) -> None:
        """Suspend sending for at least `seconds`."""
        self.held_until = max(self.held_until, now + seconds)

    def _measure(self, now: float) -> None:
        elapsed = now - self._since
        if elapsed >= MEASURE_SECONDS:
            # A window of twice the length contains a time in which iris sent nothing, so it does not show what the SMSC
            # accepts.
            is_busy = elapsed < 2 * MEASURE_SECONDS
            self._rate = self._accepted / elapsed if is_busy else 0.0
            self._rate_count = self._accepted if is_busy else 0
            self._accepted, self._since = 0, now
