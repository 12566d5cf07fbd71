"""The broker of files loses, duplicates and truncates no message, for any number of concurrent processes."""

import contextlib
import multiprocessing
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from kombu import Connection, Consumer, Producer, Queue

import iris.devserver.filebroker  # noqa: F401  (registers the transport)

NAME = "iris"


def connect(folder: Path) -> Connection:
    return Connection(
        "iris-files://local//", transport_options={"folder": str(folder), "polling_interval": 0.01}
    )


def put(folder: Path, *bodies: object, expires: datetime | None = None) -> None:
    with connect(folder) as connection:
        producer = Producer(connection)
        headers = {"expires": expires.isoformat() if expires else None}
        for body in bodies:
            producer.publish(body, exchange="", routing_key=NAME, serializer="json", headers=headers)


def take(folder: Path, *, seconds: float = 0.2) -> list[object]:
    """Take messages until none has arrived for `seconds`."""
    taken: list[object] = []
    with connect(folder) as connection:
        consumer = Consumer(
            connection, [Queue(NAME)], no_ack=True, on_message=lambda message: taken.append(message.payload)
        )
        with consumer:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                with contextlib.suppress(TimeoutError):
                    connection.drain_events(timeout=seconds)
                    until = time.monotonic() + seconds
    return taken


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_messages_are_taken_in_the_order_in_which_they_were_put(tmp_path: Path) -> None:
    put(tmp_path, *range(20))

    assert take(tmp_path) == list(range(20))
    assert files(tmp_path) == []


def test_expired_messages_are_dropped(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    put(tmp_path, "late", expires=now - timedelta(seconds=1))
    put(tmp_path, "in time", expires=now + timedelta(seconds=60))

    assert take(tmp_path) == ["in time"]
    assert files(tmp_path) == []


def test_expired_messages_do_not_accumulate_without_a_worker(tmp_path: Path) -> None:
    put(tmp_path, *range(1000), expires=datetime.now(UTC) - timedelta(seconds=1))

    assert len(files(tmp_path)) < 300


def test_an_incomplete_message_is_dropped_and_the_next_one_is_taken(tmp_path: Path) -> None:
    put(tmp_path, "first")
    broken = tmp_path / NAME / "waiting" / f"{0:020}-{10**20 - 1:020}-broken"
    broken.write_text('{"body": "cut o')

    assert take(tmp_path) == ["first"]
    assert files(tmp_path) == []


def test_messages_survive_the_process_that_put_them(tmp_path: Path) -> None:
    putter = multiprocessing.get_context("spawn").Process(target=put, args=(tmp_path, "kept"))
    putter.start()
    putter.join(120)

    assert take(tmp_path) == ["kept"]


def test_a_deleted_broker_folder_is_created_again(tmp_path: Path) -> None:
    with connect(tmp_path / "broker") as connection:
        producer = Producer(connection)
        producer.publish(1, exchange="", routing_key=NAME, serializer="json")
        os.rename(tmp_path / "broker", tmp_path / "gone")
        producer.publish(2, exchange="", routing_key=NAME, serializer="json")

    assert take(tmp_path / "broker") == [2]


def _put_many(folder: Path, first: int, count: int) -> None:
    put(folder, *range(first, first + count))


def _take_all(folder: Path, results: "multiprocessing.Queue[list[object]]") -> None:
    results.put(take(folder, seconds=2))


@pytest.mark.parametrize(("putters", "takers", "count"), [(3, 3, 400)])
def test_concurrent_processes_take_each_message_exactly_once(
    putters: int, takers: int, count: int, tmp_path: Path
) -> None:
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    processes = [spawn.Process(target=_take_all, args=(tmp_path, results)) for _ in range(takers)]
    processes += [
        spawn.Process(target=_put_many, args=(tmp_path, each * count, count)) for each in range(putters)
    ]
    for process in processes:
        process.start()
    taken = [results.get(timeout=120) for _ in range(takers)]
    for process in processes:
        process.join(120)

    assert sorted(body for bodies in taken for body in bodies) == list(range(putters * count))
    assert [process.exitcode for process in processes] == [0] * len(processes)
    assert files(tmp_path) == []
