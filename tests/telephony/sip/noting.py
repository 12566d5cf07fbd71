"""The SIP carrier, noting when it gets each call to make: where iris's own pacing ends, and the stack's work begins."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from telephony.carriers.base import Result, Submission
from telephony.carriers.sip import SipCarrier

FILE = "NOTE_SUBMISSIONS_IN"  # environment: the path of a file


class NotingSipCarrier(SipCarrier):
    def submit(self, batch: Sequence[Submission]) -> list[Result]:
        now = time.time()
        with open(os.environ[FILE], "a", encoding="utf-8") as notes:
            notes.writelines(f"{now} {one.to}\n" for one in batch)
        return super().submit(batch)


def submitted(environment: Mapping[str, str]) -> dict[str, float]:
    """When each number was submitted, in seconds of the epoch. Twice is a failure."""
    found: dict[str, float] = {}
    for line in Path(environment[FILE]).read_text(encoding="utf-8").splitlines():
        at, to = line.split()
        assert to not in found
        found[to] = float(at)
    return found
