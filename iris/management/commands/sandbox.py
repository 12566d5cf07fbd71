"""`manage.py sandbox`: run all of iris on one machine, in the foreground and without any setup.

Migrates, seeds, and runs web, worker and beat as child processes until Ctrl-C, SIGTERM or the end of one of them. Then
it stops all of them.
"""

import fcntl
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, CommandParser, call_command
from django.core.management.sql import emit_post_migrate_signal
from django.db import connection, connections
from django.db.migrations.executor import MigrationExecutor

from iris import health
from iris.devserver import examples, seed
from iris.devserver.embedded import server
from iris.devserver.processes import Child, stop_all

HOST = "127.0.0.1"
READY_SECONDS = 90
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Command(BaseCommand):
    help = "Serves iris with an embedded database, demo accounts and a sandbox phone network, until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--examples",
            action="store_true",
            help="give the demo account campaigns to look at, unless it has some",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stopped = False
        self.with_examples: bool = options["examples"]
        started_at = time.monotonic()
        before = {number: signal.signal(number, self._stop) for number in SIGNALS}
        try:
            with _alone(), _listen() as listener:
                self._serve(listener, started_at)
        finally:
            connections.close_all()
            server.leave(server.folder_of(settings.IRIS_HOME), wait=True)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: object) -> None:
        self.stopped = True

    def _serve(self, listener: socket.socket, started_at: float) -> None:
        self._say(f"iris is starting in {settings.IRIS_HOME}")
        _migrate()
        seed.seed()
        if self.with_examples:
            examples.add_examples()
        health.forget_heartbeats()  # those of a killed sandbox, whose worker no longer exists
        connections.close_all()
        children: list[Child] = []
        try:
            if not self.stopped:
                children += _start(listener)
                listener.close()  # the web process has inherited it
                self._wait_until_ready(children)
            if not self.stopped:
                self._welcome(time.monotonic() - started_at)
            while not self.stopped:
                _check_alive(children)
                time.sleep(0.1)
            self._say("iris is stopping")
        finally:
            stop_all(children)

    def _wait_until_ready(self, children: list[Child]) -> None:
        until = time.monotonic() + READY_SECONDS
        answer = "nothing"
        while not self.stopped:
            status, answer = _ask_health()
            if status == 200:
                return
            _check_alive(children)
            if time.monotonic() > until:
                raise CommandError(f"iris was not ready after {READY_SECONDS} s. Its health is: {answer}")
            time.sleep(0.05)

    def _welcome(self, seconds: float) -> None:
        address = f"http://{HOST}:{settings.IRIS_PORT}"
        self._say(
            f"""
  console       {address}/  (pages in English and Nepali)
  demo login    {seed.DEMO_EMAIL} / {seed.DEMO_PASSWORD}
  inbox         {address}/sandbox/  (calls and SMS)

  try           curl -d email={seed.DEMO_EMAIL} -d password={seed.DEMO_PASSWORD} {address}/api/accounts/login/

iris is ready ({seconds:.1f} s). Ctrl-C stops it."""
        )

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _migrate() -> None:
    """Migrate the database. If there is nothing to migrate, do the rest of what `migrate` does, without its models.

    `migrate` builds all models of the present and the next state of the database, which takes a second.
    """
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", verbosity=0, interactive=False)
    else:
        emit_post_migrate_signal(verbosity=0, interactive=False, db=connection.alias)


def _start(listener: socket.socket) -> list[Child]:
    """Start web, worker and beat. They inherit our standard output and standard error.

    The worker skips Django's system checks, because this command has just made them.
    """
    celery = [sys.executable, "-m", "celery", "--quiet", "--skip-checks", "--app", "iris"]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    return [
        Child(
            "web",
            [sys.executable, "-m", "gunicorn", "--config=python:iris.webserver.config", "iris.wsgi"]
            + [f"--bind=fd://{listener.fileno()}", "--graceful-timeout=5", "--log-level=warning"],
            files=[listener.fileno()],
            environment={"IRIS_DEMO_LOGIN": f"{seed.DEMO_EMAIL} {seed.DEMO_PASSWORD}"},
        ),
        Child("worker", [*celery, "worker", "--pool=prefork", *quiet]),
        Child("beat", [*celery, "beat", "--pidfile="]),
    ]


def _check_alive(children: list[Child]) -> None:
    for child in children:
        status = child.poll()
        if status is not None:
            raise CommandError(
                f"The {child.name} process ended ({_describe(status)}), so iris stops. "
                "The lines above may name the reason."
            )


def _describe(status: int) -> str:
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def _ask_health() -> tuple[int, str]:
    connection = HTTPConnection(HOST, settings.IRIS_PORT, timeout=5)
    try:
        connection.request("GET", "/health")
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    except (OSError, HTTPException) as error:
        return 0, str(error)
    finally:
        connection.close()


@contextmanager
def _alone() -> Iterator[None]:
    """Allow only one sandbox for each IRIS_HOME, because two beats would send all ticks twice.

    The kernel releases the lock when the process ends in any way.
    """
    settings.IRIS_HOME.mkdir(parents=True, exist_ok=True)
    with open(settings.IRIS_HOME / "sandbox.lock", "a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandError(
                f"A sandbox is already running in {settings.IRIS_HOME}. Stop it, or set IRIS_HOME to another "
                "folder (and IRIS_PORT to another port)."
            ) from error
        yield


@contextmanager
def _listen() -> Iterator[socket.socket]:
    """Open the web server's socket here, so that a port in use is reported before anything else starts."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, settings.IRIS_PORT))
        except OSError as error:
            raise CommandError(
                f"Port {settings.IRIS_PORT} is in use ({error.strerror}). Stop the program that uses it, or choose "
                "another port: IRIS_PORT=8001 make sandbox"
            ) from error
        listener.listen(128)
        yield listener
