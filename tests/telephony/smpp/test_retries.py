"""Test how often, and when, an SMS is retried that the SMSC cannot accept at the moment."""

from __future__ import annotations

import pytest

from telephony.carriers.smpp import retries as smpp_retries
from telephony.carriers.smpp.protocol import QUEUE_FULL, THROTTLED
from telephony.carriers.smpp.retries import (
    BUSY_SECONDS,
    MAX_ATTEMPTS,
    MAX_BACKOFF_ATTEMPTS,
    MAX_PAUSE_SECONDS,
    RetryCounts,
)


def test_sms_fails_after_five_errors_while_others_are_accepted() -> None:
    retries, pauses = RetryCounts(), []
    for _ in range(MAX_ATTEMPTS):
        pauses.append(retries.count_busy("1"))
        retries.note_accepted(1)
    assert pauses == [BUSY_SECONDS] * (MAX_ATTEMPTS - 1) + [None]


def test_sms_is_retried_for_an_hour_while_the_smsc_accepts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    retries = RetryCounts()
    assert {retries.count_busy("1") for _ in range(100)} == {BUSY_SECONDS}
    monkeypatch.setattr(smpp_retries, "MAX_RETRY_SECONDS", -1.0)
    assert retries.count_busy("1") is None


def test_full_queue_is_retried_with_backoff_and_a_limit() -> None:
    retries, pauses = RetryCounts(), []
    while (pause := retries.count_queue_full("1")) is not None:
        pauses.append(pause)
    assert pauses[:5] == [0, 5, 10, 20, 40]
    assert pauses == sorted(pauses)
    assert pauses[-1] == MAX_PAUSE_SECONDS
    assert 15 * 60 < sum(pauses) < 60 * 60


def test_forgotten_sms_is_counted_from_the_beginning() -> None:
    retries = RetryCounts()
    for _ in range(3):
        retries.count_queue_full("1")
    assert retries.sms_specific_status("1") == QUEUE_FULL
    retries.forget("1")
    assert retries.sms_specific_status("1") is None
    assert retries.count_queue_full("1") == 0


def test_attempts_are_counted_for_the_latest_sms_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smpp_retries, "MAX_COUNTED_SMS", 2)
    retries = RetryCounts()
    for key in "12345":
        retries.count_queue_full(key)
    assert [key for key in "12345" if retries.sms_specific_status(key)] == ["4", "5"]


def test_sms_throttled_alone_is_retried_with_backoff_and_a_limit() -> None:
    retries, pauses = RetryCounts(), []
    while (pause := retries.count_throttled("1")) is not None:
        pauses.append(pause)
        retries.note_accepted(1)
    assert pauses[:4] == [0, 5, 10, 20]
    assert 15 * 60 < sum(pauses) < 60 * 60
    assert retries.sms_specific_status("1") == THROTTLED


def test_known_throttled_sms_end_even_if_no_others_are_left() -> None:
    retries = RetryCounts()
    for _ in range(3):
        for key in "12345":
            retries.count_throttled(key)
            retries.note_accepted(50)
    assert {retries.sms_specific_status(key) for key in "12345"} == {THROTTLED}
    ends = [[retries.count_throttled(key) for key in "12345"] for _ in range(MAX_BACKOFF_ATTEMPTS)]
    assert ends[-1] == [None] * 5


def test_throttling_of_many_sms_is_blamed_on_the_pace() -> None:
    retries = RetryCounts()
    for _ in range(1000):
        for key in "12345":
            retries.note_accepted(1)
            assert retries.count_throttled(key) == 0
    assert retries.sms_specific_status("1") is None
