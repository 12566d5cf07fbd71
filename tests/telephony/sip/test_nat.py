"""Test that behind NAT a STUN server provides the public address, to which the trunk then sends audio."""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from telephony.models import DeliveryStatus
from tests.telephony.sip.far_end import FarEnd
from tests.telephony.sip.line import Line

PUBLIC = "203.0.113.5"
BINDING_REQUEST, BINDING_RESPONSE, XOR_MAPPED_ADDRESS, IPV4 = 0x0001, 0x0101, 0x0020, 0x01  # RFC 5389


@contextmanager
def stun_server() -> Iterator[int]:
    """Run a STUN server and yield its port. It reports the public address with the client's own port, as 1:1 NAT does."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
        thread = threading.Thread(target=_answer, args=(server,))
        thread.start()
        yield port
        server.sendto(b"", ("127.0.0.1", port))
        thread.join()


def _answer(server: socket.socket) -> None:
    while True:
        request, (host, port) = server.recvfrom(2048)
        if not request:
            return
        kind, _, cookie = struct.unpack("!HHI", request[:8])
        if kind != BINDING_REQUEST:
            continue
        (address,) = struct.unpack("!I", socket.inet_aton(PUBLIC))
        mapped = struct.pack(
            "!HHBBHI", XOR_MAPPED_ADDRESS, 8, 0, IPV4, port ^ (cookie >> 16), address ^ cookie
        )
        head = struct.pack("!HHI", BINDING_RESPONSE, len(mapped), cookie)
        server.sendto(head + request[8:20] + mapped, (host, port))


def test_sdp_has_the_public_address_and_contact_the_local_one(tmp_path: Path) -> None:
    with stun_server() as port, FarEnd(tmp_path, "answer", record=False) as far_end:
        account = ("medianat=stun", f"stunserver=stun:127.0.0.1:{port}")
        with Line(far_end.host, account=account) as line:
            line.call("+9779841000001")
            assert line.final().status == DeliveryStatus.COMPLETED
        invite = far_end.messages().replace("\r", "").partition("SIP/2.0 100")[0]
    assert re.search(rf"\nm=audio \d+ .*\nc=IN IP4 {PUBLIC}\n", invite)
    assert "\nContact: <sip:iris@127.0.0.1:" in invite
