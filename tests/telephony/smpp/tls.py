"""Terminate TLS in front of the SMSC, with a self-signed certificate."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import require_program


@dataclass(frozen=True)
class Certificate:
    """A self-signed certificate. `path` is also its CA file."""

    path: Path
    key: Path


def certificate(folder: Path, name: str) -> Certificate:
    """Create a certificate for a host or an address, such as `DNS:smsc.example` or `IP:127.0.0.1`."""
    made = Certificate(folder / "certificate.pem", folder / "key.pem")
    subprocess.run(
        [require_program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        + ["-keyout", str(made.key), "-out", str(made.path)]
        + ["-subj", "/CN=SMSC of a test", "-addext", f"subjectAltName={name}"],
        check=True,
        capture_output=True,
    )
    return made


@contextmanager
def tls_front(certificate: Certificate, port: int) -> Iterator[int]:
    """Run a TLS server on 127.0.0.1 that passes everything on to `port`. Yield its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.path, certificate.key)
    loop = asyncio.new_event_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_pass_on(reader, far_writer), _pass_on(far_reader, writer))

    server = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
    writer.close()
