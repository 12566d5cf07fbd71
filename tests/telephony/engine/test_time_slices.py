"""Time slices of endless tasks are so short that other tasks wait for about a second at most."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from celery import current_app
from django.core.management import call_command
from django.utils import timezone

from telephony import tasks
from telephony.engine import delivery_reports, time_slices, workers
from telephony.engine.nudge import EXPIRES, sent_at
from telephony.models import DeliveryStatus, TimeSlice
from tests.factories import make_delivery, make_trunk

pytestmark = pytest.mark.django_db

SANDBOX = {"BACKEND": "telephony.carriers.sandbox.SandboxCarrier", "CPS": None, "CHANNELS": None}
LINE = {"BACKEND": "tests.telephony.engine.test_trunk_worker.TestedSession", "CPS": None, "CHANNELS": None}


def busy(settings: Any, trunks: int) -> None:
    """Configure this many trunks, each with deliveries to send and to poll for."""
    settings.CARRIERS = {f"trunk{number}": SANDBOX for number in range(trunks)}
    for alias in settings.CARRIERS:
        for status in (DeliveryStatus.QUEUED, DeliveryStatus.SUBMITTED):
            make_delivery(trunk=make_trunk(alias), status=status)


def longest_wait(settings: Any, trunks: int) -> float:
    """Return how long a task waits for a process, in seconds, while all trunks and a filler use full time slices."""
    tasks = 2 * trunks + 1
    processes = settings.IRIS_WORKER_CONCURRENCY - time_slices.BACKGROUND
    return time_slices.seconds() * (tasks - processes + 1) / processes


def test_single_busy_trunk_has_time_slices_of_seconds(settings: Any) -> None:
    busy(settings, 1)
    assert time_slices.seconds() >= 3


@pytest.mark.parametrize("trunks", [2, 5, 7])
def test_time_slices_of_many_busy_trunks_keep_waits_below_a_second(settings: Any, trunks: int) -> None:
    busy(settings, trunks)
    assert longest_wait(settings, trunks) <= time_slices.MAX_WAIT_SECONDS + 0.01


def test_idle_trunks_do_not_shorten_time_slices(settings: Any) -> None:
    settings.CARRIERS = {f"trunk{number}": SANDBOX for number in range(20)}
    assert time_slices.seconds() == settings.IRIS_TASK_SECONDS


def test_trunk_with_its_own_worker_has_a_long_time_slice(settings: Any) -> None:
    busy(settings, 7)
    settings.CARRIERS = {**settings.CARRIERS, "line": LINE}
    assert time_slices.seconds("line") == time_slices.SESSION_SECONDS > settings.IRIS_TASK_SECONDS


def test_more_processes_lengthen_time_slices(settings: Any) -> None:
    busy(settings, 7)
    short = time_slices.seconds()
    settings.IRIS_WORKER_CONCURRENCY = 20
    assert short < time_slices.seconds() == settings.IRIS_TASK_SECONDS


def status() -> str:
    output = StringIO()
    call_command("trunk_status", stdout=output)
    return output.getvalue()


def start_worker(name: str, monkeypatch: pytest.MonkeyPatch, *, processes: int, queue: str = "iris") -> None:
    """Record a living worker with that many processes, as the worker does when it begins a task."""
    monkeypatch.setattr(current_app.amqp.queues, "_consume_from", {queue: None})
    monkeypatch.setattr(workers, "_name", "")
    monkeypatch.setattr(workers, "_noted_at", float("-inf"))
    workers.remember(SimpleNamespace(hostname=name, concurrency=processes))
    workers.note()


def test_trunk_status_shows_how_many_processes_all_trunks_need(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CARRIERS = {f"trunk{number}": SANDBOX for number in range(5)}
    start_worker("worker1@here", monkeypatch, processes=4)
    assert "workers: 1 with 4 processes: worker1@here (4)" in status()
    assert "they need 13 processes; there are 4" in status()
    start_worker("worker2@there", monkeypatch, processes=9)
    start_worker("line1@there", monkeypatch, processes=1, queue="trunk.line1")
    assert "workers: 2 with 13 processes: worker1@here (4), worker2@there (9)" in status()
    assert "they need" not in status()


def test_trunk_status_warns_when_no_worker_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "WARNING: no worker has taken a task for 90 s, so nothing is sent." in status()
    start_worker("worker1@here", monkeypatch, processes=4)
    assert "no worker" not in status()
    TimeSlice.objects.filter(name__contains="worker1").update(
        began_at=timezone.now() - timedelta(seconds=100)
    )
    assert "WARNING: no worker has taken a task" in status()
    TimeSlice.objects.filter(name__contains="worker1").update(began_at=timezone.now() - timedelta(days=2))
    start_worker("worker2@here", monkeypatch, processes=4)
    assert TimeSlice.objects.filter(name__startswith=workers.PREFIX).count() == 1


def test_nudge_sent_before_the_last_time_slice_began_is_dropped() -> None:
    """Otherwise every surplus nudge would get time slices of its own and nudge itself again."""
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


def test_nudge_of_a_sender_with_a_slow_clock_is_not_dropped_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time_slices, "NUDGE_CHECK_SECONDS", 0.0)
    for _ in range(2):
        with time_slices.acquire("poll:one", sent_at=timezone.now() - timedelta(hours=1)) as free:
            assert free


def test_surplus_nudges_end_and_time_slices_continue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ten nudges of one trunk, the first gets a time slice and nudges itself; the other nine are dropped."""
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


def test_time_of_a_nudge_is_derived_from_its_expiry() -> None:
    sent = timezone.now()
    for expires in ((sent + timedelta(seconds=EXPIRES)).isoformat(), sent + timedelta(seconds=EXPIRES)):
        tasks.poll.push_request(expires=expires)  # type: ignore[call-arg]
        try:
            assert sent_at(tasks.poll) == sent
        finally:
            tasks.poll.pop_request()
    assert sent_at(tasks.poll) is None
