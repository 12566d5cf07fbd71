"""Test calls to SIPp that are tried again, and trunks that rest."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from baresip import Event, StackEvent

from telephony.carriers import refusals
from telephony.carriers.base import CarrierEvent, Later, Pending, Result
from telephony.carriers.errors import Misconfigured, Throttled
from telephony.carriers.sip import calls, circuit_breaker
from telephony.carriers.sip.calls import LiveCall
from telephony.carriers.sip.options import SipOptions
from telephony.models import Cause, DeliveryStatus
from tests.live import wait_for
from tests.telephony.sip.far_end import FarEnd
from tests.telephony.sip.line import Line, submission

S = DeliveryStatus
NUMBER = "+9779841000001"


def test_call_and_trunk_wait_as_long_as_retry_after_says(tmp_path: Path) -> None:
    with (
        FarEnd(tmp_path, "refuse", status="503 Service Unavailable", headers="Retry-After: 40") as far_end,
        Line(far_end.host) as line,
    ):
        line.call(NUMBER)
        assert 40 < line.later().seconds <= 41
        with pytest.raises(Throttled, match="503 Service Unavailable") as raised:
            line.call(NUMBER, key="2")
        assert 39 < raised.value.retry_after <= 40
        assert raised.value.batch_text == "The trunk rests."  # the response was to another call


def test_recipient_who_is_reachable_later_is_called_once_more(tmp_path: Path) -> None:
    with (
        FarEnd(tmp_path, "refuse", status="480 Away", headers="Retry-After: 20 (lunch)") as far_end,
        Line(far_end.host) as line,
    ):
        line.call(NUMBER)
        assert (line.later().seconds, line.later().text) == (20, "480 Away")
        line.call(NUMBER, attempt=2)
        assert (line.final().status, line.final().cause) == (S.UNANSWERED, Cause.NO_ANSWER)


def test_call_is_retried_and_the_trunk_rests_after_503(tmp_path: Path) -> None:
    with FarEnd(tmp_path, "refuse", status="503 Service Unavailable") as far_end, Line(far_end.host) as line:
        line.call(NUMBER)
        later = line.later()
        assert (later.attempt, later.seconds, later.text) == (1, 5.0, "503 Service Unavailable")
        assert line.reports() == []
        with pytest.raises(Throttled, match="503 Service Unavailable"):  # the trunk rests
            line.call(NUMBER, key="2")


def test_call_fails_after_five_503_responses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts count dials, not claims, because a delivery is also claimed while its trunk rests."""
    monkeypatch.setattr(refusals, "MAX_REST_SECONDS", 0.01)
    with FarEnd(tmp_path, "refuse", status="503 Service Unavailable") as far_end, Line(far_end.host) as line:
        for attempt in (11, 12, 13, 14):
            dial_after_rest(line, attempt=attempt)
            wait_for(partial(has_later_for_attempt, line, attempt), seconds=3)
        assert [result.seconds for result in line.results() if isinstance(result, Later)] == [5, 10, 15, 20]
        dial_after_rest(line, attempt=15)
        assert (line.final().status, line.final().cause) == (S.FAILED, Cause.REFUSED)


def has_later_for_attempt(line: Line, attempt: int) -> bool:
    return any(isinstance(result, Later) and result.attempt == attempt for result in line.results())


def dial_after_rest(line: Line, *, key: str = "1", attempt: int = 1) -> None:
    """Call as soon as the trunk's rest is over."""

    def dials() -> bool:
        try:
            return line.call(NUMBER, key=key, attempt=attempt) == Pending(key=key)
        except Throttled:
            return False

    wait_for(dials, seconds=3)


def test_trunk_rests_after_ten_refused_recipients_and_the_next_is_retried(tmp_path: Path) -> None:
    with FarEnd(tmp_path, "refuse", status="403 Forbidden") as far_end, Line(far_end.host) as line:
        for number in range(1, refusals.MAX_REFUSALS_IN_A_ROW[refusals.Meaning.DOUBTFUL]):
            line.call(f"{NUMBER[:-2]}{number:02d}", key=str(number))
            assert (line.final(str(number)).status, line.final(str(number)).cause) == (
                S.FAILED,
                Cause.REFUSED,
            )
        line.call(f"{NUMBER[:-2]}10", key="tenth")
        assert line.later("tenth").text == "403 Forbidden"
        with pytest.raises(
            Throttled, match="10 recipients in a row were refused. Delivery tenth: 403 Forbidden"
        ):
            line.call(NUMBER, key="eleventh")


@pytest.mark.parametrize(("seconds", "is_retried"), [(0.0, True), (0.5, False)])
def test_network_failure_is_retried_only_if_the_invite_cannot_have_left(
    seconds: float, is_retried: bool
) -> None:
    """Over UDP the stack retransmits its INVITE after half a second, and may report only then that there is no route."""
    reported: list[CarrierEvent | Result] = []
    live = LiveCall(
        key="1",
        to=NUMBER,
        attempt=1,
        pcm=b"",
        options=SipOptions(host="sip.example.com"),
        report=reported.extend,
        on_unanswered=circuit_breaker.CircuitBreaker().on_unanswered,
    )
    live.dialled_at -= seconds
    live.events.put_nowait(StackEvent(event=Event.CALL_CLOSED, text="Network is unreachable [101]"))
    asyncio.run(live.follow(cast(Any, None)))
    assert any(isinstance(item, Later) for item in reported) == is_retried
    lost = [item.cause for item in reported if isinstance(item, CarrierEvent)]
    assert lost == ([] if is_retried else [Cause.LOST])


def test_trunk_rests_if_no_phone_ever_rings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trunk responds to each call with "100 Trying" and nothing else."""
    monkeypatch.setattr(calls, "SETUP_SECONDS", 0.01)
    reported: list[CarrierEvent | Result] = []
    breaker = circuit_breaker.CircuitBreaker()

    async def hangup() -> None:
        pass

    for key in range(refusals.MAX_REFUSALS_IN_A_ROW[refusals.Meaning.DOUBTFUL]):
        assert not breaker
        live = LiveCall(
            key=str(key),
            to=f"+97798410000{key:02d}",
            attempt=1,
            pcm=b"",
            options=SipOptions(host="sip.example.com", ring_seconds=0.01),
            report=reported.extend,
            on_unanswered=breaker.on_unanswered,
        )
        asyncio.run(live.follow(cast(Any, SimpleNamespace(hangup=hangup))))
    ends = [(item.status, item.text) for item in reported if isinstance(item, CarrierEvent)]
    assert set(ends) == {(S.UNANSWERED, "No phone rang within 0.01 s.")}
    assert breaker


def test_wrong_password_pauses_the_trunk_and_fails_no_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "MAX_REST_SECONDS", 0.01)
    credentials: dict[str, Any] = {"user": "trunk-user", "password": "wrong"}
    with FarEnd(tmp_path, "challenge") as far_end, Line(far_end.host, **credentials) as line:
        for key in "123":
            dial_after_rest(line, key=key)
            assert line.later(key).text.startswith("401")
        with pytest.raises(Misconfigured, match="does not accept our user and password. Delivery 3: 401"):
            line.call(NUMBER, key="4")


def test_call_is_retried_if_the_trunk_refuses_the_connection() -> None:
    with Line("127.0.0.1:9", transport="tcp") as line:
        line.call(NUMBER)
        assert line.later().text == "The trunk refused the connection."
        with pytest.raises(Throttled, match="Delivery 1: The trunk refused the connection."):
            line.call(NUMBER, key="2")


def test_trunk_is_tried_with_one_call_after_a_rest(tmp_path: Path) -> None:
    with FarEnd(tmp_path, "refuse", status="503 Service Unavailable") as far_end, Line(far_end.host) as line:
        line.call(NUMBER)
        line.later()
        wait_for(lambda: _dials_only_the_first(line), seconds=3)  # until the rest of one second is over
        with pytest.raises(Throttled):
            line.call(NUMBER, key="4")


def _dials_only_the_first(line: Line) -> bool:
    try:
        first, second = line.carrier.submit([submission(NUMBER, key="2"), submission(NUMBER, key="3")])
    except Throttled:
        return False
    assert first == Pending(key="2")
    assert isinstance(second, Later)
    return True
