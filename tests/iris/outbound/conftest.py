"""Provide servers whose responses a test chooses."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from iris.outbound import addresses, requests
from tests.iris.outbound.hosts import Host, Serve


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Serve], Host]]:
    """Return a function that starts hosts. Their ports are allowed, and 127.0.0.1 counts as public."""
    made: list[Host] = []
    monkeypatch.setattr(requests, "is_public", lambda ip: ip == "127.0.0.1")

    def make(serve: Serve) -> Host:
        made.append(Host(serve))
        monkeypatch.setattr(addresses, "PORTS", {80, 443, *(one.port for one in made)})
        return made[-1]

    yield make
    for one in made:
        one.close()
