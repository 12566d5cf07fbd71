"""What a trunk's refusals say of the trunk: when it rests, which calls are made again, and that all of it ends."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from telephony.carriers.errors import Misconfigured, Throttled
from telephony.carriers.refusals import (
    DOUBT_RESET_SECONDS,
    MAX_DOUBT_SECONDS,
    MAX_REFUSALS_IN_A_ROW,
    Meaning,
)
from telephony.carriers.sip import circuit_breaker as sip_circuit_breaker
from telephony.carriers.sip.causes import Q850, SILENT, SIP_RESPONSES, outcome_of
from telephony.carriers.sip.circuit_breaker import ATTEMPTS, CircuitBreaker

ROW = MAX_REFUSALS_IN_A_ROW[Meaning.DOUBTFUL]
# Every answer, some that nobody has registered, and every word of the telephone network.
ANSWERS = [
    *(f"{code} {answer.name}" for code, answer in SIP_RESPONSES.items()),
    *(f"{code} Of Their Own" for code in (399, 499, 599, 699, 799)),
    *(f"480 Temporarily Unavailable,Q.850;cause={cause}" for cause in Q850),
]


class Trunk:
    """A trunk that is tried at a time of the test's own, in seconds."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.breaker = CircuitBreaker()
        self._calls = 0

    def monotonic(self) -> float:
        return self.now

    def answers(self, text: str, *, key: str = "", dialled_at: float | None = None) -> float | None:
        """A call, another one unless it has a key, is answered so; in how many seconds it is made again."""
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
        )

    def rings(self) -> None:
        """A call, another one, comes to somebody's phone."""
        self.now += 0.01
        self._calls += 1
        self.breaker.note_success(dialled_at=self.now)

    def rests(self) -> bool:
        try:
            self.breaker.check(waiting=False)
        except Throttled:
            return True
        return False

    def rest_is_over(self) -> None:
        self.now += 61


@pytest.fixture
def trunk(monkeypatch: pytest.MonkeyPatch) -> Trunk:
    found = Trunk()
    monkeypatch.setattr(sip_circuit_breaker, "time", SimpleNamespace(monotonic=found.monotonic))
    return found


def test_a_call_without_room_is_made_five_times_each_time_later(trunk: Trunk) -> None:
    assert [trunk.answers("503 Full", key="1") for _ in range(ATTEMPTS)] == [5, 10, 15, 20, None]
    assert trunk.answers("503 Full", key="1") == 5  # begun anew: nothing is remembered of what is over


def test_calls_without_room_are_counted_apart_and_forgotten_when_they_are_over(trunk: Trunk) -> None:
    assert [trunk.answers("503 Full", key=key) for key in ("1", "2", "1")] == [5, 5, 10]
    assert trunk.answers("486 Busy", key="1") is None
    assert [trunk.answers("503 Full", key=key) for key in ("1", "2")] == [5, 10]


def test_calls_that_are_counted_do_not_grow_for_ever(trunk: Trunk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sip_circuit_breaker, "MAX_COUNTED_CALLS", 2)
    for key in ("1", "2", "3"):
        trunk.answers("503 Full", key=key)
    assert [trunk.answers("503 Full", key=key) for key in ("3", "1")] == [10, 5]


def test_a_wrong_password_costs_nobody_their_call_however_often(trunk: Trunk) -> None:
    for _ in range(2 * ATTEMPTS):
        for key in "1234":
            assert trunk.answers("401 Unauthorized", key=key) is not None
            trunk.rest_is_over()
    with pytest.raises(Misconfigured, match="our user and password. Delivery [1-4]: 401 Unauthorized"):
        trunk.breaker.check(waiting=False)


def test_a_wrong_password_is_told_though_there_is_only_one_call_to_make(trunk: Trunk) -> None:
    for _ in range(MAX_REFUSALS_IN_A_ROW[Meaning.TRUNK]):
        assert trunk.answers("401 Unauthorized", key="1") is not None
        trunk.rest_is_over()
    with pytest.raises(Misconfigured):
        trunk.breaker.check(waiting=False)


def test_one_number_for_which_another_password_is_wanted_stops_nobody_and_is_given_up(trunk: Trunk) -> None:
    trunk.rings()
    answers = []
    for _ in range(ATTEMPTS):
        answers.append(trunk.answers("407 Proxy Authentication Required", key="1"))
        trunk.breaker.check(waiting=False) if len(answers) > 1 else trunk.rest_is_over()
        trunk.rings()
    assert answers == [5, 10, 15, 20, None]


def test_a_refused_password_is_told_once_though_more_refusals_are_on_their_way(trunk: Trunk) -> None:
    sent = [trunk.now, trunk.now + 0.1, trunk.now + 0.2, trunk.now + 0.3]
    trunk.now += 1
    for at in sent[:3]:
        trunk.answers("401 Unauthorized", dialled_at=at)
    with pytest.raises(Misconfigured, match="401 Unauthorized"):
        trunk.breaker.check(waiting=False)
    trunk.answers("401 Unauthorized", dialled_at=sent[3])
    trunk.now += 3600  # until the operator has mended it
    trunk.breaker.check(waiting=False)
    trunk.answers("401 Unauthorized")
    with pytest.raises(Misconfigured):
        trunk.breaker.check(waiting=False)


@pytest.mark.parametrize(
    "text", ["403 Forbidden", "402 Payment Required", "488 Not Acceptable Here", "302 Moved Temporarily"]
)
def test_refusals_in_a_row_are_the_trunks_trouble_and_cost_nobody_else_their_call(
    trunk: Trunk, text: str
) -> None:
    assert [trunk.answers(text) for _ in range(ROW - 1)] == [None] * (ROW - 1)
    assert not trunk.rests()
    for _ in range(3 * ATTEMPTS):
        again = trunk.answers(text, key="1")
        assert again is not None
        assert again > trunk.breaker._rest.seconds_left(now=trunk.now), "others go first after the rest"
        assert trunk.rests()
        trunk.rest_is_over()
    trunk.answers("486 Busy")  # it works again
    assert not trunk.rests()
    assert trunk.answers(text) is None


def test_failures_in_a_row_let_the_trunk_rest_but_nobody_is_called_twice_for_them(trunk: Trunk) -> None:
    """Perhaps a phone rang before the trunk's server failed."""
    assert {trunk.answers("500 Server Internal Error") for _ in range(ROW + 1)} == {None}
    assert trunk.rests()


@pytest.mark.parametrize(
    "text", ["486 Busy Here", "604 Does Not Exist Anywhere", "603 Decline", "403 No,Q.850;cause=21"]
)
def test_refusals_are_in_no_row_when_others_come_through(trunk: Trunk, text: str) -> None:
    for _ in range(3):
        assert {trunk.answers("403 Forbidden") for _ in range(ROW - 1)} == {None}
        assert trunk.answers(text) is None
    assert not trunk.rests()


def test_calls_from_before_the_first_refusal_do_not_end_the_row(trunk: Trunk) -> None:
    """When a trunk shuts us out, those who are being called still answer for a while."""
    before = trunk.now - 20
    for _ in range(ROW - 1):
        trunk.answers("403 Forbidden")
        trunk.breaker.note_success(dialled_at=before)
    assert trunk.answers("403 Forbidden") == 5


def test_a_campaign_whose_numbers_are_all_refused_comes_to_its_end(trunk: Trunk) -> None:
    until = trunk.now + MAX_DOUBT_SECONDS
    while trunk.now < until:
        trunk.answers("403 Forbidden", key=str(trunk.now))
        trunk.rest_is_over()
    for key in range(1000):
        assert trunk.answers("403 Forbidden", key=str(key)) is None
        assert not trunk.rests()


def test_a_trunk_that_was_left_alone_for_a_while_is_not_believed_again(trunk: Trunk) -> None:
    test_a_campaign_whose_numbers_are_all_refused_comes_to_its_end(trunk)
    trunk.now += DOUBT_RESET_SECONDS + 1
    assert trunk.answers("403 Forbidden") == 5
    assert trunk.rests()


def test_a_silent_trunk_rests(trunk: Trunk) -> None:
    assert trunk.answers("") is None
    assert trunk.rests()


@pytest.mark.parametrize("text", ANSWERS)
def test_one_call_in_fifty_never_stops_the_trunk(trunk: Trunk, text: str) -> None:
    """Whatever is answered to it, and however often it is made again."""
    outcome = outcome_of(text, rang=False, transport="udp", seconds=0.01)
    for poison in range(20):
        attempts = 0
        while True:
            attempts += 1
            again = trunk.answers(text, key=f"poison {poison}")
            if again is None:
                break
            assert outcome.again
            assert trunk.breaker._rest.seconds_left(now=trunk.now) <= 1.0
            trunk.now += 1.0
            for _ in range(49):
                trunk.breaker.check(waiting=False)
                trunk.rings()
        assert attempts == (ATTEMPTS if outcome.again else 1)
        trunk.rings()
        trunk.breaker.check(waiting=False)


@pytest.mark.parametrize("text", ANSWERS)
def test_an_answer_that_everybody_gets_is_about_the_trunk_whatever_it_is(trunk: Trunk, text: str) -> None:
    outcome = outcome_of(text, rang=False, transport="udp", seconds=0.01)
    ended = 0
    for _ in range(100):
        try:
            trunk.breaker.check(waiting=False)
        except Misconfigured:
            assert outcome.meaning is Meaning.TRUNK
            return
        except Throttled:
            trunk.rest_is_over()
            trunk.breaker.check(waiting=False)
        ended += trunk.answers(text) is None
    assert outcome.meaning is not Meaning.TRUNK
    assert trunk.rests()
    if outcome.did_not_ring:
        assert ended < MAX_REFUSALS_IN_A_ROW[outcome.meaning] <= 30, "the others keep their call"


@pytest.mark.parametrize("text", ["404 Not Found", "480 Temporarily Unavailable", "408 Request Timeout"])
def test_what_is_said_of_a_number_is_believed_at_the_fifth_time(trunk: Trunk, text: str) -> None:
    for _ in range(ROW):
        trunk.answers(text)
    answers = []
    for _ in range(ATTEMPTS):
        trunk.rest_is_over()
        answers.append(trunk.answers(text, key="1"))
    assert None not in answers[:-1]
    assert answers[-1] is None


def test_a_silence_says_nothing_of_the_trunk_when_a_later_call_came_through(trunk: Trunk) -> None:
    dialled_at = trunk.now
    trunk.rings()
    assert trunk.answers("", dialled_at=dialled_at) is None
    assert not trunk.rests()


def test_phones_that_rang_and_were_not_answered_are_in_no_row(trunk: Trunk) -> None:
    rang = outcome_of("480 Temporarily Unavailable", rang=True, transport="udp", seconds=20.0)
    for key in range(100):
        trunk.breaker.on_unanswered(
            key=str(key), to=str(key), outcome=rang, text="480", dialled_at=trunk.now, trunk_responded=True
        )
    assert not trunk.rests()


def test_a_call_that_the_stack_will_not_make_is_given_up_if_it_makes_others(trunk: Trunk) -> None:
    answers = []
    for _ in range(ATTEMPTS + 1):
        answers.append(trunk.breaker.on_not_dialled(key="1", text="Invalid URI", dialled_at=trunk.now))
        trunk.rings()
    assert answers == [5, 5, 10, 15, 20, None]


def test_while_no_way_leads_to_the_trunk_no_call_is_given_up(trunk: Trunk) -> None:
    trunk.rings()
    for _ in range(10 * ATTEMPTS):
        again = trunk.breaker.on_not_dialled(key="1", text="No local address", dialled_at=trunk.now)
        assert again is not None
        assert trunk.rests()
        trunk.rest_is_over()
