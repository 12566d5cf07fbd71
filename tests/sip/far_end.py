"""SIPp as the trunk, and the phones behind it, each in a process of its own."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from array import array
from dataclasses import dataclass
from math import sqrt
from operator import mul
from pathlib import Path

from tests.live import ROOT, wait_for

SCENARIOS = Path(__file__).parent / "scenarios"


@dataclass
class Heard:
    """What arrived at one phone: 8 kHz samples, and when each packet came."""

    samples: array
    sequences: list[int]
    times: list[float]

    @property
    def lost(self) -> int:
        pairs = zip(self.sequences, self.sequences[1:], strict=False)
        return sum((b - a) % 65536 != 1 for a, b in pairs)


class FarEnd:
    """`with FarEnd(folder, "answer") as far_end:` is a trunk at `far_end.host`."""

    def __init__(
        self,
        folder: Path,
        scenario: str,
        *,
        status: str = "",
        headers: str = "",
        digit: str = "",
        transport: str = "udp",
        port: int = 0,
        contact: str = "",
        record: bool = True,
    ) -> None:
        self.folder = folder / f"{scenario}-{status[:3]}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_ports(1)[0]
        self.host = f"127.0.0.1:{self.port}"
        self._contact = contact or f"{self.host};transport={transport}"  # where the rest of a call goes
        self._scenario = self.folder / "scenario.xml"
        text = (SCENARIOS / f"{scenario}.xml").read_text()
        lines = "".join(f"    {line}\n" for line in headers.splitlines())
        self._scenario.write_text(text.replace("STATUS", status).replace("    HEADERS\n", lines))
        self._scenario_name = scenario
        self._transport = {"udp": "u1", "tcp": "t1"}[transport]
        self._digit = digit
        self._records = record  # or else SIPp's echo is all that is behind it
        self._log = self.folder / "log"

    def __enter__(self) -> FarEnd:
        sipp = shutil.which("sipp") or _missing()
        rtp, echo = free_ports(2)
        self._phone: subprocess.Popen[bytes] | None = None
        if self._records:
            self._phone = self._start_phone(rtp, echo)
        else:
            rtp = echo
        self._sipp = subprocess.Popen(
            [sipp, "-sf", str(self._scenario), "-i", "127.0.0.1", "-p", str(self.port), "-t", self._transport]
            + ["-mi", "127.0.0.1", "-mp", str(echo), "-rtp_echo", "-nostdin"]
            + ["-key", "rtp_port", str(rtp), "-key", "contact", self._contact]
            + [
                "-trace_logs",
                "-log_file",
                str(self._log),
                "-trace_err",
                "-error_file",
                str(self.folder / "errors"),
            ]
            + ["-trace_msg", "-message_file", str(self.folder / "messages"), "-aa"]
            # Registrations have one Call-ID, and each shall begin the scenario anew.
            + (["-deadcall_wait", "0"] if self._scenario_name == "registrar" else []),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(lambda: self._sipp.poll() is not None or self._listens(), seconds=5)
            assert self._sipp.poll() is None, self.errors()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *args: object) -> None:
        if self._phone is not None:
            self._phone.terminate()
            self._phone.wait(20)
            if self._phone.stdout:
                self._phone.stdout.close()
        if self._sipp.poll() is None:
            self._sipp.kill()
        self._sipp.wait(10)

    def _start_phone(self, rtp: int, echo: int) -> subprocess.Popen[bytes]:
        phone = subprocess.Popen(
            [sys.executable, "-m", "tests.sip.phone", str(rtp), str(echo), str(self.folder), self._digit],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert phone.stdout is not None
        assert phone.stdout.readline() == b"ready\n"
        return phone

    def _listens(self) -> bool:
        kind = "udp" if self._transport == "u1" else "tcp"
        wanted = f":{self.port:04X} "
        return wanted in Path(f"/proc/net/{kind}").read_text()

    def log(self) -> list[str]:
        """What the scenario logged, a line for each INVITE: number, RTP port, From header."""
        return self._log.read_text().splitlines() if self._log.exists() else []

    def messages(self) -> str:
        """All SIP that went to and fro."""
        path = self.folder / "messages"
        return path.read_text() if path.exists() else ""

    def errors(self) -> str:
        path = self.folder / "errors"
        return path.read_text() if path.exists() else ""

    def heard(self) -> dict[str, Heard]:
        """What each number heard; after the far end has ended."""
        found = {}
        for line in self.log():
            number, port = (*line.split(), "", "")[:2]
            recording = self.folder / f"{port}.pcma"
            if recording.exists():
                packets = json.loads((self.folder / f"{port}.json").read_text())
                found[number] = Heard(
                    samples=array("h", map(LINEAR.__getitem__, recording.read_bytes())),
                    sequences=[sequence for sequence, _ in packets],
                    times=[at for _, at in packets],
                )
        return found


def _missing() -> str:
    from tests.conftest import require_program  # benchmarks come without pytest

    return require_program("sipp")


def likeness(heard: array, said: array, *, frame: int = 160) -> float:
    """The greatest correlation of what was said with any equally long part of what was heard, frame by frame."""
    power = sqrt(sum(map(mul, said, said)))
    best = 0.0
    for start in range(0, len(heard) - len(said) + 1, frame):
        part = heard[start : start + len(said)]
        norm = sqrt(sum(map(mul, part, part))) * power
        if norm:
            best = max(best, sum(map(mul, part, said)) / norm)
            if best > 0.999:
                break
    return best


def free_ports(count: int) -> list[int]:
    """UDP ports that nobody has, each with room above it: SIPp takes the next ones for video."""
    sockets = []
    ports: list[int] = []
    while len(ports) < count:
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        probe.bind(("127.0.0.1", 0))
        sockets.append(probe)
        port = probe.getsockname()[1]
        if port < 65_000 and all(abs(port - other) > 8 for other in ports):
            ports.append(port)
    for each in sockets:
        each.close()
    return ports


def _linear(code: int) -> int:
    """A byte of G.711 A-law as 16-bit sample."""
    code ^= 0x55
    magnitude, segment = (code & 0x0F) << 4, (code & 0x70) >> 4
    magnitude += 8 if segment == 0 else 0x108
    if segment > 1:
        magnitude <<= segment - 1
    return magnitude if code & 0x80 else -magnitude


LINEAR = [_linear(code) for code in range(256)]
