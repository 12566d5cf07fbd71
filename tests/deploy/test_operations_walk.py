"""The commands of docs/operations.md lead from a bare Debian to a finished campaign over TLS."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.deploy.debian import Debian
from tests.iris.processes import ROOT

DOCUMENT = (ROOT / "docs" / "operations.md").read_text()


def commands(first: str, last: str) -> str:
    """Return the shell blocks of the document from the heading `first` to the heading `last`."""
    part = DOCUMENT[DOCUMENT.index(f"\n{first}\n") : DOCUMENT.index(f"\n{last}\n")]
    return "\n".join(re.findall(r"^```sh\n(.*?)^```", part, re.DOTALL | re.MULTILINE))


@pytest.fixture
def debian(tmp_path: Path, require_program: Callable[[str], str]) -> Iterator[Debian]:
    for name in ("bash", "curl", "openssl", "redis-server"):
        require_program(name)
    machine = Debian(tmp_path, require_program("nginx"))
    try:
        yield machine
    finally:
        machine.stop()


def test_an_operator_who_follows_the_document_completes_a_campaign_over_tls(debian: Debian) -> None:
    walk = commands("## In production, without Docker", "### Memory and connections")
    for needed in (
        "useradd",
        "CREATE ROLE",
        "git clone",
        "systemctl enable",
        "openssl",
        "createaccount",
        "curl",
    ):
        assert needed in walk

    done = debian.run(walk)

    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{debian.logs()}"
    assert "Warning" not in done.stderr
    assert done.stdout.count("'status': 'completed'") == 2
    assert '"status": "ok"' in done.stdout.splitlines()[-1]
    assert set(debian.pids()) >= {"iris-web", "iris-worker@worker1", "iris-beat", "nginx", "redis-server"}
    assert (debian.root / "etc/iris/environment").stat().st_mode & 0o777 == 0o640
    assert (debian.root / "etc/iris/secret_key").stat().st_mode & 0o777 == 0o640
