"""Scenarios in which PostgreSQL becomes read-only, is replaced by a standby, or has no space left on its disk."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg

from iris.devserver.embedded import keeper, server
from tests.chaos import drills
from tests.chaos.system import OBSERVER, System
from tests.chaos.trial import Trial
from tests.live import wait_for
from tests.poolers import Bridge

DISK_BYTES = 600 * 2**20
SMALL_LOG = {"max_wal_size": "96MB", "min_wal_size": "80MB", "shared_buffers": "64MB"}
MNT_DETACH = 2
HELD = "SELECT count(*) FROM telephony_restoreguard WHERE held_since IS NOT NULL"
_libc = ctypes.CDLL(None, use_errno=True)


def read_only(trial: Trial) -> None:
    """Make PostgreSQL read-only and back, again and again."""
    while not trial.is_over():
        make_read_only(trial)
        trial.pause(0.5, 2)


def make_read_only(trial: Trial) -> None:
    """Make PostgreSQL read-only and end all sessions, as a failover to a standby does, and back."""
    with drills.read_only(trial.system):
        trial.system.command(drills.END_SESSIONS)
        trial.happens("read-only")
        trial.pause(2, 6)
    if trial.rng.random() < 0.5:
        trial.system.command(drills.END_SESSIONS)
    trial.wait_for_progress()


@contextmanager
def behind_a_bridge(system: System) -> Iterator[None]:
    """Let iris reach PostgreSQL at an address that can move to another server."""
    with closing(Bridge(system.sockets)) as bridge:
        system.bridge = bridge
        system.environment["IRIS_DATABASE_URL"] = f"postgresql://postgres@127.0.0.1:{bridge.port}/iris"
        yield


def promoted_standby(trial: Trial) -> None:
    """Kill the primary in the middle of the campaign, and let a synchronous standby take over.

    iris holds everything until the operator says that the standby has lost nothing (docs/restore.md).
    """
    system = trial.system
    standby = _standby_of(system)
    try:
        trial.begin()
        trial.wait_for_progress()
        trial.pause(2, 4)
        _fail_over(trial, standby)
        wait_for(lambda: system.query(HELD), seconds=60)
        trial.pause(3)
        before = sum(trial.far_end.received.values())
        trial.pause(3)
        if (after := sum(trial.far_end.received.values())) != before:
            trial.verdict.faults.append(f"{after - before} SMS were sent while everything was held.")
        trial.verdict.measured["sent when the primary died"] = f"{before:,}"
        system.manage("after_restore", "--resume")
        while not trial.is_over():
            trial.pause(0.5)
    finally:
        trial.at_end.append(standby.stop)


def _standby_of(system: System) -> keeper.Server:
    """Start a standby, and let each commit of the primary wait for it."""
    folder = system.home / "standby"
    folder.mkdir()
    standby = keeper.Server(folder, server.programs())
    owner = (system.folder / "data").stat()
    os.chown(folder, owner.st_uid, owner.st_gid)
    standby.user, standby.group = owner.st_uid, owner.st_gid
    copy = ("--pgdata", str(standby.data), "--write-recovery-conf", "--checkpoint=fast")
    subprocess.run(
        standby._as_owner("pg_basebackup", "--host", system.sockets, "--username", keeper.SUPERUSER, *copy),
        check=True,
        capture_output=True,
        cwd="/",
    )
    if standby.sockets != standby.data:
        standby._make_private(standby.sockets)
    standby.start([f"{name}={value}" for name, value in server.CONFIGURATION.items()])
    system.command("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
    wait_for(
        lambda: system.query("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"), seconds=60
    )
    return standby


def _fail_over(trial: Trial, standby: keeper.Server) -> None:
    system = trial.system
    pid, begun = system.postgres_pid(), time.monotonic()
    os.kill(pid, signal.SIGQUIT)
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), seconds=30)
    subprocess.run(
        standby._as_owner("pg_ctl", "promote", "-D", str(standby.data)),
        check=True,
        capture_output=True,
        cwd="/",
    )
    system.address = f"postgresql://postgres@/iris?host={standby.sockets}"
    wait_for(lambda: system.query("SELECT pg_is_in_recovery()::int") == 0, seconds=60)
    assert system.bridge is not None
    system.bridge.folder = str(standby.sockets)
    trial.happens("standby promoted")
    trial.verdict.measured["time to promote"] = f"{time.monotonic() - begun:.1f} s"


@contextmanager
def small_disk(home: Path) -> Iterator[None]:
    """Mount a small file system for PostgreSQL. Raises OSError if that is not possible here."""
    folder = server.folder_of(home)
    folder.mkdir(parents=True)
    if _libc.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, f"size={DISK_BYTES}".encode()) != 0:
        raise OSError(ctypes.get_errno(), "A small disk cannot be mounted here")
    try:
        yield
    finally:
        _libc.umount2(os.fsencode(folder), MNT_DETACH)


def full_database_disk(trial: Trial) -> None:
    """Fill the disk of PostgreSQL to the last byte for some seconds, again and again. PostgreSQL may crash."""
    filler = trial.system.folder / "filler"
    while not trial.is_over():
        _fill(filler)
        trial.happens("disk of PostgreSQL full")
        trial.pause(3, 6)
        filler.unlink()
        if not _is_up(trial.system):
            trial.system.restart_postgres()
            trial.happens("PostgreSQL restarted")
        trial.wait_for_progress()
        trial.pause(1, 3)


def _fill(filler: Path) -> None:
    with filler.open("ab", buffering=0) as file:
        for size in (2**20, 4096):
            with suppress(OSError):
                while True:
                    file.write(size * b"x")


def _is_up(system: System) -> bool:
    """Return whether PostgreSQL accepts connections, perhaps after it has recovered from a crash of its own."""
    for _ in range(20):
        try:
            psycopg.connect(system.address, application_name=OBSERVER).close()
            return True
        except psycopg.OperationalError:
            if not Path(f"/proc/{system.postgres_pid()}").exists():
                return False
            time.sleep(0.5)
    return False


def full_disk(trial: Trial) -> None:
    """Let no process of iris write to a file, as if the disk of the media and of temporary files were full."""
    while not trial.is_over():
        with drills.full_disk(trial.system):
            trial.happens("disk of iris full")
            trial.pause(2, 6)
        trial.wait_for_progress()
        trial.pause(0.5, 2)
