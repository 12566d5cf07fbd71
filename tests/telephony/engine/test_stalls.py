"""/health and `manage.py trunk_status` report stalled work."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client

from campaigns import runs, tasks
from campaigns.runs import hopper
from iris import health
from telephony.engine import stalls, time_slices
from tests.factories import make_campaign

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _clear_notes() -> None:
    stalls._noted_at.clear()


def make_older(minutes: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE telephony_turn SET began_at = began_at - make_interval(mins => %(minutes)s),
                      got_on_at = got_on_at - make_interval(mins => %(minutes)s)""",
            {"minutes": minutes},
        )


@contextmanager
def busy(name: str) -> Iterator[None]:
    """Hold the lock of the task `name` in another database session."""
    begun, end = threading.Event(), threading.Event()

    def hold() -> None:
        with time_slices.acquire(name, sent_at=None) as ours:
            assert ours
            begun.set()
            end.wait(60)
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert begun.wait(60)
    try:
        yield
    finally:
        end.set()
        holder.join()


def test_a_busy_task_is_not_reported_while_nothing_is_queued() -> None:
    with busy(stalls.FILL), busy(stalls.FILL_MORE), busy(stalls.BACKGROUND):
        make_older(60)
        assert stalls.stalled() == []


def test_stuck_filler_is_reported_with_the_minutes() -> None:
    runs.begin(campaign=make_campaign(), message="Namaste")
    with busy(stalls.FILL):
        tasks.tick()
        assert stalls.stalled() == []
        make_older(5)
        assert stalls.stalled() == [
            "No progress for 5 minutes: the calls and SMS of campaigns are not being queued."
        ]


def test_second_filler_is_reported_only_while_it_is_busy() -> None:
    runs.begin(campaign=make_campaign(), message="Namaste")
    tasks.tick()
    with busy(stalls.FILL_MORE):
        make_older(5)
        stalls.note_progress(stalls.FILL)
        assert stalls.stalled() == [
            "No progress for 5 minutes: the second process that prepares calls and SMS is stuck."
        ]
    assert stalls.stalled() == []


def test_waiting_runs_without_a_process_are_reported() -> None:
    runs.begin(campaign=make_campaign(), message="Namaste")
    tasks.tick()
    make_older(5)

    assert len(stalls.stalled()) == 1
    tasks.tick()  # another tick does not restart the waiting time
    assert len(stalls.stalled()) == 1


def test_filling_is_progress_and_ends_the_waiting() -> None:
    runs.begin(campaign=make_campaign(), message="Namaste")
    tasks.tick()
    make_older(5)

    hopper.fill_all(budget=0, waits_for_room=True)
    assert stalls.stalled() == []

    make_older(5)
    tasks.tick()
    assert stalls.stalled() == []


def test_progress_is_noted_at_most_once_a_second(django_assert_num_queries: pytest.FixtureRequest) -> None:
    with django_assert_num_queries(1):  # type: ignore[operator]
        for _ in range(100):
            stalls.note_progress(stalls.FILL)


def test_health_and_trunk_status_report_stalled_work(client: Client) -> None:
    health.record_heartbeat()
    runs.begin(campaign=make_campaign(), message="Namaste")
    tasks.tick()
    make_older(5)

    response = client.get("/health")
    output = StringIO()
    call_command("trunk_status", stdout=output)

    assert response.status_code == 503
    assert response.json()["worker"].startswith("No progress for 5 minutes: ")
    assert "WARNING: No progress for 5 minutes: " in output.getvalue()
