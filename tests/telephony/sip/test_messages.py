"""Test how SIP messages are read: headers and reasons."""

from __future__ import annotations

import pytest

from telephony.carriers.sip.causes import outcome_of_reasons
from telephony.carriers.sip.messages import SipMessage
from telephony.carriers.sip.pressed_keys import key_in
from telephony.models import Cause


def message(*lines: str, body: str = "") -> SipMessage:
    return SipMessage.parse(("\r\n".join(lines) + "\r\n\r\n" + body).encode())


def test_headers_are_read_in_short_folded_and_unusual_forms() -> None:
    read = message(
        "SIP/2.0 302 Moved Temporarily",
        "i: abc@host",
        "t: <sip:1@host>",
        "  ;tag=t1",
        "CSEQ : 3 INVITE",
        'm: <sip:2@b>;q=0.2, "a, b" <sip:3@c>;q=0.9',
        "Contact: sip:4@d",
        "Retry-After: 120 (in maintenance);duration=5",
    )
    assert (read.status, read.reason_phrase, read.method, read.sequence) == (
        302,
        "Moved Temporarily",
        "INVITE",
        "3",
    )
    assert (read.call_id, read.to_tag, read.retry_after) == ("abc@host", "t1", 120)
    assert read.contacts() == ["sip:4@d", "sip:3@c", "sip:2@b"]


@pytest.mark.parametrize(
    "raw",
    [b"", b"\r\n\r\n", b"INVITE", b"SIP/2.0", b"SIP/2.0 abc\r\n:\r\n::\r\n\xff\xfe: \xff", b"x" * 70_000],
)
def test_malformed_messages_are_read_as_far_as_possible(raw: bytes) -> None:
    read = SipMessage.parse(raw)
    assert (read.status, read.call_id, read.to_tag, read.contacts()) == (0, "", "", [])
    assert read.retry_after is None
    assert key_in(read) is None


def test_text_of_a_response_has_all_its_reasons() -> None:
    read = message(
        "SIP/2.0 480 Gone Fishing", "Reason: SIP;cause=480", 'reason: Q.850 ;cause= 20;text="a, b", X;cause=1'
    )
    assert read.text() == '480 Gone Fishing,SIP;cause=480,Q.850 ;cause= 20;text="a, b",X;cause=1'


@pytest.mark.parametrize(
    ("reasons", "cause"),
    [
        (["Q.850;cause=17"], Cause.BUSY),
        (["q.850 ; CAUSE = 17 ; text=x"], Cause.BUSY),
        (['Q.850;text="cause=1";cause="17"'], Cause.BUSY),
        (["SIP;cause=404", "Q.850;cause=19"], Cause.NO_ANSWER),
        (["Q.850;cause=16", "Q.850;cause=1"], Cause.INVALID),  # 16 is in no table
        (['SIP;cause=200;text="Q.850;cause=17"'], None),
        (["Q.850"], None),
        (["Q.850;cause=" + "9" * 5_000], None),
        (["Q.850;cause=٣"], None),
        ([], None),
    ],
)
def test_first_known_q850_cause_counts(reasons: list[str], cause: Cause | None) -> None:
    found = outcome_of_reasons(reasons)
    assert (found.cause if found else None) == cause
