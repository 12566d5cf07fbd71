"""Test how calls reach the trunk: through a proxy, into silence, with enough open files, and from the trunk to us."""

from __future__ import annotations

import resource
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from telephony.models import Cause, DeliveryStatus
from tests.telephony.sip.far_end import SCENARIOS, FarEnd, Ports
from tests.telephony.sip.line import Line

NUMBER = "+9779841000001"
# RFC 3261, timer B: 64 times T1. The stack has no setting for T1; it is half a second, as in the RFC.
TRANSACTION_TIMEOUT_SECONDS = 32


def test_call_to_a_silent_trunk_is_lost_after_32_seconds() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as black_hole:
        black_hole.bind(("127.0.0.1", 0))
        with Line(f"127.0.0.1:{black_hole.getsockname()[1]}") as line:
            begun = time.monotonic()
            line.call(NUMBER)
            final = line.final(seconds=TRANSACTION_TIMEOUT_SECONDS + 20)
            took = time.monotonic() - begun
        assert black_hole.recv(4096).startswith(f"INVITE sip:{NUMBER}@".encode())
    # It is unknown whether a phone has rung, so the call is neither "unanswered" nor retried.
    assert (final.status, final.cause, final.seconds) == (DeliveryStatus.FAILED, Cause.LOST, None)
    assert line.statuses() == [DeliveryStatus.FAILED]
    assert took > TRANSACTION_TIMEOUT_SECONDS - 1


def test_calls_use_the_outbound_proxy(tmp_path: Path) -> None:
    with FarEnd(tmp_path, "answer") as far_end, Line("sip.example.com", proxy=far_end.host) as line:
        line.call(NUMBER)
        assert line.final().status == DeliveryStatus.COMPLETED
        assert f"INVITE sip:{NUMBER}@sip.example.com" in far_end.messages()


def test_registrations_use_the_outbound_proxy(tmp_path: Path) -> None:
    with (
        FarEnd(tmp_path, "registrar_digest", status="403 Forbidden") as far_end,
        Line("sip.example.com", proxy=far_end.host, register=True, user="branch", password="secret") as line,
    ):
        assert line.carrier.status() == f"registered as branch at {far_end.host}"
        assert "To: <sip:branch@sip.example.com" in far_end.messages()


def test_low_limit_of_open_files_is_raised_to_the_allowed_maximum(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with FarEnd(tmp_path, "answer") as far_end, Line(far_end.host):
            raised, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
            highest = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
            assert raised == highest
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_incoming_call_is_rejected_as_busy(tmp_path: Path, require_program: Callable[[str], str]) -> None:
    sipp = require_program("sipp")
    ours, theirs = Ports(), Ports()
    with FarEnd(tmp_path, "answer") as far_end, Line(far_end.host, listen=f"127.0.0.1:{ours.sip}") as line:
        caller = subprocess.run(
            [sipp, "-sf", str(SCENARIOS / "calls_us.xml"), "-s", "iris", f"127.0.0.1:{ours.sip}", "-m", "1"]
            + ["-i", "127.0.0.1", "-p", str(theirs.sip), "-nostdin", "-timeout", "20s", "-timeout_error"],
            capture_output=True,
            timeout=60,
        )
        assert caller.returncode == 0, caller.stdout
        line.call(NUMBER)  # outgoing calls still work
        assert line.final().status == DeliveryStatus.COMPLETED
    ours.close()
    theirs.close()
