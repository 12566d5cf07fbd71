"""Workers and beat report that they are not stuck, to systemd and to the healthchecks of containers."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from celery import bootsteps
from celery.worker import state
from pytest_django import Settings

from iris import watchdog
from iris.beat_scheduler import BeatScheduler
from iris.celery import app


@pytest.fixture(autouse=True)
def _reported_never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "_reported_at", float("-inf"))
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)


@pytest.fixture(params=["path", "abstract"])
def systemd(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@{tmp_path}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(address.replace("@", "\0", 1))
        receiver.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        yield receiver


def test_a_report_reaches_systemd_at_most_once_in_some_seconds(systemd: socket.socket) -> None:
    watchdog.report()
    watchdog.report()

    assert systemd.recv(100) == b"WATCHDOG=1"
    with pytest.raises(BlockingIOError):
        systemd.recv(100)


def test_a_report_touches_the_file_of_the_healthcheck(settings: Settings, tmp_path: Path) -> None:
    settings.IRIS_ALIVE_FILE = str(tmp_path / "alive")

    watchdog.report()

    assert time.time() - (tmp_path / "alive").stat().st_mtime < 60


def test_a_report_that_fails_is_logged_and_ends_nothing(
    settings: Settings, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings.IRIS_ALIVE_FILE = str(tmp_path / "missing" / "alive")

    watchdog.report()

    assert "The report that this process is alive failed" in caplog.text


def test_beat_reports_with_each_tick(settings: Settings, tmp_path: Path) -> None:
    settings.IRIS_ALIVE_FILE = str(tmp_path / "alive")
    beat = BeatScheduler(app=cast(Any, app), lazy=True)
    beat.tick(event_t=SimpleNamespace)

    assert (tmp_path / "alive").exists()


# A worker ---------------------------------------------------------------------------------------------------


def worker(*, connected: bool = True, running: bool = True) -> Any:
    phase = bootsteps.RUN if running else bootsteps.CLOSE  # type: ignore[attr-defined]
    consumer = SimpleNamespace(
        connection=object() if connected else None, blueprint=SimpleNamespace(state=phase)
    )
    return SimpleNamespace(consumer=consumer, concurrency=2)


def turned(one: Any, *, seconds_ago: float) -> watchdog.WorkerWatchdog:
    step = watchdog.WorkerWatchdog(one)
    step._turned_at = time.monotonic() - seconds_ago
    return step


def test_a_worker_is_stuck_if_its_main_loop_has_not_turned() -> None:
    one = worker()

    assert turned(one, seconds_ago=1).is_alive(one)
    assert not turned(one, seconds_ago=watchdog.MAX_SILENCE + 1).is_alive(one)


@pytest.mark.parametrize("other", [worker(connected=False), worker(running=False)])
def test_a_worker_that_waits_for_redis_or_stops_is_not_stuck(other: Any) -> None:
    assert turned(other, seconds_ago=watchdog.MAX_SILENCE + 1).is_alive(other)


@pytest.mark.parametrize(("stuck", "alive"), [(1, True), (2, False)])
def test_a_worker_is_stuck_if_all_its_processes_are(
    stuck: int, alive: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = worker()
    began = time.time() - watchdog.MAX_TASK_SECONDS - 1
    requests = [SimpleNamespace(time_start=began) for _ in range(stuck)]
    monkeypatch.setattr(
        state, "active_requests", [*requests, SimpleNamespace(time_start=time.time())][: one.concurrency]
    )
    step = turned(one, seconds_ago=watchdog.MAX_SILENCE + 1)

    step.note_turn(one)

    assert step.is_alive(one) is alive


@pytest.mark.parametrize("watched", [True, False])
def test_a_worker_reports_only_if_somebody_watches(watched: bool, settings: Settings, tmp_path: Path) -> None:
    settings.IRIS_ALIVE_FILE = str(tmp_path / "alive") if watched else ""
    one = worker()

    assert watchdog.WorkerWatchdog(one).include_if(one) is watched
    assert "iris.watchdog:WorkerWatchdog" in app.steps["worker"]
