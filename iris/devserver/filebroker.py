"""A Celery broker of files (`iris-files://`) for one machine without Redis. The transport option `folder` is its folder.

kombu's own filesystem transport does not support several processes that write and read concurrently: it opens a message
under its final name before it is written, so that a reader may take an empty one; it moves messages through the shared
temporary folder; it overwrites a list of bindings before it has locked it; and it lists and sorts the whole folder for
each message. Here a message is first written into another folder and then renamed into its queue. A reader takes it by
renaming it out of the queue, which succeeds in one process only. A queue is listed again only after all listed messages are
taken.

A message is lost if the process that took it dies. That is acceptable, because Celery tasks are only nudges
(docs/architecture.md). There is no broadcast, so `worker_enable_remote_control` must be off.
"""

import contextlib
import os
import time
import uuid
from collections import deque
from datetime import datetime
from pathlib import Path
from queue import Empty
from typing import Any
from urllib.parse import quote

from kombu.transport import TRANSPORT_ALIASES, virtual
from kombu.utils.json import dumps, loads

SCHEME = "iris-files"
TRANSPORT_ALIASES[SCHEME] = "iris.devserver.filebroker:Transport"

NEVER = 10**20 - 1
# After writing this many messages, a process drops expired ones, because perhaps no worker runs.
SWEEP_INTERVAL_MESSAGES = 200
MAX_WAIT_SECONDS = 0.2
# Seconds after which the process that was writing or reading a message has probably died.
ABANDONED_AFTER = 3600


class Channel(virtual.Channel):
    """Queues are folders. Messages are files named <time put>-<time of expiry>-<random>, in nanoseconds.

    So sorting the names yields the oldest message first.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        options = self.connection.client.transport_options  # type: ignore[union-attr]
        self._folder = Path(options["folder"])  # type: ignore[index]
        self._listed: dict[str, deque[str]] = {}
        self._until_sweep = SWEEP_INTERVAL_MESSAGES

    def _lookup(self, exchange: str, routing_key: str, default: str | None = None) -> list[str]:
        """Return the queue named by the routing key. All exchanges are direct, so no bindings need to be stored."""
        return [routing_key]

    def _new_queue(self, queue: str, **kwargs: Any) -> None:
        waiting, aside = self._folders(queue)
        waiting.mkdir(parents=True, exist_ok=True)
        aside.mkdir(exist_ok=True)
        for left in aside.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if left.stat().st_mtime < time.time() - ABANDONED_AFTER:
                    left.unlink()

    def _has_queue(self, queue: str, **kwargs: Any) -> bool:
        return all(folder.is_dir() for folder in self._folders(queue))

    def _put(self, queue: str, message: dict[str, Any], **kwargs: Any) -> None:
        waiting, aside = self._folders(queue)
        expires = (message.get("headers") or {}).get("expires")
        until = int(datetime.fromisoformat(expires).timestamp() * 1e9) if expires else NEVER
        name = f"{time.time_ns():020}-{until:020}-{uuid.uuid4().hex}"
        try:
            try:
                (aside / name).write_text(dumps(message))
            except FileNotFoundError:  # IRIS_HOME was emptied
                self._new_queue(queue)
                (aside / name).write_text(dumps(message))
            (aside / name).rename(waiting / name)
        except OSError:
            with contextlib.suppress(OSError):
                (aside / name).unlink()
            raise
        self._until_sweep -= 1
        if self._until_sweep <= 0:
            self._until_sweep = SWEEP_INTERVAL_MESSAGES
            for other in _names(waiting):
                if _is_expired(other):
                    (waiting / other).unlink(missing_ok=True)

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        """Return the oldest message. Drop expired and incomplete ones (for example, after a full disk)."""
        waiting, aside = self._folders(queue)
        listed = self._listed.setdefault(queue, deque())
        if not listed:
            listed.extend(_names(waiting))
        while listed:
            name = listed.popleft()
            if _is_expired(name):
                (waiting / name).unlink(missing_ok=True)
                continue
            taken = aside / f"{name}-{os.getpid()}"
            try:
                (waiting / name).rename(taken)
            except FileNotFoundError:
                continue  # another process took it
            content = taken.read_bytes()
            taken.unlink()
            with contextlib.suppress(ValueError):
                return loads(content.decode())
        raise Empty

    def _size(self, queue: str) -> int:
        return len(_names(self._folders(queue)[0]))

    def _purge(self, queue: str) -> int:
        waiting, _ = self._folders(queue)
        names = _names(waiting)
        for name in names:
            (waiting / name).unlink(missing_ok=True)
        return len(names)

    def _delete(self, queue: str, *args: Any, **kwargs: Any) -> None:
        self._purge(queue)

    def _folders(self, queue: str) -> tuple[Path, Path]:
        """Return the folder of waiting messages and the folder aside, for messages being written or read.

        Both are on one file system, so that renaming is atomic.
        """
        folder = self._folder / quote(queue, safe="")
        return folder / "waiting", folder / "aside"


class Transport(virtual.Transport):
    Channel = Channel
    implements = virtual.Transport.implements.extend(
        asynchronous=False, exchange_type=frozenset(["direct"]), heartbeats=False
    )
    default_port = 0
    driver_type = "files"
    driver_name = SCHEME

    def drain_events(  # type: ignore[override]
        self, connection: Any, timeout: float | None = None
    ) -> None:
        """Wait for a shorter time than requested.

        A worker asks for 2 s, and checks only between calls whether it must stop.
        """
        super().drain_events(connection, timeout=None if timeout is None else min(timeout, MAX_WAIT_SECONDS))

    def driver_version(self) -> str:
        return "1"


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []


def _is_expired(name: str) -> bool:
    parts = name.split("-")
    return len(parts) == 3 and parts[1].isdecimal() and int(parts[1]) < time.time_ns()
