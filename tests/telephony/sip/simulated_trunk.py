"""A trunk whose calls get given responses, in a time of its own."""

from __future__ import annotations

from telephony.carriers.errors import Throttled
from telephony.carriers.refusals import MAX_REFUSALS_IN_A_ROW, Meaning
from telephony.carriers.sip.causes import SILENT, outcome_of
from telephony.carriers.sip.circuit_breaker import CircuitBreaker

DOUBTFUL_LIMIT = MAX_REFUSALS_IN_A_ROW[Meaning.DOUBTFUL]


class SimulatedTrunk:
    """Feeds responses of a trunk to its circuit breaker, with a clock that the test controls (seconds)."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.breaker = CircuitBreaker()
        self._calls = 0

    def monotonic(self) -> float:
        return self.now

    def respond(
        self,
        text: str,
        *,
        key: str = "",
        dialled_at: float | None = None,
        retry_after: float | None = None,
    ) -> float | None:
        """Respond to a call with `text`. Return the seconds until it is retried. Without a key it is a new call."""
        self.now += 0.01
        self._calls += 1
        outcome = SILENT if not text else outcome_of(text, rang=False, transport="udp", seconds=0.01)
        key = key or f"call-{self._calls}"
        return self.breaker.on_unanswered(
            key=key,
            to=f"number of {key}",
            outcome=outcome,
            text=text,
            dialled_at=self.now if dialled_at is None else dialled_at,
            trunk_responded=outcome is not SILENT,
            retry_after=retry_after,
        )

    def ring(self) -> None:
        """Let a new call reach a phone."""
        self.now += 0.01
        self._calls += 1
        self.breaker.note_success(dialled_at=self.now)

    def is_resting(self) -> bool:
        try:
            self.breaker.check(waiting=False)
        except Throttled:
            return True
        return False

    def skip_rest(self) -> None:
        self.now += 61
