"""Test how pressed keys are read: from INFO requests, and from the RTP payload types that carry them."""

from __future__ import annotations

import pytest

from telephony.carriers.sip.messages import SipMessage
from telephony.carriers.sip.pressed_keys import event_payload_types, key_in


def info(body: str, content_type: str = "application/dtmf-relay") -> SipMessage:
    head = f"INFO sip:x SIP/2.0\r\nCSeq: 2 INFO\r\nContent-Type: {content_type}\r\n\r\n"
    return SipMessage.parse((head + body).encode())


@pytest.mark.parametrize(
    ("body", "key"),
    [
        *[(f"Signal={code}\r\nDuration=160\r\n", key) for code, key in enumerate([*"0123456789*#ABCD", ""])],
        ("Signal= 5\r\nDuration= 100", "5"),
        ("Signal=5", "5"),
        ("signal:#", "#"),
        ('SIGNAL = "11"', "#"),
        ("Duration=160\r\nSignal=*", "*"),
        ("Signal=05", "5"),
        ("Signal=d\r\n", "D"),
        ("Signal=!", ""),
        ("Signal=hf", ""),
        ("Signal=17", None),
        ("Signal=", None),
        ("Signal=-1", None),
        ("Signal=٣", None),
        ("5", "5"),
        ("  11 \r\n", "#"),
        ("'c'", "C"),
        ("", None),
        ("hello", None),
        ("1" * 5_000, None),
    ],
)
@pytest.mark.parametrize("content_type", ["application/dtmf-relay", "Application/DTMF ; charset=utf-8"])
def test_key_is_read_from_both_content_types(body: str, key: str | None, content_type: str) -> None:
    assert key_in(info(body, content_type)) == key


def test_other_info_requests_have_no_key() -> None:
    assert key_in(info("Signal=5", "application/media_control+xml")) is None


def test_payload_types_of_keys_are_found_in_session_descriptions() -> None:
    bodies = ["v=0\r\na=rtpmap:96 telephone-event/8000\r\na=rtpmap:8 PCMA/8000\r\n", "a=rtpmap:0 PCMU/8000"]
    assert event_payload_types(bodies) == [96]
    assert event_payload_types(["a=rtpmap:7 telephone-event/8000"]) == []  # not dynamic
