"""Test every SIP response against the circuit breaker: which of them stop a trunk, and which only end a call."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from telephony.carriers.errors import Misconfigured, Throttled
from telephony.carriers.refusals import MAX_REFUSALS_IN_A_ROW, Meaning
from telephony.carriers.sip import circuit_breaker as sip_circuit_breaker
from telephony.carriers.sip.causes import Q850, SIP_RESPONSES, outcome_of
from telephony.carriers.sip.circuit_breaker import ATTEMPTS
from tests.telephony.sip.simulated_trunk import DOUBTFUL_LIMIT, SimulatedTrunk

# Every registered response, some unregistered ones, and every Q.850 cause.
RESPONSES = [
    *(f"{code} {answer.name}" for code, answer in SIP_RESPONSES.items()),
    *(f"{code} Of Their Own" for code in (399, 499, 599, 699, 799)),
    *(f"480 Temporarily Unavailable,Q.850;cause={cause}" for cause in Q850),
]


@pytest.fixture
def trunk(monkeypatch: pytest.MonkeyPatch) -> SimulatedTrunk:
    found = SimulatedTrunk()
    monkeypatch.setattr(sip_circuit_breaker, "time", SimpleNamespace(monotonic=found.monotonic))
    return found


@pytest.mark.parametrize("text", RESPONSES)
def test_one_refused_call_in_fifty_never_stops_the_trunk(trunk: SimulatedTrunk, text: str) -> None:
    """This holds for any response to it, however often it is retried."""
    outcome = outcome_of(text, rang=False, transport="udp", seconds=0.01)
    for poison in range(20):
        attempts = 0
        while True:
            attempts += 1
            again = trunk.respond(text, key=f"poison {poison}")
            if again is None:
                break
            assert outcome.again
            assert trunk.breaker._rest.seconds_left(now=trunk.now) <= 1.0
            trunk.now += 1.0
            for _ in range(49):
                trunk.breaker.check(waiting=False)
                trunk.ring()
        assert attempts == (ATTEMPTS if outcome.again else 1)
        trunk.ring()
        trunk.breaker.check(waiting=False)


@pytest.mark.parametrize("text", RESPONSES)
def test_any_response_to_all_calls_counts_against_the_trunk(trunk: SimulatedTrunk, text: str) -> None:
    outcome = outcome_of(text, rang=False, transport="udp", seconds=0.01)
    ended = 0
    for _ in range(100):
        try:
            trunk.breaker.check(waiting=False)
        except Misconfigured:
            assert outcome.meaning is Meaning.TRUNK
            return
        except Throttled:
            trunk.skip_rest()
            trunk.breaker.check(waiting=False)
        ended += trunk.respond(text) is None
    assert outcome.meaning is not Meaning.TRUNK
    assert trunk.is_resting()
    if outcome.did_not_ring:
        assert ended < MAX_REFUSALS_IN_A_ROW[outcome.meaning] <= 30, "all further recipients are retried"


@pytest.mark.parametrize("text", ["404 Not Found", "480 Temporarily Unavailable", "408 Request Timeout"])
def test_recipient_fails_after_five_attempts_while_the_trunk_is_in_doubt(
    trunk: SimulatedTrunk, text: str
) -> None:
    for _ in range(DOUBTFUL_LIMIT):
        trunk.respond(text)
    respond = []
    for _ in range(ATTEMPTS):
        trunk.skip_rest()
        respond.append(trunk.respond(text, key="1"))
    assert None not in respond[:-1]
    assert respond[-1] is None
