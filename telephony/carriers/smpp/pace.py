"""How fast an SMSC can be sent to, found out from its complaints."""

from __future__ import annotations

CUT = 0.85  # of the pace that was too fast
GROWTH, FAST_GROWTH = 1.05, 1.2  # a second; fast once there has been no complaint for a while
A_WHILE = 10.0  # seconds
LONGEST_RISE = 60.0  # seconds in which any pace has risen beyond every limit
HOLD_SECONDS = 0.5  # that nothing is sent after a complaint
NO_LIMIT = 10_000  # PDUs a second from which on a limit means nothing
CATCH_UP = 0.02  # seconds of slots that are made up for: of two batches the second is claimed after the first has left
SPAN = 1.0  # seconds over which the present pace is measured


class Pace:
    """`slowed` is in PDUs a second, None until the SMSC complains; then it falls fast and rises slowly.

    `ceiling` is what was agreed with its operator. Times are monotonic. One thread tells it what happens, others may
    read.
    """

    def __init__(self, ceiling: float | None = None) -> None:
        self.slowed: float | None = None
        self.held_until = 0.0
        self._ceiling = ceiling
        self._next_slot = 0.0
        self._complained_at = 0.0
        self._risen_at = 0.0
        self._taken = 0
        self._since = 0.0
        self._rate = 0.0

    @property
    def limit(self) -> float | None:
        """PDUs a second that may leave at present; None when there is no limit."""
        return min((limit for limit in (self.slowed, self._ceiling) if limit), default=None)

    def slot(self, *, now: float) -> float:
        """Take the next slot to send a PDU; how many seconds it is away."""
        limit = self.limit
        if limit is None:
            return 0.0
        slot = max(now - CATCH_UP, self._next_slot)
        self._next_slot = slot + 1 / limit
        return max(0.0, slot - now)

    def took(self, count: int, *, now: float) -> None:
        """The SMSC took so many."""
        self._measure(now)
        self._taken += count
        if self.slowed is not None and now > self._risen_at:
            growth = FAST_GROWTH if now - self._complained_at > A_WHILE else GROWTH
            self.slowed *= growth ** min(now - self._risen_at, LONGEST_RISE)
            self._risen_at = now
            if self.slowed > NO_LIMIT:
                self.slowed = None

    def complained(self, *, now: float) -> None:
        """The SMSC found it too fast. Complaints about what had left before the first one are the same complaint."""
        self._measure(now)
        if now < self.held_until:
            return
        seen = max(self._rate, self._taken / max(SPAN, now - self._since))
        self.slowed = max(1.0, CUT * min(self.slowed or seen, seen))
        self._complained_at = now
        self.held_until = self._risen_at = now + HOLD_SECONDS

    def rest(self, seconds: float, *, now: float) -> None:
        """Nothing is to be sent for so long."""
        self.held_until = max(self.held_until, now + seconds)

    def _measure(self, now: float) -> None:
        if now - self._since >= SPAN:
            self._rate = self._taken / (now - self._since) if self._since else 0.0
            self._taken, self._since = 0, now
