"""Tasks that go on and on leave room for the others: whatever is nudged waits for about a second at most."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from telephony import tasks
from telephony.engine import delivery_reports, time_slices
from telephony.engine.nudge import EXPIRES, sent_at
from telephony.models import DeliveryStatus
from tests.factories import make_delivery, make_trunk

pytestmark = pytest.mark.django_db

SANDBOX = {"BACKEND": "telephony.carriers.sandbox.SandboxCarrier", "CPS": None, "CHANNELS": None}
LINE = {"BACKEND": "tests.telephony.engine.test_trunk_worker.TestedSession", "CPS": None, "CHANNELS": None}


def busy(settings: Any, trunks: int) -> None:
    """So many trunks, each with something to send and something to ask for."""
    settings.CARRIERS = {f"trunk{number}": SANDBOX for number in range(trunks)}
    for alias in settings.CARRIERS:
        for status in (DeliveryStatus.QUEUED, DeliveryStatus.SUBMITTED):
            make_delivery(trunk=make_trunk(alias), status=status)


def longest_wait(settings: Any, trunks: int) -> float:
    """Until a process is free, when all trunks and a filler take turns of the present length, one behind the other."""
    tasks = 2 * trunks + 1
    processes = settings.IRIS_WORKER_CONCURRENCY - time_slices.BACKGROUND
    return time_slices.seconds() * (tasks - processes + 1) / processes


def test_one_busy_trunk_has_turns_of_seconds(settings: Any) -> None:
    busy(settings, 1)
    assert time_slices.seconds() >= 3


@pytest.mark.parametrize("trunks", [2, 5, 7])
def test_many_busy_trunks_have_turns_so_short_that_nobody_waits_for_longer_than_a_second(
    settings: Any, trunks: int
) -> None:
    busy(settings, trunks)
    assert longest_wait(settings, trunks) <= time_slices.MAX_WAIT_SECONDS + 0.01


def test_trunks_with_nothing_to_do_shorten_nobodys_turn(settings: Any) -> None:
    settings.CARRIERS = {f"trunk{number}": SANDBOX for number in range(20)}
    assert time_slices.seconds() == settings.IRIS_TASK_SECONDS


def test_a_trunk_with_a_worker_of_its_own_shares_it_with_nobody(settings: Any) -> None:
    busy(settings, 7)
    settings.CARRIERS = {**settings.CARRIERS, "line": LINE}
    assert time_slices.seconds("line") == time_slices.SESSION_SECONDS > settings.IRIS_TASK_SECONDS


def test_more_processes_mean_longer_turns(settings: Any) -> None:
    busy(settings, 7)
    short = time_slices.seconds()
    settings.IRIS_WORKER_CONCURRENCY = 20
    assert short < time_slices.seconds() == settings.IRIS_TASK_SECONDS


def test_trunk_status_says_how_many_processes_would_be_busy(settings: Any) -> None:
    settings.CARRIERS = {f"trunk{number}": SANDBOX for number in range(5)}
    output = StringIO()
    call_command("trunk_status", stdout=output)
    assert "they need 13 processes; a worker has 4 (IRIS_WORKER_CONCURRENCY)" in output.getvalue()
    settings.IRIS_WORKER_CONCURRENCY = 13
    output = StringIO()
    call_command("trunk_status", stdout=output)
    assert "IRIS_WORKER_CONCURRENCY" not in output.getvalue()


def test_a_nudge_that_was_sent_before_the_last_turn_began_has_had_its_turn() -> None:
    """Else every nudge too many would take turns of its own, and nudge itself, for ever."""
    sent_at = timezone.now()
    with time_slices.acquire("poll:one", sent_at=sent_at) as first:
        pass
    with time_slices.acquire("poll:one", sent_at=sent_at) as again:
        pass
    with time_slices.acquire("poll:other", sent_at=sent_at) as other:
        pass
    with time_slices.acquire("poll:one", sent_at=timezone.now()) as later:
        pass
    assert (first, again, other, later) == (True, False, True, True)


def test_a_sender_whose_clock_is_far_behind_is_heard_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_slices, "NUDGE_CHECK_SECONDS", 0.0)
    for _ in range(2):
        with time_slices.acquire("poll:one", sent_at=timezone.now() - timedelta(hours=1)) as free:
            assert free


def test_nudges_too_many_end_and_the_turns_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten nudges of one trunk: the first has a turn and nudges itself, and the nine are not heard of again."""
    waiting = [timezone.now()] * 10
    begun = 0

    def poll(alias: str, *, budget: float) -> bool:
        nonlocal begun
        begun += 1
        return True

    monkeypatch.setattr(delivery_reports, "poll", poll)
    monkeypatch.setattr(tasks.poll, "delay", lambda alias: waiting.append(timezone.now()))
    monkeypatch.setattr(tasks, "sent_at", lambda task: waiting.pop(0))
    for _ in range(10):
        tasks.poll("sandbox")
    assert (begun, len(waiting)) == (1, 1)
    tasks.poll("sandbox")
    assert (begun, len(waiting)) == (2, 1)


def test_when_a_nudge_was_sent_is_read_from_when_it_expires() -> None:
    sent = timezone.now()
    for expires in ((sent + timedelta(seconds=EXPIRES)).isoformat(), sent + timedelta(seconds=EXPIRES)):
        tasks.poll.push_request(expires=expires)  # type: ignore[call-arg]
        try:
            assert sent_at(tasks.poll) == sent
        finally:
            tasks.poll.pop_request()
    assert sent_at(tasks.poll) is None
