"""Adapt the pace to the SMSC: slow down when it throttles, and speed up again when it accepts."""

from __future__ import annotations

SLOWDOWN = 0.85  # factor on the measured pace when the SMSC throttles
GROWTH, FAST_GROWTH = 1.05, 1.2  # factors for each second afterwards
FAST_GROWTH_AFTER_SECONDS = 10.0  # without a throttle, until FAST_GROWTH applies
MAX_GROWTH_SECONDS = 60.0  # cap of one growth step, which prevents an overflow; any limit is lifted sooner
HOLD_SECONDS = 0.5  # how long nothing is sent after a throttle
MAX_LIMIT = 10_000  # PDUs a second above which the limit is lifted
CATCH_UP_SECONDS = 0.02  # missed slots that may be made up for, because batches are claimed with short gaps
MEASURE_SECONDS = 1.0  # window over which the pace is measured


class Pace:
    """The pace of one trunk. Times are monotonic. One thread updates it; others may read it.

    `slowed` is the adaptive limit in PDUs a second: None until the SMSC throttles, then it falls fast and rises slowly.
    `ceiling` is the limit agreed with the SMSC's operator.
    """

    def __init__(self, ceiling: float | None = None) -> None:
        self.slowed: float | None = None
        self.held_until = 0.0
        self._ceiling = ceiling
        self._next_slot = 0.0
        self._throttled_at = 0.0
        self._grown_at = 0.0
        self._accepted = 0
        self._since = 0.0
        self._rate = 0.0

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
        """Slow down, because the SMSC throttled. Throttles during the hold are ignored: their PDUs left before it."""
        self._measure(now)
        if now < self.held_until:
            return
        seen = max(self._rate, self._accepted / max(MEASURE_SECONDS, now - self._since))
        self.slowed = max(1.0, SLOWDOWN * min(self.slowed or seen, seen))
        self._throttled_at = now
        self.held_until = self._grown_at = now + HOLD_SECONDS

    def rest(self, seconds: float, *, now: float) -> None:
        """Suspend sending for at least `seconds`."""
        self.held_until = max(self.held_until, now + seconds)

    def _measure(self, now: float) -> None:
        if now - self._since >= MEASURE_SECONDS:
            self._rate = self._accepted / (now - self._since) if self._since else 0.0
            self._accepted, self._since = 0, now
