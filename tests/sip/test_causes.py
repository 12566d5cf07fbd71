"""What SIP and the telephone network behind it say, in our words."""

from __future__ import annotations

import pytest

from telephony.carriers.sip.causes import outcome_of
from telephony.models import Cause, DeliveryStatus

UNANSWERED, FAILED = DeliveryStatus.UNANSWERED, DeliveryStatus.FAILED


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
        ("Connection reset by peer [104]", FAILED, Cause.LOST),
        ("", FAILED, Cause.LOST),
    ],
)
def test_each_answer_has_its_outcome(text: str, status: DeliveryStatus, cause: Cause) -> None:
    outcome = outcome_of(text, rang=False)
    assert (outcome.status, outcome.cause, outcome.again) == (status, cause, False)


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ('480 Temporarily Unavailable,Q.850;cause=17;text="User busy"', Cause.BUSY),
        ("500 Server Internal Error,Q.850;cause=1", Cause.INVALID),
        ("503 Service Unavailable,q.850 ; cause=19", Cause.NO_ANSWER),
        ("486 Busy Here,Q.850;cause=16", Cause.BUSY),  # says no more than the status
        ("603 Decline,SIP;cause=200", Cause.REFUSED),
    ],
)
def test_the_telephone_network_knows_better_than_the_gateway(text: str, cause: Cause) -> None:
    outcome = outcome_of(text, rang=False)
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
def test_a_call_that_was_surely_not_taken_is_made_again_unless_the_phone_rang(text: str) -> None:
    assert outcome_of(text, rang=False).again
    assert not outcome_of(text, rang=True).again
