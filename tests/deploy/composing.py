"""Start the services of docker-compose.yml as processes, with their own commands, environment and healthchecks.

Only what belongs to containers is replaced: paths, ports, the names of hosts, and programs by those of this installation.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import yaml

from iris.devserver.embedded import keeper, server
from tests.iris.processes import ROOT, environment
from tests.live import copy_migrated_database, wait_for
from tests.ports import free_port

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PATHS_OF_CONTAINERS = ("/var/lib/iris", "/run/secrets", "/etc/iris", "/tmp/iris-alive")


def command_of_image() -> list[str]:
    """Return the CMD of the Dockerfile, which is that of the service web."""
    last = re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)[-1]
    command: list[str] = yaml.safe_load(last)
    return command


class Composition:
    """The services of docker-compose.yml in a folder. `stop` ends all of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.ports = {"postgres": free_port(), "redis": free_port(), "web": free_port()}
        self.database = server.folder_of(folder)
        for name in ("secrets", "home"):
            (folder / name).mkdir()
        programs = folder / "bin"
        programs.mkdir()
        for name, command in {
            "python": 'exec {python} "$@"',
            "celery": 'exec {python} -m celery "$@"',
            "gunicorn": 'exec {python} -m gunicorn "$@"',
        }.items():
            (programs / name).write_text(f"#!/bin/sh\n{command.format(python=sys.executable)}\n")
            (programs / name).chmod(0o755)
        self.path = f"{programs}{os.pathsep}{os.environ['PATH']}"

    # What a service gets -----------------------------------------------------------------------------------

    def local(self, text: str, name: str = "") -> str:
        """Return a text of docker-compose.yml for this machine. Each process `name` has its own alive file."""
        text = re.sub(r"\$\{(\w+)(:[-?][^}]*)?\}", lambda found: self._variable(*found.groups()), text)
        replacements = {
            "/var/lib/iris": f"{self.folder}/home",
            "/run/secrets": f"{self.folder}/secrets",
            "/etc/iris": str(self.folder),
            "/tmp/iris-alive": str(self.alive_file(name)),
            "redis://redis:6379": f"redis://127.0.0.1:{self.ports['redis']}",
            "127.0.0.1:8000": f"127.0.0.1:{self.ports['web']}",
            "0.0.0.0:8000": f"127.0.0.1:{self.ports['web']}",
        }
        for before, after in replacements.items():
            text = text.replace(before, after)
        return text

    @staticmethod
    def _variable(name: str, rest: str | None) -> str:
        if name == "IRIS_PUBLIC_URL":
            return "https://iris.example.com"
        return rest[2:] if rest and rest.startswith(":-") else ""

    def alive_file(self, name: str) -> Path:
        return self.folder / f"alive-{name}"

    def environment(self, service: str, name: str, **changed: str) -> dict[str, str]:
        given = COMPOSE["services"][service].get("environment", {})
        return environment(
            self.folder / "home",
            **{key: self.local(str(value), name) for key, value in given.items()},
            PATH=self.path,
            **changed,
        )

    def command(self, service: str) -> list[str]:
        return [self.local(part) for part in COMPOSE["services"][service].get("command", command_of_image())]

    # Starting -----------------------------------------------------------------------------------------------

    def start_postgres(self) -> None:
        """Run the service postgres with the embedded programs, and with a password as in the container."""
        copy_migrated_database(self.folder)
        embedded = keeper.Server(self.database, server.programs())
        embedded.prepare()
        program, *arguments = self.command("postgres")
        mine = [
            f"-D{embedded.data}",
            f"-p{self.ports['postgres']}",
            "-clisten_addresses=127.0.0.1",
            f"-cunix_socket_directories={embedded.sockets}",
        ]
        self.start("postgres", embedded._as_owner(program, *arguments, *mine), cwd="/")  # not as root
        wait_for(lambda: self.connects() or self.processes["postgres"].poll() is not None, seconds=30)
        self.assert_running()
        password = "a-password-of-postgresql"
        with self.connect() as connection:
            connection.execute(f"ALTER USER {keeper.SUPERUSER} PASSWORD '{password}'")
        (self.folder / "secrets" / "database_url").write_text(
            f"postgresql://{keeper.SUPERUSER}:{password}@127.0.0.1:{self.ports['postgres']}/iris\n"
        )
        (self.folder / "secrets" / "secret_key").write_text(f"{'a-secret-key-' * 5}\n")

    def connect(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.ports["postgres"],
            user=keeper.SUPERUSER,
            dbname="iris",
            connect_timeout=5,
        )

    def connects(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def start_redis(self, program: str) -> None:
        _, *arguments = self.command("redis")
        self.start("redis", [program, *arguments, "--port", str(self.ports["redis"]), "--bind", "127.0.0.1"])

    def start_iris(self, service: str, name: str = "", **changed: str) -> None:
        """Start a service of iris. `name` tells its processes apart if it has several."""
        name = name or service
        self.start(name, self.command(service), cwd=str(ROOT), env=self.environment(service, name, **changed))

    def start(self, name: str, command: list[str], *, cwd: str | None = None, **options: Any) -> None:
        with open(self.log_of(name), "ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                cwd=cwd or str(self.folder),
                stdout=log,
                stderr=log,
                start_new_session=True,
                **options,
            )

    def log_of(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    # Observing ----------------------------------------------------------------------------------------------

    def is_healthy(self, service: str, name: str = "") -> bool:
        """Run the healthcheck of a service once, as Docker does. Return whether it succeeds within its timeout."""
        check = COMPOSE["services"][service]["healthcheck"]
        kind, *command = check["test"]
        name = name or service
        command = [self.local(part, name) for part in command]
        if service == "redis":
            command[0] = shutil.which("redis-cli") or "redis-cli"
            command[1:1] = ["-p", str(self.ports["redis"])]
        if kind == "CMD-SHELL":
            command = ["sh", "-c", *command]
        try:
            done = subprocess.run(
                command,
                env={**os.environ, "PATH": self.path},
                capture_output=True,
                timeout=int(str(check["timeout"]).removesuffix("s")),
            )
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def assert_running(self) -> None:
        for name, process in self.processes.items():
            assert process.poll() is None, f"{name} has ended: {self.log_of(name).read_text()[-3000:]}"

    def pause(self, name: str) -> None:
        self.processes[name].send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        self.processes[name].send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Stop all services as Docker does: SIGTERM (SIGINT for PostgreSQL), and SIGKILL to what remains."""
        order = sorted(self.processes, key=lambda name: name in {"postgres", "redis"})
        for names in ([n for n in order if n not in {"postgres", "redis"}], ["redis", "postgres"]):
            running = [self.processes[name] for name in names if name in self.processes]
            for process in running:
                process.send_signal(signal.SIGCONT)
                process.send_signal(
                    signal.SIGINT if process is self.processes.get("postgres") else signal.SIGTERM
                )
            for process in running:
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
