"""Test calls to SIPp: how the far end's behaviour decides their status, length and playback."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from baresip import NoLocalAddressError, RuntimeDead

from telephony.carriers.base import Later, Pending, Rejected, Unknown
from telephony.carriers.errors import Unreachable
from telephony.carriers.sip.stack import NotDialled
from telephony.models import Cause, DeliveryStatus
from tests.live import wait_for
from tests.telephony.sip.far_end import FarEnd, Ports, correlation
from tests.telephony.sip.line import LEAD, TAIL, Line, chirp, submission
from tests.telephony.sip.script import listen, pick_up, scenario, sdp

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


def test_late_response_to_bye_does_not_lengthen_the_call(tmp_path: Path) -> None:
    with FarEnd(tmp_path, "late_bye") as far_end, Line(far_end.host) as line:
        line.call(NUMBER)
        final = line.final()
        assert (final.status, final.playback) == (S.COMPLETED, 100)
        assert final.seconds == pytest.approx(LEAD + 1.0 + TAIL, abs=0.15)
        wait_for(
            lambda: far_end.messages().count("\nBYE sip:") > 1, seconds=3
        )  # retransmitted until confirmed


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
    with FarEnd(tmp_path, "answer") as far_end, Line(far_end.host, drain_seconds=1.5) as line:
        line.call(NUMBER, said=chirp(20.0)[0])
        wait_for(lambda: S.ANSWERED in line.statuses(), seconds=3)
        line.carrier.close()
        final = line.final()
        assert (final.status, final.cause) == (S.HUNGUP, Cause.CUT_OFF)
        assert 0 < (final.playback or 0) < 10
        assert final.text == "The trunk's worker was stopped."
        assert "\nBYE sip:" in far_end.messages()
