"""Test that the far end of the other tests tells apart what its phones heard."""

from __future__ import annotations

import json
from pathlib import Path

from tests.telephony.sip.far_end import FarEnd


def record(folder: Path, port: int, *packets: tuple[int, int, float]) -> None:
    """Write what the phone writes of packets from one port: SSRC, sequence number and time of each."""
    (folder / f"{port}.json").write_text(json.dumps([(*packet, 160) for packet in packets]))
    (folder / f"{port}.pcma").write_bytes(b"".join(bytes([packet[1] % 256]) * 160 for packet in packets))


def test_calls_that_used_one_port_one_after_the_other_are_told_apart(tmp_path: Path) -> None:
    far_end = FarEnd(tmp_path, "answer")
    far_end.ports.close()
    record(far_end.folder, 20000, (1, 7, 0.0), (1, 8, 0.02), (2, 500, 60.0), (2, 501, 60.02), (2, 503, 60.10))
    record(far_end.folder, 20002, (3, 1, 5.0), (4, 2, 5.02))
    (far_end.folder / "log").write_text('+1 20000 "a"\n+2 20002 "a"\n+3 20000 "a"\n+4 20004 "a"\n')
    heard = far_end.heard()
    assert {number: audio.sequences for number, audio in heard.items()} == {
        "+1": [7, 8],
        "+2": [1, 2],  # one call, which began a new RTP stream
        "+3": [500, 501, 503],
    }
    assert [heard[number].lost_packets for number in ("+1", "+2", "+3")] == [0, 0, 1]
    assert [heard[number].late_packets(0.03) for number in ("+1", "+2", "+3")] == [0, 0, 1]
    assert {number: len(audio.samples) for number, audio in heard.items()} == {
        "+1": 320,
        "+2": 320,
        "+3": 480,
    }
