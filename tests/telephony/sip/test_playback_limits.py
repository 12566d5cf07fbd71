"""Test what an answered call counts as, by how much of its message was heard, and by who ended it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from telephony.carriers.sip.answered import result_of
from telephony.carriers.sip.options import SipOptions
from telephony.carriers.sip.signalling import CallSignalling
from telephony.models import Cause, DeliveryStatus

S = DeliveryStatus


def result(
    *,
    heard: float = 3.0,
    share: int = 30,
    was_ready: bool = True,
    is_hung_up: bool = True,
    has_response: bool = False,
    **options: Any,
) -> tuple[DeliveryStatus, Cause, str]:
    playback = SimpleNamespace(was_ready=was_ready, seconds=lambda: heard)
    return result_of(
        cast(Any, playback),
        share=share,
        heard=share,
        options=SipOptions(host="sip.example.com", **options),
        said=CallSignalling(),
        text="The far end hung up after 3.3 s.",
        is_hung_up=is_hung_up,
        has_response=has_response,
    )


@pytest.mark.parametrize(
    ("limits", "is_unanswered"),
    [
        ({}, False),
        ({"min_heard_seconds": 3.1}, True),
        ({"min_heard_seconds": 3.0}, False),
        ({"min_heard_percent": 31}, True),
        ({"min_heard_percent": 30}, False),
        ({"min_heard_seconds": 2.0, "min_heard_percent": 50}, True),
        ({"min_heard_seconds": 8.0, "min_heard_percent": 10}, True),
        ({"min_heard_seconds": 2.0, "min_heard_percent": 10}, False),
    ],
)
def test_call_that_ends_below_a_limit_counts_as_unanswered(
    limits: dict[str, Any], is_unanswered: bool
) -> None:
    status, cause, text = result(**limits)
    expected = (S.UNANSWERED, Cause.NO_ANSWER) if is_unanswered else (S.HUNGUP, Cause.CUT_OFF)
    assert (status, cause) == expected
    assert ("Counted as unanswered" in text) == is_unanswered


@pytest.mark.parametrize("facts", [{"is_hung_up": False}, {"has_response": True}])
def test_person_who_responded_and_a_call_that_we_ended_always_count(facts: dict[str, bool]) -> None:
    status, _, _ = result(min_heard_seconds=60.0, min_heard_percent=100, **facts)
    assert status == S.HUNGUP


def test_short_message_that_was_heard_to_its_end_is_completed() -> None:
    status, cause, _ = result(share=100, heard=1.0, min_heard_seconds=8.0)
    assert (status, cause) == (S.COMPLETED, Cause.NONE)


def test_call_without_sound_is_free_unless_the_trunk_says_otherwise() -> None:
    assert result(was_ready=False, share=0, heard=0.0)[:2] == (S.FAILED, Cause.REFUSED)
    assert result(was_ready=False, share=0, heard=0.0, charge_silent_calls=True)[:2] == (
        S.HUNGUP,
        Cause.CUT_OFF,
    )
