"""How often an SMS is tried that the SMSC cannot take at the moment."""

from __future__ import annotations

import pytest

from telephony.carriers.smpp import retries as smpp_retries
from telephony.carriers.smpp.protocol import QUEUE_FULL, THROTTLED
from telephony.carriers.smpp.retries import (
    BUSY_SECONDS,
    MAX_ATTEMPTS,
    MAX_PAUSE_SECONDS,
    MAX_QUEUE_FULL_ATTEMPTS,
    RetryCounts,
)


def test_an_sms_that_alone_cannot_be_taken_is_given_up() -> None:
    retries, pauses = RetryCounts(), []
    for _ in range(MAX_ATTEMPTS):
        pauses.append(retries.busy("1"))
        retries.note_accepted(1)
    assert pauses == [BUSY_SECONDS] * (MAX_ATTEMPTS - 1) + [None]


def test_while_the_smsc_takes_nothing_it_is_tried_for_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    retries = RetryCounts()
    assert {retries.busy("1") for _ in range(100)} == {BUSY_SECONDS}
    monkeypatch.setattr(smpp_retries, "LONGEST", -1.0)
    assert retries.busy("1") is None


def test_a_queue_that_stays_full_is_tried_ever_more_rarely_and_not_for_ever() -> None:
    retries, pauses = RetryCounts(), []
    while (pause := retries.full("1")) is not None:
        pauses.append(pause)
    assert pauses[:5] == [0, 5, 10, 20, 40]
    assert pauses == sorted(pauses)
    assert pauses[-1] == MAX_PAUSE_SECONDS
    assert 15 * 60 < sum(pauses) < 60 * 60


def test_what_was_taken_or_refused_begins_anew() -> None:
    retries = RetryCounts()
    for _ in range(3):
        retries.full("1")
    assert retries.own_complaint("1") == QUEUE_FULL
    retries.forget("1")
    assert retries.own_complaint("1") is None
    assert retries.full("1") == 0


def test_only_the_latest_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smpp_retries, "MOST", 2)
    retries = RetryCounts()
    for key in "12345":
        retries.full(key)
    assert [key for key in "12345" if retries.own_complaint(key)] == ["4", "5"]


def test_an_sms_that_alone_comes_too_fast_is_tried_ever_more_rarely_and_not_for_ever() -> None:
    retries, pauses = RetryCounts(), []
    while (pause := retries.throttled("1")) is not None:
        pauses.append(pause)
        retries.note_accepted(1)
    assert pauses[:4] == [0, 5, 10, 20]
    assert 15 * 60 < sum(pauses) < 60 * 60
    assert retries.own_complaint("1") == THROTTLED


def test_several_sms_that_always_come_too_fast_come_to_their_end_when_no_others_are_left() -> None:
    retries = RetryCounts()
    for _ in range(3):
        for key in "12345":
            retries.throttled(key)
            retries.note_accepted(50)
    assert {retries.own_complaint(key) for key in "12345"} == {THROTTLED}
    ends = [[retries.throttled(key) for key in "12345"] for _ in range(MAX_QUEUE_FULL_ATTEMPTS)]
    assert ends[-1] == [None] * 5


def test_where_many_come_too_fast_it_is_the_pace_and_costs_nobody_their_sms() -> None:
    retries = RetryCounts()
    for _ in range(1000):
        for key in "12345":
            retries.note_accepted(1)
            assert retries.throttled(key) == 0
    assert retries.own_complaint("1") is None
