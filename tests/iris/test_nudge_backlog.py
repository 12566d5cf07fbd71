"""Nudges that no worker takes do not fill the memory of Redis."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from pytest_django import Settings

from iris import nudge_backlog
from tests.live import wait_for
from tests.ports import free_port


@pytest.fixture
def server(
    settings: Settings, tmp_path: Path, require_program: Callable[[str], str]
) -> Iterator[redis.Redis]:
    """A Redis that is full: it accepts no more nudges, and no worker."""
    port = free_port()
    settings.IRIS_BROKER_URL = f"redis://127.0.0.1:{port}/0"
    options = ["--port", str(port), "--save", "", "--maxmemory", "4mb", "--maxmemory-policy", "volatile-ttl"]
    process = subprocess.Popen(
        [require_program("redis-server"), *options, "--dir", str(tmp_path)], stdout=subprocess.DEVNULL
    )
    with redis.Redis(port=port) as client:
        try:
            wait_for(lambda: _answers(client), seconds=30)
            yield client
        finally:
            process.terminate()
            process.wait(60)


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


def _fill(server: redis.Redis, queue: str) -> None:
    while True:
        server.lpush(queue, *[b"old" + 1000 * b"x"] * 100)


def test_the_newest_nudges_of_a_full_redis_remain(server: redis.Redis, settings: Settings) -> None:
    queue = settings.CELERY_TASK_DEFAULT_QUEUE
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        _fill(server, queue)
    server.config_set("maxmemory", "5mb")
    server.lpush(queue, b"newest")
    server.config_set("maxmemory", "4mb")

    nudge_backlog.trim()

    assert server.llen(queue) == nudge_backlog.MAX_NUDGES
    assert server.lindex(queue, 0) == b"newest"
    server.set("room", "for a worker")


def test_a_redis_that_does_not_answer_is_ignored(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.IRIS_BROKER_URL = f"redis://127.0.0.1:{free_port()}/0"

    nudge_backlog.trim()

    assert "Old nudges could not be removed" in caplog.text
