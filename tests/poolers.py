"""Reach a PostgreSQL through a forwarded port, and through pgbouncer."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.live import wait_for
from tests.ports import free_port


class Bridge(socketserver.ThreadingTCPServer):
    """Forward a port to the socket of PostgreSQL in `folder`, which may be closed to the user of the client.

    `folder` can change: new connections then reach another server, as behind a floating address.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, folder: str) -> None:
        super().__init__(("127.0.0.1", 0), _Conversation)
        self.folder = folder
        self.port: int = self.server_address[1]
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _Conversation(socketserver.BaseRequestHandler):
    server: Bridge

    def handle(self) -> None:
        with socket.socket(socket.AF_UNIX) as inner:
            try:
                inner.connect(f"{self.server.folder}/.s.PGSQL.5432")
            except OSError:
                return  # no server: the client sees that the connection ends
            back = threading.Thread(target=self._copy, args=(inner, self.request), daemon=True)
            back.start()
            self._copy(self.request, inner)
            back.join(60)

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@contextmanager
def pooler(
    program: str, folder: Path, mode: str, *, port: int, database: str, more: str = ""
) -> Iterator[str]:
    """Run a pgbouncer in front of the PostgreSQL on `port`. Yield its URL. `more` is added to its configuration."""
    own_port = free_port()
    folder.chmod(0o777)
    (folder / "users").write_text('"postgres" ""\n')
    (folder / "pgbouncer.ini").write_text(
        f"""[databases]
iris = host=127.0.0.1 port={port} dbname={database} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
ignore_startup_parameters = options,extra_float_digits
{more}
"""
    )
    # pgbouncer refuses to run as root.
    as_user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None
    process = subprocess.Popen(
        [program, str(folder / "pgbouncer.ini")], stderr=subprocess.DEVNULL, user=as_user
    )
    url = f"postgresql://postgres@127.0.0.1:{own_port}/iris"
    try:
        wait_for(lambda: process.poll() is not None or _answers(url), seconds=30)
        assert process.poll() is None
        yield url
    finally:
        process.terminate()
        process.wait(60)


def _answers(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True
