"""Processes that join the embedded PostgreSQL, and questions about its server."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from iris.devserver.embedded import keeper, server
from tests.iris.processes import ROOT, environment

JOIN = """
import os, sys, time
from pathlib import Path
from iris.devserver.embedded import server
folder = server.folder_of(Path(os.environ["IRIS_HOME"]))
sockets = server.join(folder, "iris")
"""
WAIT = """
print("joined", flush=True)
sys.stdin.read()
"""


@contextmanager
def user(home: Path, script: str = JOIN + WAIT) -> Iterator[subprocess.Popen[str]]:
    """Run a process that has joined the server, until the block ends or the process is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment(home),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "joined\n"
        yield process
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait(60)


def query(home: Path, sql: str) -> list[tuple[object, ...]]:
    sockets = keeper.socket_folder(server.folder_of(home))
    with psycopg.connect(host=str(sockets), user="postgres", dbname="iris", autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


def postmaster(home: Path) -> int:
    return int((server.folder_of(home) / "data" / "postmaster.pid").read_text().split()[0])


def keeper_of(home: Path) -> int:
    return int((server.folder_of(home) / "keeper.lock").read_text())


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def stops(pid: int) -> Callable[[], bool]:
    return lambda: not is_running(pid)
