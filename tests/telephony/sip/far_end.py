"""Run SIPp as the trunk, and the phones behind it, each in a process of its own."""

from __future__ import annotations

import io
import json
import re
import shutil
import socket
import subprocess
import sys
from array import array
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import sqrt
from operator import mul
from pathlib import Path

from tests.live import ROOT, wait_for
from tests.telephony.sip.g711 import LINEAR, a_law_code

SCENARIOS = Path(__file__).parent / "scenarios"
BLOCKS = range(11_000, 19_000, 10)
EVENT = re.compile(r"(?=\d{4}-\d\d-\d\d\t)")  # each event in SIPp's file of errors begins with its date
# SIPp itself interrupted a receive call, or answered a request that no scenario expects, such as the NOTIFY after a REFER.
HARMLESS = re.compile(
    r"Unable to receive UDP message: Inappropriate ioctl for device|: Automatic response mode"
)
VIDEO = 2  # offset of SIPp's video port from its audio port


@dataclass
class ReceivedAudio:
    """The audio that arrived at one phone: 8 kHz samples, RTP sequence numbers, and arrival times of the packets."""

    samples: array
    sequences: list[int]
    times: list[float]

    @property
    def lost_packets(self) -> int:
        pairs = zip(self.sequences, self.sequences[1:], strict=False)
        return sum((b - a) % 65536 != 1 for a, b in pairs)

    def late_packets(self, seconds: float) -> int:
        """Return how many packets came more than `seconds` late, compared with the fastest packet."""
        offsets = []
        place = 0
        for before, sequence, at in zip(
            [self.sequences[0], *self.sequences], self.sequences, self.times, strict=False
        ):
            place += (sequence - before) % 65536
            offsets.append(at - 0.02 * place)
        fastest = min(offsets)
        return sum(offset - fastest > seconds for offset in offsets)


@dataclass(slots=True)
class _Packet:
    ssrc: int
    sequence: int
    at: float
    payload: bytes


def _received(packets: Sequence[_Packet]) -> ReceivedAudio:
    return ReceivedAudio(
        samples=array("h", map(LINEAR.__getitem__, b"".join(packet.payload for packet in packets))),
        sequences=[packet.sequence for packet in packets],
        times=[packet.at for packet in packets],
    )


def _by_call(packets: Sequence[_Packet], calls: int) -> list[list[_Packet]]:
    """Divide the packets from one RTP port among the calls that used it one after the other: each has its own SSRC."""
    if calls == 1:
        return [list(packets)]
    streams: dict[int, list[_Packet]] = defaultdict(list)
    for packet in packets:
        streams[packet.ssrc].append(packet)
    return list(streams.values())


class FarEnd:
    """A trunk at `far_end.host`: `with FarEnd(folder, "answer") as far_end:`.

    With `record`, phones behind it record what they hear; otherwise it echoes the audio. `says` is what everybody says in
    the scenario "speak": 8 kHz samples.
    """

    def __init__(
        self,
        folder: Path,
        scenario: str,
        *,
        status: str = "",
        headers: str = "",
        digit: str = "",
        transport: str = "udp",
        ports: Ports | None = None,
        contact: str = "",
        record: bool = True,
        says: array | None = None,
        text: str = "",
        event_payload_type: int = 101,
    ) -> None:
        """Prepare SIPp with a scenario of `scenarios/`, or with the scenario `text`."""
        self.folder = folder / f"{scenario}-{status[:3]}"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ports = ports or Ports()
        self._owns_ports = ports is None
        self.port = self.ports.sip
        self.host = f"127.0.0.1:{self.port}"
        self._contact = contact or f"{self.host};transport={transport}"  # address for requests within a call
        self._scenario = self.folder / "scenario.xml"
        text = text or (SCENARIOS / f"{scenario}.xml").read_text()
        lines = "".join(f"    {line}\n" for line in headers.splitlines())
        text = text.replace("STATUS", status).replace("    HEADERS\n", lines)
        if says is not None:
            said = self.folder / "said.pcma"
            said.write_bytes(bytes(map(a_law_code, says)))
            text = text.replace("SAID", str(said))
        self._scenario.write_text(text)
        self._scenario_name = scenario
        self._transport = {"udp": "u1", "tcp": "t1"}[transport]
        self._digit = digit
        self._event_payload_type = event_payload_type
        self._records = record
        self._echoes = says is None
        self._log = self.folder / "log"

    def __enter__(self) -> FarEnd:
        sipp = shutil.which("sipp") or _missing()
        rtp, echo = self.ports.rtp, self.ports.echo
        self._phone: subprocess.Popen[bytes] | None = None
        if self._records:
            self._phone = self._start_phone(rtp, echo)
        else:
            rtp = echo
        self._sipp = subprocess.Popen(
            [sipp, "-sf", str(self._scenario), "-i", "127.0.0.1", "-p", str(self.port), "-t", self._transport]
            + ["-mi", "127.0.0.1", "-mp", str(echo), "-nostdin"]
            + (["-rtp_echo"] if self._echoes else [])
            + ["-key", "rtp_port", str(rtp), "-key", "echo_port", str(echo), "-key", "contact", self._contact]
            + [
                "-trace_logs",
                "-log_file",
                str(self._log),
                "-trace_err",
                "-error_file",
                str(self.folder / "errors"),
            ]
            + ["-trace_msg", "-message_file", str(self.folder / "messages"), "-aa"]
            # On a busy machine the watchdog would abort SIPp because it is late.
            + ["-watchdog_interval", "0"]
            # All registrations have the same Call-ID, and each must start the scenario again.
            + (["-deadcall_wait", "0"] if self._scenario_name == "registrar" else []),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(lambda: self._sipp.poll() is not None or self._listens(echo), seconds=20)
            assert self._sipp.poll() is None, self.errors()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *args: object) -> None:
        if self._phone is not None:
            self._phone.terminate()
            self._phone.wait(60)
            if self._phone.stdout:
                self._phone.stdout.close()
        if self._sipp.poll() is None:
            self._sipp.kill()
        self._sipp.wait(60)
        if self._owns_ports:
            self.ports.close()

    def _start_phone(self, rtp: int, echo: int) -> subprocess.Popen[bytes]:
        phone = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.telephony.sip.phone",
                str(rtp),
                str(echo),
                str(self.folder),
                self._digit,
                str(self._event_payload_type),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert phone.stdout is not None
        assert phone.stdout.readline() == b"ready\n"
        return phone

    def _listens(self, echo: int) -> bool:
        """Return whether SIPp has bound all its ports. It binds the SIP port first, and exits if another one is taken."""
        sip = _bound("udp" if self._transport == "u1" else "tcp")
        return self.port in sip and {echo, echo + VIDEO} <= _bound("udp")

    def log(self) -> list[str]:
        """Return the scenario's log, with a line for each INVITE: number, RTP port, From header."""
        return self._log.read_text().splitlines() if self._log.exists() else []

    def messages(self) -> str:
        """Return all SIP messages, sent and received."""
        path = self.folder / "messages"
        return path.read_text() if path.exists() else ""

    def errors(self) -> str:
        """Return the events that SIPp complains of, without those of HARMLESS and repeated requests of ended calls."""
        path = self.folder / "errors"
        found = path.read_text().removeprefix("The following events occurred:\n") if path.exists() else ""
        return "".join(
            event for event in EVENT.split(found) if event.strip() and not self._is_harmless(event)
        )

    def _is_harmless(self, event: str) -> bool:
        if HARMLESS.search(event):
            return True
        ended = re.search(
            r"Dead call \S+ \(successful\), received 'BYE .*?;branch=([^;\s]+)", event, re.DOTALL
        )
        # The caller repeats a BYE if the response was late. The branch of a new BYE would not have a response.
        return ended is not None and (self.folder / "messages").read_text().count(ended[1]) > 1

    def heard(self) -> dict[str, ReceivedAudio]:
        """Return the audio that each number heard. Call it after the far end has ended.

        If several calls used one RTP port, the scenario must log only calls that the phone records.
        """
        numbers: dict[str, list[str]] = defaultdict(list)  # by RTP port
        for line in self.log():
            number, port = (*line.split(), "", "")[:2]
            numbers[port].append(number)
        found = {}
        for port, called in numbers.items():
            packets = self._packets(port)
            for number, heard in zip(called, _by_call(packets, len(called)), strict=False):
                if heard:
                    found[number] = _received(heard)
        return found

    def _packets(self, port: str) -> list[_Packet]:
        recording = self.folder / f"{port}.pcma"
        if not recording.exists():
            return []
        payload = io.BytesIO(recording.read_bytes())
        notes = json.loads((self.folder / f"{port}.json").read_text())
        return [_Packet(ssrc, sequence, at, payload.read(size)) for ssrc, sequence, at, size in notes]


def _missing() -> str:
    from tests.conftest import require_program  # imported late, because benchmarks run without pytest

    return require_program("sipp")


def correlation(heard: array, said: array, *, frame: int = 160) -> float:
    """Return the highest correlation of `said` with any part of `heard` of the same length, frame by frame."""
    power = sqrt(sum(map(mul, said, said)))
    energy = [0, *accumulate(map(mul, heard, heard))]  # of all samples before each
    best = 0.0
    for start in range(0, len(heard) - len(said) + 1, frame):
        part = heard[start : start + len(said)]
        norm = sqrt(energy[start + len(said)] - energy[start]) * power
        if norm:
            best = max(best, sum(map(mul, part, said)) / norm)
            if best > 0.999:
                break
    return best


class Ports:
    """Reserves a block of ports of 127.0.0.1 for one far end, until it is closed.

    SIPp binds its ports itself, one after the other, so they must stay free until then. The blocks lie outside the
    kernel's ephemeral ports and our own RTP ports. A socket in each block reserves it against other processes.
    """

    def __init__(self) -> None:
        for block in BLOCKS:
            guard = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                guard.bind(("127.0.0.1", block))
                self.sip, self.rtp, self.echo = block + 1, block + 2, block + 4
                for port in range(block + 1, block + BLOCKS.step):
                    _probe(port)
            except OSError:
                guard.close()
                continue
            self._guard = guard
            return
        raise AssertionError("All ports for far ends are taken.")

    def close(self) -> None:
        self._guard.close()


def _probe(port: int) -> None:
    """Raise OSError if the port is in use."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.bind(("127.0.0.1", port))


def _bound(kind: str) -> set[int]:
    """Return the local ports of all sockets of this machine. `kind` is udp or tcp."""
    lines = Path(f"/proc/net/{kind}").read_text().splitlines()[1:]
    return {int(line.split()[1].rpartition(":")[2], 16) for line in lines}
