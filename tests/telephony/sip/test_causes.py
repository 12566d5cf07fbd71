"""Test how SIP responses and Q.850 causes translate into outcomes."""

from __future__ import annotations

import pytest

from telephony.carriers.refusals import Meaning
from telephony.carriers.sip.causes import UNHEARD_RING_SECONDS, Outcome, describe, outcome_of
from telephony.models import Cause, DeliveryStatus

UNANSWERED, FAILED = DeliveryStatus.UNANSWERED, DeliveryStatus.FAILED


def outcome_after(text: str, *, rang: bool = False, transport: str = "udp", seconds: float = 0.1) -> Outcome:
    return outcome_of(text, rang=rang, transport=transport, seconds=seconds)


@pytest.mark.parametrize(
    ("text", "status", "cause"),
    [
        ("486 Busy Here", UNANSWERED, Cause.BUSY),
        ("600 Busy Everywhere", UNANSWERED, Cause.BUSY),
        ("480 Temporarily Unavailable", UNANSWERED, Cause.NO_ANSWER),
        ("408 Request Timeout", UNANSWERED, Cause.NO_ANSWER),
        ("487 Request Terminated", UNANSWERED, Cause.NO_ANSWER),
        ("404 Not Found", FAILED, Cause.INVALID),
        ("484 Address Incomplete", FAILED, Cause.INVALID),
        ("604 Does Not Exist Anywhere", FAILED, Cause.INVALID),
        ("403 Forbidden", FAILED, Cause.REFUSED),
        ("488 Not Acceptable Here", FAILED, Cause.REFUSED),
        ("603 Decline", FAILED, Cause.REFUSED),
        ("500 Server Internal Error", FAILED, Cause.REFUSED),
        ("504 Server Time-out", FAILED, Cause.REFUSED),
        ("799 Nobody Knows", FAILED, Cause.REFUSED),
        ("Connection timed out [110]", FAILED, Cause.LOST),
        ("Nonsense [" + "9" * 5_000 + "]", FAILED, Cause.LOST),
        ("486 Busy Here,Q.850;cause=" + "1" * 5_000, UNANSWERED, Cause.BUSY),
        ("480 " + "Q.850;" * 5_000, UNANSWERED, Cause.NO_ANSWER),
        ("Connection reset by peer [104]", FAILED, Cause.LOST),
        ("", FAILED, Cause.LOST),
    ],
)
def test_response_text_maps_to_status_and_cause(text: str, status: DeliveryStatus, cause: Cause) -> None:
    outcome = outcome_after(text)
    assert (outcome.status, outcome.cause, outcome.again) == (status, cause, False)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('480 Temporarily Unavailable,Q.850;cause=17;text="User busy"', Cause.BUSY),
        ("500 Server Internal Error,Q.850;cause=1", Cause.INVALID),
        ("503 Service Unavailable,q.850 ; cause=19", Cause.NO_ANSWER),
        ('480 Away,SIP;cause=480,Q.850;text="a, b";cause=17', Cause.BUSY),
        ("480 Q.850;cause=17", Cause.NO_ANSWER),  # the trunk's own words are no Reason header
        ("486 Busy Here,Q.850;cause=16", Cause.BUSY),  # not in the table: the status decides
        ("603 Decline,SIP;cause=200", Cause.REFUSED),
    ],
)
def test_q850_cause_overrides_the_sip_status(text: str, cause: Cause) -> None:
    outcome = outcome_after(text)
    assert (outcome.cause, outcome.again) == (cause, False)


@pytest.mark.parametrize(
    "text",
    [
        "503 Service Unavailable",
        "500 Server Internal Error,Q.850;cause=34",
        "401 Unauthorized",
        "407 Proxy Authentication Required",
        "Connection refused [111]",
        "Destination address required [89]",
    ],
)
def test_call_not_accepted_by_the_trunk_is_retried_unless_the_phone_rang(text: str) -> None:
    assert outcome_after(text).again
    assert not outcome_after(text, rang=True).again


@pytest.mark.parametrize(
    ("transport", "text", "seconds", "again"),
    [
        ("udp", "Network is unreachable [101]", 0.3, True),
        (
            "udp",
            "Network is unreachable [101]",
            0.5,
            False,
        ),  # the second INVITE failed, but the first was sent
        ("udp", "No route to host [113]", 0.5, False),
        ("udp", "Network is down [100]", 0.5, False),
        ("udp", "Cannot assign requested address [99]", 0.5, False),
        ("udp", "Connection refused [111]", 0.5, False),
        ("udp", "Destination address required [89]", 5.0, True),  # its name cannot be resolved
        (
            "udp",
            "Destination address required [89]",
            32.0,
            False,
        ),  # its second address, after the first was tried
        ("tcp", "No route to host [113]", 3.0, True),  # the connection could not be made
        ("tls", "Connection refused [111]", 3.0, True),
        ("tcp", "Connection refused [111]", 32.0, False),
        ("tcp", "Connection reset by peer [104]", 0.1, False),
    ],
)
def test_transport_error_is_retried_only_if_the_first_invite_was_never_sent(
    transport: str, text: str, seconds: float, again: bool
) -> None:
    outcome = outcome_after(text, transport=transport, seconds=seconds)
    assert outcome.again == again
    assert again or outcome.cause == Cause.LOST


@pytest.mark.parametrize(
    ("text", "meaning", "did_not_ring"),
    [
        ("302 Moved Temporarily", Meaning.DOUBTFUL, True),
        ("402 Payment Required", Meaning.DOUBTFUL, True),
        ("403 Forbidden", Meaning.DOUBTFUL, True),
        ("404 Not Found", Meaning.DOUBTFUL, True),
        ("408 Request Timeout", Meaning.DOUBTFUL, True),
        ("480 Temporarily Unavailable", Meaning.DOUBTFUL, True),
        ("487 Request Terminated", Meaning.DOUBTFUL, True),
        ("488 Not Acceptable Here", Meaning.DOUBTFUL, True),
        ("499 Of Their Own", Meaning.DOUBTFUL, True),
        ("500 Server Internal Error", Meaning.DOUBTFUL, False),
        ("502 Bad Gateway", Meaning.DOUBTFUL, False),
        ("504 Server Time-out", Meaning.DOUBTFUL, False),
        ("608 Rejected", Meaning.DOUBTFUL, True),
        ("401 Unauthorized", Meaning.TRUNK, True),
        ("503 Service Unavailable", Meaning.BUSY, True),
        ("480 Temporarily Unavailable,Q.850;cause=38", Meaning.BUSY, True),
        ("480 Temporarily Unavailable,Q.850;cause=41", Meaning.BUSY, True),
        ("404 Not Found,Q.850;cause=1", Meaning.RECIPIENT, True),
        ("486 Busy Here", Meaning.RECIPIENT, True),
        ("480 Temporarily Unavailable,Q.850;cause=20", Meaning.RECIPIENT, False),
        ("603 Decline", Meaning.RECIPIENT, False),
        ("607 Unwanted", Meaning.RECIPIENT, False),
        ("403 Forbidden,Q.850;cause=21", Meaning.RECIPIENT, False),
    ],
)
def test_response_meaning_tells_the_trunk_from_the_recipient(
    text: str, meaning: Meaning, did_not_ring: bool
) -> None:
    outcome = outcome_after(text)
    assert (outcome.meaning, outcome.did_not_ring) == (meaning, did_not_ring)
    rang = outcome_after(text, rang=True)
    assert (rang.meaning, rang.did_not_ring, rang.cause) == (Meaning.TAKEN, False, outcome.cause)


@pytest.mark.parametrize(
    "text", ["408 Request Timeout", "480 Temporarily Unavailable", "487 Request Terminated"]
)
def test_late_response_does_not_prove_that_no_phone_rang(text: str) -> None:
    assert not outcome_after(text, seconds=UNHEARD_RING_SECONDS).did_not_ring


def test_bare_status_code_is_described_by_its_name() -> None:
    assert describe("403 ") == "403 Forbidden"
    assert describe("403 Not You") == "403 Not You"
    assert describe("499") == "499"
    assert describe("Connection refused [111]") == "Connection refused [111]"
