"""Test that a call receives no more than it needs: no thread that plays audio, and no audio unless it records speech."""

from __future__ import annotations

import socket
import struct
import sys
from pathlib import Path

import pytest

from telephony.carriers.sip.options import SipOptions
from telephony.carriers.sip.reception import drop_audio
from telephony.models import DeliveryStatus
from tests.live import wait_for
from tests.telephony.sip.far_end import FarEnd
from tests.telephony.sip.line import Line, chirp

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other kernels have no such filter")


def rtp(payload_type: int, *, marker: bool = False) -> bytes:
    return struct.pack("!BBHII", 0x80, payload_type | (0x80 if marker else 0), 1, 160, 7) + bytes(160)


STUN = struct.pack("!HHI12s", 0x0101, 0, 0x2112A442, bytes(12))
RTCP = struct.pack("!BBHI", 0x80, 201, 1, 7)


def test_kernel_drops_audio_and_passes_keys_rtcp_and_stun() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("127.0.0.1", 0))
        drop_audio(receiver.fileno())
        receiver.settimeout(5)
        passing = [rtp(101), rtp(101, marker=True), rtp(96), RTCP, STUN]
        for packet in (rtp(8), rtp(0), rtp(13), rtp(8, marker=True), *passing, b"\x00"):
            sender.sendto(packet, receiver.getsockname())
        assert [receiver.recv(2048) for _ in passing] == passing


def thread_names() -> list[str]:
    names = []
    for task in Path("/proc/self/task").iterdir():
        try:
            names.append((task / "comm").read_text().strip())
        except OSError:  # the thread has ended
            continue
    return names


@pytest.mark.django_db
def test_the_only_thread_of_a_call_sends_its_packets(tmp_path: Path) -> None:
    with FarEnd(tmp_path, "answer") as far_end, Line(far_end.host) as line:
        line.call("+9779841000001", said=chirp(3.0)[0])
        wait_for(lambda: "Audio TX" in thread_names(), seconds=10)
        assert not {"aumem_play", "aumem_src"} & set(thread_names())
        assert line.final().status == DeliveryStatus.COMPLETED


@pytest.mark.parametrize(
    ("stack", "may"), [((), True), (("dns_server 192.0.2.53:53",), True), (("rtp_timeout 30",), False)]
)
def test_audio_is_received_if_its_absence_would_end_calls(stack: tuple[str, ...], may: bool) -> None:
    assert SipOptions(host="sip.example.com", stack=stack).may_ignore_audio is may
