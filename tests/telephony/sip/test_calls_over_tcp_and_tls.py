"""Test calls to SIPp over TCP and TLS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from telephony.models import DeliveryStatus
from tests.telephony.sip.far_end import FarEnd
from tests.telephony.sip.line import Line
from tests.telephony.sip.tls import TlsFront

S = DeliveryStatus
NUMBER = "+9779841000001"


def test_call_over_tcp_completes(tmp_path: Path) -> None:
    with (
        FarEnd(tmp_path, "answer", transport="tcp") as far_end,
        Line(far_end.host, transport="tcp") as line,
    ):
        line.call(NUMBER)
        assert line.final().status == S.COMPLETED


def test_call_over_tls_completes_with_a_ca_file(tmp_path: Path) -> None:
    front = TlsFront(tmp_path)
    contact = f"127.0.0.1:{front.port};transport=tls"
    secure: dict[str, Any] = {"transport": "tls", "tls_ca": str(front.certificate)}
    with (
        FarEnd(tmp_path, "answer", transport="tcp", contact=contact) as far_end,
        Line(f"127.0.0.1:{front.port}", **secure) as line,
    ):
        front.serve(far_end.port)
        line.call(NUMBER)
        assert line.final().status == S.COMPLETED
        assert front.connections == 1
    front.close()


def test_call_over_tls_completes_with_a_ca_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    front = TlsFront(tmp_path)
    monkeypatch.setenv(
        "SSL_CERT_FILE", str(front.certificate)
    )  # where a system's authorities can be said to lie
    contact = f"127.0.0.1:{front.port};transport=tls"
    with (
        FarEnd(tmp_path, "answer", transport="tcp", contact=contact) as far_end,
        Line(f"127.0.0.1:{front.port}", transport="tls") as line,
    ):
        front.serve(far_end.port)
        line.call(NUMBER)
        assert line.final().status == S.COMPLETED
    front.close()


def test_call_over_tls_fails_if_the_certificate_is_not_trusted(tmp_path: Path) -> None:
    front = TlsFront(tmp_path)
    with FarEnd(tmp_path, "answer", transport="tcp") as far_end:
        front.serve(far_end.port)
        with Line(f"127.0.0.1:{front.port}", transport="tls") as line:
            line.call(NUMBER)
            assert line.final().status == S.FAILED
        assert far_end.log() == []
    front.close()
