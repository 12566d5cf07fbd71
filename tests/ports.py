"""Find free ports. Imports nothing of iris: the far ends of the tests import it, and importing iris takes a second."""

from __future__ import annotations

import socket


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
