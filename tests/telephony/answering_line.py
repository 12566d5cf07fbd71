"""A session carrier for tests of whole systems: it accepts everything and reports completion a moment later.

It writes each accepted key, including duplicates, as a line of `line.log` in IRIS_HOME: the record of what was sent.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from django.conf import settings
from django.utils import timezone

from telephony.carriers.base import Accepted, CarrierEvent, Result, SessionCarrier, SessionRecord, Submission
from telephony.models import Channel, DeliveryStatus

REPORT_SECONDS = 0.3


def log_of(home: Path) -> Path:
    return home / "line.log"


class AnsweringLine(SessionCarrier):
    channels: ClassVar = frozenset(Channel)
    batch_size: ClassVar = 10

    def open(self, record: SessionRecord) -> None:
        self._record = record
        self._log = os.open(log_of(settings.IRIS_HOME), os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def close(self) -> None:
        os.close(self._log)

    def status(self) -> str:
        return "up"

    def report_timeout(self) -> float:
        return super().report_timeout() / settings.IRIS_SANDBOX_SPEED

    def submit(self, batch: Sequence[Submission]) -> list[Result]:
        os.write(self._log, "".join(f"{one.key}\n" for one in batch).encode())
        threading.Timer(REPORT_SECONDS, self._report, [[one.key for one in batch]]).start()
        return [Accepted(key=one.key, ref=f"line-{one.key}") for one in batch]

    def _report(self, keys: Sequence[str]) -> None:
        now = timezone.now()
        self._record([CarrierEvent(key=key, status=DeliveryStatus.COMPLETED, at=now) for key in keys])
