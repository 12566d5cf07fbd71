"""A SIP carrier that logs when it gets each call, which is where iris's pacing ends and the stack's work begins."""

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
    """Return when each number was submitted (epoch seconds). Fail if a number was submitted twice."""
    found: dict[str, float] = {}
    for line in Path(environment[FILE]).read_text(encoding="utf-8").splitlines():
        at, to = line.split()
        assert to not in found
        found[to] = float(at)
    return found
