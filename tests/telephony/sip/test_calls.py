"""Test calls to SIPp: how the far end's behaviour decides their status, length and playback."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from baresip import Event, NoLocalAddressError, RuntimeDead, StackEvent

from telephony.carriers import refusals
from telephony.carriers.base import CarrierEvent, Later, Pending, Rejected, Result, Unknown
from telephony.carriers.errors import Misconfigured, Throttled, Unreachable
from telephony.carriers.sip import calls, circuit_breaker
from telephony.carriers.sip.calls import LiveCall
from telephony.carriers.sip.options import SipOptions
from telephony.carriers.sip.stack import NotDialled
from telephony.models import Cause, DeliveryStatus
from tests.live import wait_for
from tests.telephony.sip.far_end import FarEnd, Ports, correlation
from tests.telephony.sip.line import LEAD, TAIL, Line, chirp, submission
from tests.telephony.sip.script import listen, pick_up, scenario, sdp
from tests.telephony.sip.tls import TlsFront

S = DeliveryStatus
NUMBER = "+9779841000001"


def test_call_heard_to_its_end_completes(tmp_path: Path) -> None:
    name, samples = chirp(2.0)
    with FarEnd(tmp_path, "answer") as far_end, Line(far_end.host) as line:
        assert line.call(NUMBER, said=name) == Pending(key="1")
        final = line.final()
        assert line.statuses() == [S.RINGING, S.ANSWERED, S.COMPLETED]
        assert (final.cause, final.playback, final.digits) == (Cause.NONE, 100, "")
        assert final.seconds == pytest.approx(LEAD + 2.0 + TAIL, abs=0.15)
        assert f"Call-ID: {line.ref()}" in far_end.messages()
    heard = far_end.heard()[NUMBER]
    assert heard.lost_packets == 0
    assert correlation(heard.samples, samples) > 0.99
    assert far_end.errors() == ""


@pytest.mark.parametrize(
    ("status", "headers", "ends", "cause"),
    [
        ("486 Busy Here", "", S.UNANSWERED, Cause.BUSY),
        ("603 Decline", "", S.FAILED, Cause.REFUSED),
        ("404 Not Found", "", S.FAILED, Cause.INVALID),
        ("480 Temporarily Unavailable", 'Reason: Q.850;cause=17;text="User busy"', S.UNANSWERED, Cause.BUSY),
    ],
)
def test_refused_call_ends_with_the_status_and_cause_of_the_response(
    tmp_path: Path, status: str, headers: str, ends: DeliveryStatus, cause: Cause
) -> None:
    with FarEnd(tmp_path, "refuse", status=status, headers=headers) as far_end, Line(far_end.host) as line:
        line.call(NUMBER)
        final = line.final()
    assert (final.status, final.cause, final.seconds, final.playback) == (ends, cause, None, None)
    assert final.text.startswith(status)
    assert ("Q.850;cause=17" in final.text) == bool(headers)
    assert line.statuses() == [ends]


def test_unanswered_call_is_cancelled_after_ring_seconds(tmp_path: Path) -> None:
    with FarEnd(tmp_path, "no_answer") as far_end, Line(far_end.host, ring_seconds=3) as line:
        line.call(NUMBER)
        final = line.final()
        wait_for(lambda: "487 Request Terminated" in far_end.messages(), seconds=3)
    assert line.statuses() == [S.RINGING, S.UNANSWERED]
    text = "Not answered in 3 s. The trunk's last response was 180 Ringing."
    assert (final.cause, final.text) == (Cause.NO_ANSWER, text)
    assert far_end.errors() == ""


def test_hangup_half_way_reports_half_of_the_playback(tmp_path: Path) -> None:
    name, _ = chirp(2.0)
    with FarEnd(tmp_path, "hang_up") as far_end, Line(far_end.host) as line:
        line.call(NUMBER, said=name)
        final = line.final()
    assert (final.status, final.cause) == (S.HUNGUP, Cause.CUT_OFF)
    assert final.seconds == pytest.approx(1.0, abs=0.1)
    assert final.playback == pytest.approx(100 * (1.0 - LEAD) / 2.0, abs=4)
    heard = far_end.heard()[NUMBER]
    said = len(heard.samples) / 8000 - LEAD
    assert final.playback == pytest.approx(100 * said / 2.0, abs=3)  # the audio that was really sent


def test_early_media_does_not_count_as_answered(tmp_path: Path) -> None:
    with FarEnd(tmp_path, "early_media") as far_end, Line(far_end.host) as line:
        line.call(NUMBER)
        final = line.final()
    assert line.statuses() == [S.RINGING, S.UNANSWERED]
    assert (final.cause, final.seconds, final.playback) == (Cause.NO_ANSWER, None, None)
    assert max(map(abs, far_end.heard()[NUMBER].samples)) < 50  # packets arrived, but they were silent


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


def test_redirect_within_the_trunk_is_followed(tmp_path: Path) -> None:
    name, samples = chirp(2.0)
    moved = "Moved Temporarily"
    with (
        FarEnd(tmp_path, "answer") as target,
        FarEnd(
            tmp_path, "refuse", status=f"302 {moved}", headers=f"Contact: <sip:{NUMBER}@{target.host}>"
        ) as far_end,
        Line(far_end.host) as line,
    ):
        line.call(NUMBER, said=name)
        final = line.final()
        assert line.statuses() == [S.RINGING, S.ANSWERED, S.COMPLETED]
        assert (final.playback, final.cause) == (100, Cause.NONE)
        assert f"Call-ID: {line.ref()}" in target.messages()
    assert correlation(target.heard()[NUMBER].samples, samples) > 0.99
    assert target.errors() == far_end.errors() == ""


def test_redirects_in_a_circle_end(tmp_path: Path) -> None:
    ports = Ports()
    contact = f"Contact: <sip:{NUMBER}@127.0.0.1:{ports.sip}>"
    with (
        FarEnd(tmp_path, "refuse", status="302 Moved", headers=contact, ports=ports) as far_end,
        Line(far_end.host) as line,
    ):
        line.call(NUMBER)
        assert (line.final().status, line.final().cause) == (S.FAILED, Cause.REFUSED)
        assert line.final().text == "302 Moved. Not followed: the call was redirected 5 times before."
        assert len(far_end.log()) == 6
    ports.close()


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


def test_result_is_unknown_if_the_stack_dies_while_dialling() -> None:
    carrier = Line("127.0.0.1:9").carrier
    answers: list[Exception] = [
        RuntimeDead("the SIP thread has exited"),
        NoLocalAddressError("no INVITE was sent"),
    ]
    carrier._stack = cast(Any, SimpleNamespace(dial=lambda batch: answers))
    results = carrier.submit([submission(NUMBER, key="1"), submission(NUMBER, key="2")])
    assert [type(result) for result in results] == [Unknown, Later]
    answers[:] = [NotDialled("Invalid URI", seconds=7.0), NotDialled("Invalid URI", seconds=None)]
    assert carrier.submit([submission(NUMBER, key="1"), submission(NUMBER, key="2")]) == [
        Later(key="1", seconds=7.0, text="Invalid URI"),
        Rejected(key="2", cause=Cause.REFUSED, text="Invalid URI"),
    ]


def test_keys_from_rtp_and_info_are_reported_immediately(tmp_path: Path) -> None:
    with FarEnd(tmp_path, "dtmf", digit="7") as far_end, Line(far_end.host) as line:
        line.call(NUMBER, said=chirp(2.0)[0])
        assert line.final().digits == "47#"
        assert [event.digits for event in line.reports() if event.status == S.ANSWERED] == [
            "",
            "4",
            "47",
            "47#",
        ]
        assert line.final().playback == 100


@pytest.mark.parametrize("payload_type", [96, 101])
def test_keys_are_read_under_the_far_ends_payload_type_and_under_ours(
    tmp_path: Path, payload_type: int
) -> None:
    text = scenario({"01": [*pick_up(sdp(formats="8 96")), *listen()]})
    far_end = FarEnd(tmp_path, "keys", text=text, digit="7", event_payload_type=payload_type)
    with far_end, Line(far_end.host) as line:
        line.call(NUMBER)
        assert (line.final().digits, line.final().playback) == ("7", 100)


def test_call_answers_a_digest_challenge_and_shows_the_bought_number(tmp_path: Path) -> None:
    credentials: dict[str, Any] = {"user": "trunk-user", "password": "trunk-password"}
    with FarEnd(tmp_path, "challenge") as far_end, Line(far_end.host, **credentials) as line:
        line.call(NUMBER, caller="9800000101")
        assert line.final().status == S.COMPLETED
        assert "<sip:+9779800000101@" in far_end.log()[0]


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


def test_late_response_to_bye_does_not_lengthen_the_call(tmp_path: Path) -> None:
    with FarEnd(tmp_path, "late_bye") as far_end, Line(far_end.host) as line:
        line.call(NUMBER)
        final = line.final()
        assert (final.status, final.playback) == (S.COMPLETED, 100)
        assert final.seconds == pytest.approx(LEAD + 1.0 + TAIL, abs=0.15)
        wait_for(
            lambda: far_end.messages().count("\nBYE sip:") > 1, seconds=3
        )  # retransmitted until confirmed


def test_call_over_tcp_completes(tmp_path: Path) -> None:
    with (
        FarEnd(tmp_path, "answer", transport="tcp") as far_end,
        Line(far_end.host, transport="tcp") as line,
    ):
        line.call(NUMBER)
        assert line.final().status == S.COMPLETED


def test_call_is_retried_if_the_trunk_refuses_the_connection() -> None:
    with Line("127.0.0.1:9", transport="tcp") as line:
        line.call(NUMBER)
        assert line.later().text == "The trunk refused the connection."
        with pytest.raises(Throttled, match="Delivery 1: The trunk refused the connection."):
            line.call(NUMBER, key="2")


def test_caller_number_can_be_sent_in_p_asserted_identity(tmp_path: Path) -> None:
    with (
        FarEnd(tmp_path, "answer") as far_end,
        Line(far_end.host, caller="identity", numbers="national", user="4410001", prefix="9*") as line,
    ):
        line.call(NUMBER, caller="+9779800000101")
        assert line.final().status == S.COMPLETED
        assert "INVITE sip:9*9841000001@" in far_end.messages()
        assert "P-Asserted-Identity: <sip:9800000101@" in far_end.messages()
        assert "From: <sip:4410001@" in far_end.messages()


def test_close_lets_calls_finish(tmp_path: Path) -> None:
    with FarEnd(tmp_path, "answer") as far_end, Line(far_end.host) as line:
        line.call(NUMBER)
        wait_for(lambda: S.ANSWERED in line.statuses(), seconds=3)
        line.carrier.close()
        assert (line.final().status, line.final().playback) == (S.COMPLETED, 100)
        with pytest.raises(Unreachable):
            line.call(NUMBER, key="2")


def test_close_hangs_up_calls_that_exceed_drain_seconds(tmp_path: Path) -> None:
    with FarEnd(tmp_path, "answer") as far_end, Line(far_end.host, drain_seconds=0.5) as line:
        line.call(NUMBER, said=chirp(20.0)[0])
        wait_for(lambda: S.ANSWERED in line.statuses(), seconds=3)
        line.carrier.close()
        final = line.final()
        assert (final.status, final.cause) == (S.HUNGUP, Cause.CUT_OFF)
        assert 0 < (final.playback or 0) < 10
        assert final.text == "The trunk's worker was stopped."
        assert "\nBYE sip:" in far_end.messages()


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


def test_call_over_tls_completes_with_a_ca_file(tmp_path: Path) -> None:
    front = TlsFront(tmp_path)
    contact = f"127.0.0.1:{front.port};transport=tls"
    secure: dict[str, Any] = {"transport": "tls", "tls_ca": str(front.certificate)}
    with (
        FarEnd(tmp_path, "answer", transport="tcp", contact=contact) as far_end,
        Line(f"127.0.0.1:{front.port}", **secure) as line,
    ):
        front.serve(far_end.port)
        line.call(NUMBER)
        assert line.final().status == S.COMPLETED
        assert front.connections == 1
    front.close()


def test_call_over_tls_completes_with_a_ca_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = TlsFront(tmp_path)
    monkeypatch.setenv(
        "SSL_CERT_FILE", str(front.certificate)
    )  # where a system's authorities can be said to lie
    contact = f"127.0.0.1:{front.port};transport=tls"
    with (
        FarEnd(tmp_path, "answer", transport="tcp", contact=contact) as far_end,
        Line(f"127.0.0.1:{front.port}", transport="tls") as line,
    ):
        front.serve(far_end.port)
        line.call(NUMBER)
        assert line.final().status == S.COMPLETED
    front.close()


def test_call_over_tls_fails_if_the_certificate_is_not_trusted(tmp_path: Path) -> None:
    front = TlsFront(tmp_path)
    with FarEnd(tmp_path, "answer", transport="tcp") as far_end:
        front.serve(far_end.port)
        with Line(f"127.0.0.1:{front.port}", transport="tls") as line:
            line.call(NUMBER)
            assert line.final().status == S.FAILED
        assert far_end.log() == []
    front.close()
