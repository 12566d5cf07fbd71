"""The processes of the SMPP tests: an SMSC to start, kill and ask, and a whole iris that sends through it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg

from iris.embedded import keeper, server
from tests.live import ROOT, LiveIris, free_port

MESSAGE_PAYLOAD = str(0x0424)


class SmscProcess:
    """`tests.smpp.smsc` as a process. `entries` is what it took, in order."""

    def __init__(self, folder: Path, **behaviour: Any) -> None:
        self.port = free_port()
        self.journal = folder / "smsc.jsonl"
        self.behaviour = behaviour

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.smpp.smsc",
                str(self.port),
                str(self.journal),
                json.dumps(self.behaviour),
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def tell(self, **command: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def journalled(self, kind: str) -> list[dict[str, Any]]:
        # The last line may be half written.
        lines = self.journal.read_text().split("\n")[:-1] if self.journal.exists() else []
        return [entry for line in lines if kind in (entry := json.loads(line))]

    @property
    def entries(self) -> list[dict[str, Any]]:
        return self.journalled("n")

    def octets(self) -> dict[str, list[bytes]]:
        """The messages to each number, put together again as a phone would: by the headers of their parts."""
        whole: dict[str, list[bytes]] = {}
        parts: dict[tuple[str, int], dict[int, bytes]] = {}
        for entry in self.entries:
            body = bytes.fromhex(entry["tlvs"].get(MESSAGE_PAYLOAD, "") or entry["body"])
            if not entry["esm_class"] & 0x40:
                whole.setdefault(entry["to"], []).append(body)
                continue
            assert (body[0], body[1], body[2]) == (5, 0, 3)
            reference, total, number = body[3:6]
            message = parts.setdefault((entry["to"], reference), {})
            assert number not in message, "the same part twice"
            message[number] = body[6:]
            if len(message) == total:
                whole.setdefault(entry["to"], []).append(b"".join(message[n] for n in range(1, total + 1)))
                del parts[entry["to"], reference]
        assert not parts, f"incomplete: {parts}"
        return whole


@contextmanager
def smsc(folder: Path, **behaviour: Any) -> Iterator[SmscProcess]:
    process = SmscProcess(folder, **behaviour)
    process.start()
    try:
        yield process
    finally:
        process.kill()


class SmppIris(LiveIris):
    """A whole iris whose SMS go out over SMPP: web, worker and beat, and a worker of the trunk's own queue."""

    def __init__(
        self, home: Path, port: int, *, cps: int | None = None, options: str = "", **environment: str
    ) -> None:
        home.mkdir(parents=True, exist_ok=True)
        carriers = home / "carriers.toml"
        carriers.write_text(
            f"""
[carriers.smsc]
BACKEND = "telephony.carriers.smpp.SmppCarrier"
{f"CPS = {cps}" if cps else ""}
[carriers.smsc.OPTIONS]
host = "127.0.0.1"
port = {port}
system_id = "iris"
password = "secret"
source = "31001"
reconnect_seconds = 1
{options}

[routes]
call = []
sms = ["smsc"]
"""
        )
        super().__init__(home, IRIS_CARRIERS_FILE=str(carriers), **environment)

    def start(self, *, seconds: float = 90) -> None:
        super().start(seconds=seconds)
        self.start_trunk()

    def start_trunk(self) -> None:
        with (self.home / "trunk.log").open("ab") as log:
            self.trunk = subprocess.Popen(
                [sys.executable, "-m", "celery", "--quiet", "--app", "iris", "worker", "--concurrency=1"]
                + ["--queues=trunk.smsc", "--without-gossip", "--without-mingle", "--without-heartbeat"],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def balance(self) -> Decimal:
        """What the demo account can spend."""
        sockets = keeper.socket_folder(server.folder_of(self.home))
        with psycopg.connect(f"postgresql://postgres@/iris?host={sockets}") as connection:
            row = connection.execute(
                "SELECT balance FROM accounts_user WHERE email = 'demo@example.com'"
            ).fetchone()
        assert row is not None
        return Decimal(row[0])

    def kill_trunk(self) -> None:
        os.killpg(self.trunk.pid, signal.SIGKILL)
        self.trunk.wait()

    def stop(self) -> None:
        if hasattr(self, "trunk") and self.trunk.poll() is None:
            self.trunk.terminate()
            self.trunk.wait(60)
        super().stop()


@contextmanager
def smpp_iris(home: Path, port: int, **options: Any) -> Iterator[SmppIris]:
    iris = SmppIris(home, port, **options)
    try:
        iris.start()
        yield iris
    finally:
        iris.stop()
