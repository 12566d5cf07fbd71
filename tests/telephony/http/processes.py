"""Start, kill and query `tests.telephony.http.server`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.live import ROOT
from tests.telephony.smpp.processes import reusable_port


class FarEnd:
    """The server as a process. Its journal survives a restart."""

    def __init__(self, folder: Path, **behaviour: Any) -> None:
        self.folder = folder
        self.port = reusable_port()
        self.behaviour = behaviour

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.telephony.http.server",
                str(self.port),
                str(self.folder),
                json.dumps(self.behaviour),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def entries(self, kind: str) -> list[dict[str, Any]]:
        journal = self.folder / "journal.jsonl"
        # The last line may be half written.
        lines = journal.read_text().split("\n")[:-1] if journal.exists() else []
        return [entry for line in lines if (entry := json.loads(line))["kind"] == kind]

    def set_back(self, seconds: float) -> None:
        """Let everything in the journal have happened this much earlier. Restarts the server."""
        self.kill()
        journal = self.folder / "journal.jsonl"
        entries = [json.loads(line) for line in journal.read_text().splitlines()]
        earlier = [json.dumps({**entry, "at": entry["at"] - seconds}) + "\n" for entry in entries]
        journal.write_text("".join(earlier))
        self.start()

    def received(self) -> list[str]:
        return [entry["to"] for entry in self.entries("taken")]


@contextmanager
def far_end(folder: Path, **behaviour: Any) -> Iterator[FarEnd]:
    process = FarEnd(folder, **behaviour)
    process.start()
    try:
        yield process
    finally:
        process.kill()
