"""Connections to the far end: TLS, and servers that close them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from telephony.carriers.base import Accepted, Unknown
from telephony.carriers.errors import Unreachable
from tests.live import wait_for
from tests.telephony.http.creating import submission
from tests.telephony.http.far_end import carrier_of
from tests.telephony.http.processes import FarEnd, far_end
from tests.telephony.smpp.tls import Certificate, certificate, tls_front

NUMBERS = [f"+97798410000{place:02d}" for place in range(8)]


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarEnd]:
    with far_end(tmp_path_factory.mktemp("far")) as running:
        yield running


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("trusted"), "IP:127.0.0.1")


def test_https_is_verified_and_used_again(far: FarEnd, trusted: Certificate) -> None:
    with tls_front(trusted, far.port) as port:
        options = {"base_url": f"https://127.0.0.1:{port}", "tls_ca": str(trusted.path)}
        with closing(carrier_of("sparrow", far, **options)) as carrier:
            for number in NUMBERS[:3]:
                (result,) = carrier.submit([submission(to=number)])
                assert isinstance(result, Accepted)
    assert [one for one in far.received() if one in NUMBERS[:3]] == NUMBERS[:3]


@pytest.mark.parametrize("name", ["IP:127.0.0.1", "DNS:another.example"])
def test_nothing_is_sent_to_a_server_whose_certificate_is_wrong(
    far: FarEnd, trusted: Certificate, tmp_path: Path, name: str
) -> None:
    """The certificate is signed by nobody whom iris trusts, or is for another name."""
    theirs = certificate(tmp_path, name)
    known = trusted if name.startswith("IP") else theirs
    with tls_front(theirs, far.port) as port:
        options = {"base_url": f"https://127.0.0.1:{port}", "tls_ca": str(known.path)}
        with closing(carrier_of("sparrow", far, **options)) as carrier, pytest.raises(Unreachable):
            carrier.submit([submission(to=NUMBERS[4])])
    assert NUMBERS[4] not in far.received()


def test_server_that_closes_each_connection_gets_every_sms_once(tmp_path: Path) -> None:
    with far_end(tmp_path, closes=True) as far, closing(carrier_of("sparrow", far, connections=2)) as carrier:
        for number in NUMBERS:
            (result,) = carrier.submit([submission(to=number)])
            assert isinstance(result, Accepted), "a closed connection is noticed before the next SMS"
            (connection,) = carrier.client._opened
            wait_for(partial(connection._stream.get_extra_info, "is_readable"), seconds=5)
    assert far.received() == NUMBERS


@contextmanager
def silent_server() -> Iterator[tuple[int, list[bytes]]]:
    """Run a server that reads one packet and closes the connection. Yield its port and the packets."""
    packets: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with listening.accept()[0] as connection:
                packets.append(connection.recv(100_000))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1], packets
        thread.join(10)


def test_small_request_is_one_packet_and_unknown_if_the_server_says_nothing(far: FarEnd) -> None:
    with silent_server() as (port, packets):
        options = {"base_url": f"http://127.0.0.1:{port}/path"}
        with closing(carrier_of("sparrow", far, **options)) as carrier:
            (result,) = carrier.submit([submission(text="नमस्ते & {+}", sender="A B")])
    assert isinstance(result, Unknown)
    (packet,) = packets
    head, _, body = packet.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /path/v2/sms/ HTTP/1.1"
    assert {f"Host: 127.0.0.1:{port}", "User-Agent: iris", f"Content-Length: {len(body)}"} <= set(lines)
    assert b"text=%E0%A4%A8%E0%A4%AE%E0%A4%B8%E0%A5%8D%E0%A4%A4%E0%A5%87+%26+%7B%2B%7D" in body
    assert b"from=A+B" in body
