"""Test binds over TLS, and how `manage.py trunk_status` explains failed ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from telephony.carriers.base import Accepted
from telephony.carriers.smpp import SmppCarrier
from tests.telephony.smpp.carriers import carrier, sms
from tests.telephony.smpp.processes import SmscProcess, smsc
from tests.telephony.smpp.tls import certificate, tls_front


@pytest.fixture
def far(tmp_path: Path) -> Iterator[SmscProcess]:
    with smsc(tmp_path) as process:
        yield process


def test_bind_over_tls_succeeds_with_a_ca_file(far: SmscProcess, tmp_path: Path) -> None:
    own = certificate(tmp_path, "IP:127.0.0.1")
    with tls_front(own, far.port) as port, carrier(port, tls=True, tls_ca=str(own.path)) as it:
        assert isinstance(it.send(sms(1, text="क" * 100))["1"], Accepted)
        it.wait(lambda: len(it.events()) == 2)
        assert it.carrier.status().startswith("bound to 127.0.0.1")
    assert len(far.entries) == 2


def test_untrusted_certificate_is_refused(far: SmscProcess, tmp_path: Path) -> None:
    with tls_front(certificate(tmp_path, "IP:127.0.0.1"), far.port) as port, carrier(port, tls=True) as it:
        it.wait(lambda: "certificate" in it.carrier.status())
        assert "the SMSC's certificate is not trusted: self-signed certificate." in it.carrier.status()
        assert "Set tls_ca" in it.carrier.status()
    assert far.journal_entries("bound") == []


def test_certificate_of_another_host_is_refused(far: SmscProcess, tmp_path: Path) -> None:
    other = certificate(tmp_path, "DNS:smsc.example")
    with tls_front(other, far.port) as port, carrier(port, tls=True, tls_ca=str(other.path)) as it:
        it.wait(lambda: "certificate" in it.carrier.status())
        assert "the SMSC's certificate is for another host" in it.carrier.status()
        assert "127.0.0.1" in it.carrier.status().partition("certificate")[2]
    assert far.journal_entries("bound") == []


def test_port_without_tls_is_named_in_the_status(far: SmscProcess) -> None:
    with carrier(far.port, tls=True) as it:
        it.wait(lambda: "TLS" in it.carrier.status() or "closed the connection" in it.carrier.status())
        assert "is this the SMSC's port for TLS?" in it.carrier.status()


def test_ca_file_without_certificates_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    for path in (tmp_path / "empty.pem", tmp_path / "missing.pem"):
        with pytest.raises(ImproperlyConfigured, match="tls_ca must be a file of certificates in PEM"):
            SmppCarrier(alias="smsc", host="127.0.0.1", system_id="iris", tls=True, tls_ca=str(path))
