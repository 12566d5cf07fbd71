"""Test when refusals let a trunk rest, which calls are retried, and that retries end."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from telephony.carriers.errors import Misconfigured
from telephony.carriers.refusals import DOUBT_RESET_SECONDS, MAX_DOUBT_SECONDS, MAX_REFUSALS_IN_A_ROW, Meaning
from telephony.carriers.sip import circuit_breaker as sip_circuit_breaker
from telephony.carriers.sip.causes import outcome_of
from telephony.carriers.sip.circuit_breaker import ATTEMPTS
from tests.telephony.sip.simulated_trunk import DOUBTFUL_LIMIT, SimulatedTrunk


@pytest.fixture
def trunk(monkeypatch: pytest.MonkeyPatch) -> SimulatedTrunk:
    found = SimulatedTrunk()
    monkeypatch.setattr(sip_circuit_breaker, "time", SimpleNamespace(monotonic=found.monotonic))
    return found


def test_call_is_tried_five_times_with_growing_delays_after_503(trunk: SimulatedTrunk) -> None:
    assert [trunk.respond("503 Full", key="1") for _ in range(ATTEMPTS)] == [5, 10, 15, 20, None]
    assert trunk.respond("503 Full", key="1") == 5  # it counts from the beginning, because the call had ended


def test_attempts_are_counted_per_call_and_forgotten_when_it_ends(trunk: SimulatedTrunk) -> None:
    assert [trunk.respond("503 Full", key=key) for key in ("1", "2", "1")] == [5, 5, 10]
    assert trunk.respond("486 Busy", key="1") is None
    assert [trunk.respond("503 Full", key=key) for key in ("1", "2")] == [5, 10]


def test_attempts_are_counted_for_the_latest_calls_only(
    trunk: SimulatedTrunk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sip_circuit_breaker, "MAX_COUNTED_CALLS", 2)
    for key in ("1", "2", "3"):
        trunk.respond("503 Full", key=key)
    assert [trunk.respond("503 Full", key=key) for key in ("3", "1")] == [10, 5]


def test_trunk_rests_as_long_as_retry_after_says(trunk: SimulatedTrunk) -> None:
    assert trunk.respond("503 Full", key="1", retry_after=100) == 101  # others go first
    trunk.now += 50
    # A call that was dialled before the rest began, and that is told to wait longer.
    assert trunk.respond("503 Full", key="2", retry_after=120) == pytest.approx(121)
    trunk.now += 119
    assert trunk.is_resting()
    trunk.now += 2
    assert not trunk.is_resting()


def test_long_retry_after_is_tried_after_an_hour(trunk: SimulatedTrunk) -> None:
    assert trunk.respond("503 Full", retry_after=10**9) == 3601
    trunk.now += 3599
    assert trunk.is_resting()
    trunk.now += 2
    assert not trunk.is_resting()


def test_short_retry_after_does_not_shorten_the_backoff(trunk: SimulatedTrunk) -> None:
    assert [trunk.respond("503 Full", key="1", retry_after=0) for _ in range(ATTEMPTS)] == [
        5,
        10,
        15,
        20,
        None,
    ]


@pytest.mark.parametrize(
    ("text", "retry_after", "seconds"),
    [
        ("480 Away", 30, 30),
        ("480 Away", 1, 5),
        ("408 Timeout", 30, 30),
        ("480 Away", 3601, None),
        ("480 Away", None, None),
        ("480 Away,Q.850;cause=17", 30, None),  # busy is an outcome of its own
        ("404 Not Found", 30, None),
        ("603 Decline", 30, None),
    ],
)
def test_recipient_who_can_be_reached_later_is_called_once_more(
    trunk: SimulatedTrunk, text: str, retry_after: float | None, seconds: float | None
) -> None:
    assert trunk.respond(text, key="1", retry_after=retry_after) == seconds
    assert not trunk.is_resting()
    assert trunk.respond(text, key="1", retry_after=retry_after) is None


def test_same_answer_for_everybody_rests_the_trunk_also_with_retry_after(trunk: SimulatedTrunk) -> None:
    for _ in range(MAX_REFUSALS_IN_A_ROW[Meaning.DOUBTFUL] - 1):
        assert trunk.respond("480 Away", retry_after=30) == 30
    assert not trunk.is_resting()
    assert trunk.respond("480 Away", retry_after=30) == 31
    trunk.now += 29
    assert trunk.is_resting()


def test_wrong_password_never_fails_a_call(trunk: SimulatedTrunk) -> None:
    for _ in range(2 * ATTEMPTS):
        for key in "1234":
            assert trunk.respond("401 Unauthorized", key=key) is not None
            trunk.skip_rest()
    with pytest.raises(Misconfigured, match="our user and password. Delivery [1-4]: 401 Unauthorized"):
        trunk.breaker.check(waiting=False)


def test_wrong_password_is_reported_even_with_only_one_call(trunk: SimulatedTrunk) -> None:
    for _ in range(MAX_REFUSALS_IN_A_ROW[Meaning.TRUNK]):
        assert trunk.respond("401 Unauthorized", key="1") is not None
        trunk.skip_rest()
    with pytest.raises(Misconfigured):
        trunk.breaker.check(waiting=False)


def test_digest_refused_for_one_number_fails_only_that_call(trunk: SimulatedTrunk) -> None:
    trunk.ring()
    respond = []
    for _ in range(ATTEMPTS):
        respond.append(trunk.respond("407 Proxy Authentication Required", key="1"))
        trunk.breaker.check(waiting=False) if len(respond) > 1 else trunk.skip_rest()
        trunk.ring()
    assert respond == [5, 10, 15, 20, None]


def test_rejected_password_is_reported_once_for_calls_dialled_before(trunk: SimulatedTrunk) -> None:
    sent = [trunk.now, trunk.now + 0.1, trunk.now + 0.2, trunk.now + 0.3]
    trunk.now += 1
    for at in sent[:3]:
        trunk.respond("401 Unauthorized", dialled_at=at)
    with pytest.raises(Misconfigured, match="401 Unauthorized"):
        trunk.breaker.check(waiting=False)
    trunk.respond("401 Unauthorized", dialled_at=sent[3])
    trunk.now += 3600  # until the operator has corrected it
    trunk.breaker.check(waiting=False)
    trunk.respond("401 Unauthorized")
    with pytest.raises(Misconfigured):
        trunk.breaker.check(waiting=False)


@pytest.mark.parametrize(
    "text", ["403 Forbidden", "402 Payment Required", "488 Not Acceptable Here", "302 Moved Temporarily"]
)
def test_refusals_in_a_row_rest_the_trunk_and_fail_no_further_call(trunk: SimulatedTrunk, text: str) -> None:
    assert [trunk.respond(text) for _ in range(DOUBTFUL_LIMIT - 1)] == [None] * (DOUBTFUL_LIMIT - 1)
    assert not trunk.is_resting()
    for _ in range(3 * ATTEMPTS):
        again = trunk.respond(text, key="1")
        assert again is not None
        assert again > trunk.breaker._rest.seconds_left(now=trunk.now), "others go first after the rest"
        assert trunk.is_resting()
        trunk.skip_rest()
    trunk.respond("486 Busy")  # the trunk works again
    assert not trunk.is_resting()
    assert trunk.respond(text) is None


def test_server_errors_in_a_row_rest_the_trunk_but_are_never_retried(trunk: SimulatedTrunk) -> None:
    """A phone may have rung before the trunk's server failed."""
    assert {trunk.respond("500 Server Internal Error") for _ in range(DOUBTFUL_LIMIT + 1)} == {None}
    assert trunk.is_resting()


@pytest.mark.parametrize(
    "text", ["486 Busy Here", "604 Does Not Exist Anywhere", "603 Decline", "403 No,Q.850;cause=21"]
)
def test_refusals_do_not_count_if_other_calls_get_through(trunk: SimulatedTrunk, text: str) -> None:
    for _ in range(3):
        assert {trunk.respond("403 Forbidden") for _ in range(DOUBTFUL_LIMIT - 1)} == {None}
        assert trunk.respond(text) is None
    assert not trunk.is_resting()


def test_success_of_an_earlier_call_does_not_reset_the_count(trunk: SimulatedTrunk) -> None:
    """Calls dialled before the trunk locked us out may still be answered for a while."""
    before = trunk.now - 20
    for _ in range(DOUBTFUL_LIMIT - 1):
        trunk.respond("403 Forbidden")
        trunk.breaker.note_success(dialled_at=before)
    assert trunk.respond("403 Forbidden") == 5


def test_campaign_with_only_refused_numbers_ends(trunk: SimulatedTrunk) -> None:
    until = trunk.now + MAX_DOUBT_SECONDS
    while trunk.now < until:
        trunk.respond("403 Forbidden", key=str(trunk.now))
        trunk.skip_rest()
    for key in range(1000):
        assert trunk.respond("403 Forbidden", key=str(key)) is None
        assert not trunk.is_resting()


def test_refusals_are_doubted_again_after_an_hour_without_any(trunk: SimulatedTrunk) -> None:
    test_campaign_with_only_refused_numbers_ends(trunk)
    trunk.now += DOUBT_RESET_SECONDS + 1
    assert trunk.respond("403 Forbidden") == 5
    assert trunk.is_resting()


def test_silent_trunk_rests(trunk: SimulatedTrunk) -> None:
    assert trunk.respond("") is None
    assert trunk.is_resting()


def test_silence_does_not_count_if_a_later_call_got_through(trunk: SimulatedTrunk) -> None:
    dialled_at = trunk.now
    trunk.ring()
    assert trunk.respond("", dialled_at=dialled_at) is None
    assert not trunk.is_resting()


def test_unanswered_phones_do_not_count_against_the_trunk(trunk: SimulatedTrunk) -> None:
    rang = outcome_of("480 Temporarily Unavailable", rang=True, transport="udp", seconds=20.0)
    for key in range(100):
        trunk.breaker.on_unanswered(
            key=str(key), to=str(key), outcome=rang, text="480", dialled_at=trunk.now, trunk_responded=True
        )
    assert not trunk.is_resting()


def test_undialable_call_fails_if_other_calls_are_dialled(trunk: SimulatedTrunk) -> None:
    respond = []
    for _ in range(ATTEMPTS + 1):
        respond.append(trunk.breaker.on_not_dialled(key="1", text="Invalid URI", dialled_at=trunk.now))
        trunk.ring()
    assert respond == [5, 5, 10, 15, 20, None]


def test_no_call_fails_while_the_trunk_is_unreachable(trunk: SimulatedTrunk) -> None:
    trunk.ring()
    for _ in range(10 * ATTEMPTS):
        again = trunk.breaker.on_not_dialled(key="1", text="No local address", dialled_at=trunk.now)
        assert again is not None
        assert trunk.is_resting()
        trunk.skip_rest()
