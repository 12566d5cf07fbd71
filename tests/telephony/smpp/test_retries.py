"""How often an SMS is tried that the SMSC cannot take at the moment."""

from __future__ import annotations

import pytest

from telephony.carriers.smpp import retries as smpp_troubles
from telephony.carriers.smpp.protocol import QUEUE_FULL, THROTTLED
from telephony.carriers.smpp.retries import (
    BUSY_SECONDS,
    LONGEST_PAUSE,
    MOST_ATTEMPTS,
    MOST_ATTEMPTS_AT_FULL,
    Troubles,
)


def test_an_sms_that_alone_cannot_be_taken_is_given_up() -> None:
    troubles, pauses = Troubles(), []
    for _ in range(MOST_ATTEMPTS):
        pauses.append(troubles.busy("1"))
        troubles.took(1)
    assert pauses == [BUSY_SECONDS] * (MOST_ATTEMPTS - 1) + [None]


def test_while_the_smsc_takes_nothing_it_is_tried_for_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    troubles = Troubles()
    assert {troubles.busy("1") for _ in range(100)} == {BUSY_SECONDS}
    monkeypatch.setattr(smpp_troubles, "LONGEST", -1.0)
    assert troubles.busy("1") is None


def test_a_queue_that_stays_full_is_tried_ever_more_rarely_and_not_for_ever() -> None:
    troubles, pauses = Troubles(), []
    while (pause := troubles.full("1")) is not None:
        pauses.append(pause)
    assert pauses[:5] == [0, 5, 10, 20, 40]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE
    assert 15 * 60 < sum(pauses) < 60 * 60


def test_what_was_taken_or_refused_begins_anew() -> None:
    troubles = Troubles()
    for _ in range(3):
        troubles.full("1")
    assert troubles.own_complaint("1") == QUEUE_FULL
    troubles.forget("1")
    assert troubles.own_complaint("1") is None
    assert troubles.full("1") == 0


def test_only_the_latest_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smpp_troubles, "MOST", 2)
    troubles = Troubles()
    for key in "12345":
        troubles.full(key)
    assert [key for key in "12345" if troubles.own_complaint(key)] == ["4", "5"]


def test_an_sms_that_alone_comes_too_fast_is_tried_ever_more_rarely_and_not_for_ever() -> None:
    troubles, pauses = Troubles(), []
    while (pause := troubles.throttled("1")) is not None:
        pauses.append(pause)
        troubles.took(1)
    assert pauses[:4] == [0, 5, 10, 20]
    assert 15 * 60 < sum(pauses) < 60 * 60
    assert troubles.own_complaint("1") == THROTTLED


def test_several_sms_that_always_come_too_fast_come_to_their_end_when_no_others_are_left() -> None:
    troubles = Troubles()
    for _ in range(3):
        for key in "12345":
            troubles.throttled(key)
            troubles.took(50)
    assert {troubles.own_complaint(key) for key in "12345"} == {THROTTLED}
    ends = [[troubles.throttled(key) for key in "12345"] for _ in range(MOST_ATTEMPTS_AT_FULL)]
    assert ends[-1] == [None] * 5


def test_where_many_come_too_fast_it_is_the_pace_and_costs_nobody_their_sms() -> None:
    troubles = Troubles()
    for _ in range(1000):
        for key in "12345":
            troubles.took(1)
            assert troubles.throttled(key) == 0
    assert troubles.own_complaint("1") is None
