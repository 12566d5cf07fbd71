"""The validity of a submission is the time that has passed, whatever the clock of the machine shows."""

from __future__ import annotations

import dataclasses
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from telephony.carriers.base import Submission
from telephony.carriers.validity import Validity
from telephony.models import Channel

HOUR = 3600.0


@pytest.mark.parametrize(
    ("monotonic", "wall", "left"),
    [(0, 0, 30), (10, 10, 20), (31, 31, -1)],
)
def test_time_that_passes_uses_up_the_validity(monotonic: float, wall: float, left: float) -> None:
    assert _after(monotonic, wall) == pytest.approx(left, abs=1)


def test_a_clock_that_is_set_back_prolongs_no_validity() -> None:
    assert _after(31, 31 - HOUR) < 0


def test_the_time_in_which_a_virtual_machine_was_paused_counts() -> None:
    assert _after(0.1, 31) < 0


@pytest.mark.parametrize("wrong", [timedelta(hours=1), timedelta(hours=-1)])
def test_a_submission_is_valid_although_the_clock_of_the_database_differs(wrong: timedelta) -> None:
    one = Submission(
        key="1",
        channel=Channel.SMS,
        to="+9779800000001",
        caller="",
        text="Hi",
        audio_name="",
        audio_seconds=None,
        attempt=1,
        owner_id=1,
        valid_until=timezone.now() + wrong,
        validity=Validity.begin(30),
    )
    assert 25 < one.seconds_left() <= 30
    assert dataclasses.replace(one, validity=Validity.begin(0)).seconds_left() <= 0


def _after(monotonic: float, wall: float) -> float:
    """Return what is left of 30 s of validity after both clocks have advanced by so many seconds."""
    return Validity(30, time.monotonic() - monotonic, time.time() - wall).seconds_left()
