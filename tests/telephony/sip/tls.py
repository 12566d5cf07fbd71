"""Terminate TLS in front of SIPp, which is built without TLS, with a relay and a self-signed certificate."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

from tests.conftest import require_program


class TlsFront:
    """Listens at 127.0.0.1:`port` with TLS, and passes everything on after `serve`."""

    def __init__(self, folder: Path) -> None:
        self.certificate = folder / "certificate.pem"
        key = folder / "key.pem"
        subprocess.run(
            [require_program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
            + ["-keyout", str(key), "-out", str(self.certificate)]
            + ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
            check=True,
            capture_output=True,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = listener.getsockname()[1]
        self.connections = 0
        self._listener = context.wrap_socket(listener, server_side=True)

    def serve(self, port: int) -> None:
        """Pass everything on to this port from now on."""
        threading.Thread(target=self._accept, args=(port,), daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self, port: int) -> None:
        while True:
            try:
                inner, _ = self._listener.accept()
            except ssl.SSLError:  # the client does not trust the certificate
                continue
            except OSError:
                return
            self.connections += 1
            outer = socket.create_connection(("127.0.0.1", port))
            for source, target in ((inner, outer), (outer, inner)):
                threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while received := source.recv(65536):
            target.sendall(received)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
