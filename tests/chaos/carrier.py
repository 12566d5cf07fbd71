"""The carrier through which iris reaches the phone network of the tests (`far_end`)."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.utils import timezone

from telephony.carriers.base import (
    Accepted,
    Carrier,
    CarrierEvent,
    Later,
    Record,
    Rejected,
    Result,
    Submission,
    Unknown,
)
from telephony.carriers.errors import Unreachable
from telephony.models import Cause, Channel, DeliveryStatus

TIMEOUT_SECONDS = 60
AT_ONCE = 1000  # reports in one poll


class FarEndCarrier(Carrier):
    """Submit SMS as a carrier over HTTP does: the far end checks nothing, so the validity is checked here."""

    channels: ClassVar = frozenset(Channel)
    batch_size: ClassVar = 500
    polls: ClassVar = True
    looks_up: ClassVar = True
    options: ClassVar[Mapping[str, Any]] = {"port": 0}

    def __init__(self, *, alias: str, **options: Any) -> None:
        super().__init__(alias=alias, **options)
        self._of_thread = threading.local()

    def submit(self, batch: Sequence[Submission]) -> list[Result]:
        self._connect()
        valid = [one for one in batch if one.seconds_left() > 0]
        answers = self._ask({"submit": [[one.key, one.to] for one in valid]})["answers"]
        late: list[Result] = [
            Later(key=one.key, seconds=0, text="Came after its validity had ended.")
            for one in batch
            if one.key not in answers
        ]
        return late + [_result(key, answer) for key, answer in answers.items()]

    def poll(self, record: Record) -> int:
        reports = self._ask({"due": AT_ONCE})["reports"]
        if reports:
            now = timezone.now()
            record([CarrierEvent(key=key, status=DeliveryStatus.COMPLETED, at=now) for _, key in reports])
            self._ask({"forget": [pk for pk, _ in reports]})
        return len(reports)

    def look_up(self, keys: Sequence[str]) -> dict[str, bool]:
        known = set(self._ask({"look_up": list(keys)})["known"])
        return {key: key in known for key in keys}

    def _connect(self) -> None:
        """Open this thread's connection, unless it is open. Raise Unreachable if that is not possible."""
        if getattr(self._of_thread, "file", None) is not None:
            return
        try:
            one = socket.create_connection(("127.0.0.1", self.settings["port"]), timeout=TIMEOUT_SECONDS)
        except OSError as error:
            raise Unreachable(str(error)) from error
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._of_thread.file = one.makefile("rwb")

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        self._connect()
        file = self._of_thread.file
        try:
            file.write(json.dumps(request).encode() + b"\n")
            file.flush()
            answer: dict[str, Any] = json.loads(file.readline())
            return answer
        except (OSError, ValueError):
            self._of_thread.file = None
            raise


def _result(key: str, answer: str) -> Result:
    match answer:
        case "accepted":
            return Accepted(key=key, ref=f"far-{key}")
        case "invalid":
            return Rejected(key=key, cause=Cause.INVALID, text="Subscriber unknown")
        case "later":
            return Later(key=key, seconds=0.1, text="Too fast")
    return Unknown(key=key, text="The answer was lost.")
