"""Play the audio side of the phones behind SIPp, in a process of its own.

python -m tests.telephony.sip.phone PORT ECHO_PORT FOLDER DIGIT PAYLOAD_TYPE

Calls send their RTP to PORT. This process records it, one file for each caller, and passes it on to SIPp, which echoes it
(-rtp_echo at ECHO_PORT). It sends the echo back to the caller. The kernel notes when each packet arrives, so neither
SIPp nor this process can be late.

Unless DIGIT is empty, each phone presses it once after half a second (RFC 4733), under the RTP payload type PAYLOAD_TYPE.
SIGTERM ends the process and writes `<RTP port of the caller>.pcma`, and beside it for each packet the SSRC, the sequence
number, the time and the number of bytes.
"""

from __future__ import annotations

import json
import selectors
import signal
import socket
import struct
import sys
from collections import defaultdict
from pathlib import Path

from tests.telephony.sip.g711 import A_LAW_OF_MU_LAW

PCMU, PCMA = 0, 8
PRESS_AFTER = 25  # packets
SO_TIMESTAMPNS = 35


class Phone:
    def __init__(self, port: int, echo_port: int, folder: Path, digit: str, event_payload_type: int) -> None:
        self.event_payload_type = event_payload_type
        self.folder = folder
        self.echo = ("127.0.0.1", echo_port)
        self.digit = digit
        self.front, self.back = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
        for each in (self.front, self.back):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.front.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.front.bind(("127.0.0.1", port))
        self.back.bind(("127.0.0.1", 0))
        self.callers: dict[int, tuple[str, int]] = {}  # by SSRC
        # By RTP port of the caller. A later call may use the same port, but with another SSRC.
        self.heard: dict[int, list[tuple[int, int, float, bytes]]] = defaultdict(list)
        self.ended = False

    def run(self) -> None:
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "ended", True))
        selector = selectors.DefaultSelector()
        selector.register(self.front, selectors.EVENT_READ, self.from_caller)
        selector.register(self.back, selectors.EVENT_READ, self.from_sipp)
        print("ready", flush=True)
        while not self.ended:
            for key, _ in selector.select(0.1):
                key.data()
        self.write()

    def from_caller(self) -> None:
        packet, notes, _, address = self.front.recvmsg(2048, 64)
        _, kind, sequence, _, ssrc = struct.unpack("!BBHII", packet[:12])
        self.callers[ssrc] = address
        if kind & 0x7F in (PCMU, PCMA):
            known = self.heard[address[1]]
            payload = packet[12:] if kind & 0x7F == PCMA else packet[12:].translate(A_LAW_OF_MU_LAW)
            known.append((ssrc, sequence, arrival(notes), payload))
            if self.digit and len(known) == PRESS_AFTER:
                self.press(address, packet)
        self.back.sendto(packet, self.echo)

    def from_sipp(self) -> None:
        packet = self.back.recv(2048)
        if address := self.callers.get(struct.unpack("!I", packet[8:12])[0]):
            self.front.sendto(packet, address)

    def press(self, address: tuple[str, int], like: bytes) -> None:
        """Three packets while the key is down, three more with the end bit: the digit is one, whatever gets lost."""
        _, _, sequence, stamp, ssrc = struct.unpack("!BBHII", like[:12])
        event = "0123456789*#".index(self.digit)
        for step in range(6):
            end = 0x80 if step >= 3 else 0
            marker = 0x80 if step == 0 else 0
            head = struct.pack(
                "!BBHII",
                0x80,
                marker | self.event_payload_type,
                (sequence + 1000 + step) % 65536,
                stamp,
                ssrc ^ 1,
            )
            body = struct.pack("!BBH", event, end | 10, 160 * (min(step, 2) + 1))
            self.front.sendto(head + body, address)

    def write(self) -> None:
        for port, packets in self.heard.items():
            (self.folder / f"{port}.pcma").write_bytes(b"".join(payload for _, _, _, payload in packets))
            notes = [(ssrc, sequence, at, len(payload)) for ssrc, sequence, at, payload in packets]
            (self.folder / f"{port}.json").write_text(json.dumps(notes))


def arrival(notes: list[tuple[int, int, bytes]]) -> float:
    """Return when the kernel received a packet, in seconds."""
    (seconds, nanoseconds), *_ = (
        struct.unpack("ll", data) for _, kind, data in notes if kind == SO_TIMESTAMPNS
    )
    return seconds + nanoseconds / 1e9


if __name__ == "__main__":
    _, port, echo_port, folder, digit, payload_type = sys.argv
    Phone(int(port), int(echo_port), Path(folder), digit, int(payload_type)).run()
