"""Run the processes of the SMPP tests: an SMSC to start, kill and query, and a whole iris that sends through it."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.live import ROOT, LiveIris, wait_for

MESSAGE_PAYLOAD = str(0x0424)
DEADLINE = 20  # timeout in seconds of any wait, on a busy machine


def reusable_port() -> int:
    """Return a free port outside the ephemeral range, so that a restarted SMSC finds it free again."""
    while True:
        port = random.randrange(15_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class SmscProcess:
    """`tests.telephony.smpp.smsc` as a process. `entries` are the accepted messages in order, duplicates included."""

    def __init__(self, folder: Path, **behaviour: Any) -> None:
        self.port = reusable_port()
        self.journal = folder / "smsc.jsonl"
        self.behaviour = behaviour
        self._commands = 0
        self._entries: list[dict[str, Any]] = []  # those that have been read from the journal
        self._read = 0  # bytes of the journal

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.telephony.smpp.smsc",
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
        """Send a command, and wait until it is executed."""
        assert self.process.stdin is not None
        self._commands += 1
        self.process.stdin.write(json.dumps({**command, "command": self._commands}) + "\n")
        self.process.stdin.flush()
        wait_for(
            lambda: any(entry["told"] == self._commands for entry in self.journal_entries("told")),
            seconds=DEADLINE,
        )

    def send(
        self,
        sender: str,
        octets: bytes,
        *,
        coding: int = 8,
        esm_class: int = 0,
        tlvs: Mapping[int, bytes] | None = None,
    ) -> None:
        """Let the SMSC deliver an SMS to 31001. The journal gets an entry `inbound` when it is acknowledged."""
        command = {
            "from": sender,
            "to": "31001",
            "body": octets.hex(),
            "coding": coding,
            "esm_class": esm_class,
        }
        self.tell(**command, tlvs={str(tag): value.hex() for tag, value in (tlvs or {}).items()})

    def shown(self) -> Counter[str]:
        """Count by number the messages that phones showed after they were switched on."""
        return Counter(entry["to"] for entry in self.journal_entries("shown"))

    def journal_entries(self, kind: str) -> list[dict[str, Any]]:
        self._read_journal()
        return [entry for entry in self._entries if kind in entry]

    def _read_journal(self) -> None:
        """Parse what the SMSC has written since the last call: tests ask often, and journals have thousands of lines."""
        if not self.journal.exists():
            return
        with open(self.journal, "rb") as file:
            file.seek(self._read)
            complete, end, _ = file.read().rpartition(b"\n")  # the last line may be half written
        self._read += len(complete + end)
        self._entries += [json.loads(line) for line in complete.split(b"\n") if end]

    @property
    def entries(self) -> list[dict[str, Any]]:
        return self.journal_entries("n")

    def deliverable(self) -> list[dict[str, Any]]:
        """Return the accepted messages that phones get sooner or later, without cancelled and replaced ones."""
        gone = {entry[kind] for kind in ("cancelled", "replaced") for entry in self.journal_entries(kind)}
        return [entry for entry in self.entries if entry["n"] not in gone]

    def octets(self) -> dict[str, list[bytes]]:
        """Reassemble the messages to each number as a phone would, by the headers of their parts."""
        whole: dict[str, list[bytes]] = {}
        parts: dict[tuple[str, int], dict[int, bytes]] = {}
        shown: dict[tuple[str, int], dict[int, bytes]] = {}
        for entry in self.deliverable():
            body = bytes.fromhex(entry["tlvs"].get(MESSAGE_PAYLOAD, "") or entry["body"])
            if not entry["esm_class"] & 0x40:
                whole.setdefault(entry["to"], []).append(body)
                continue
            assert (body[0], body[1], body[2]) == (5, 0, 3)
            reference, total, number = body[3:6]
            message = parts.setdefault((entry["to"], reference), {})
            # A phone recognizes a duplicate part until it has shown the message.
            assert message.get(number, body[6:]) == body[6:], "another part with the same place"
            message[number] = body[6:]
            if len(message) == total:
                whole.setdefault(entry["to"], []).append(b"".join(message[n] for n in range(1, total + 1)))
                shown[entry["to"], reference] = parts.pop((entry["to"], reference))
        # A part whose response was lost comes again, perhaps after its message was shown. The phone does not show it.
        alone = {key: some for key, some in parts.items() if not some.items() <= shown.get(key, {}).items()}
        assert not alone, f"incomplete: {alone}"
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
    """A whole iris that sends SMS over SMPP: web, worker, beat, and a worker of the trunk's own queue."""

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
        self.trunk = self.start_trunk_worker("smsc")

    def kill_trunk(self) -> None:
        self.trunk.kill()
        self.trunk.wait()


@contextmanager
def smpp_iris(home: Path, port: int, **options: Any) -> Iterator[SmppIris]:
    iris = SmppIris(home, port, **options)
    try:
        iris.start()
        yield iris
        iris.check_ledger()
    finally:
        iris.stop()
