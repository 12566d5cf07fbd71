"""Open an SMPP carrier without an engine, and create submissions for it."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any
from unittest import mock

from django.db import connection
from django.utils import timezone

from telephony.carriers.base import CarrierEvent, Done, InboundSms, Pending, Result, Submission
from telephony.carriers.smpp import SmppCarrier, resends
from telephony.engine import delivery_reports
from telephony.models import Channel
from tests.live import wait_for
from tests.telephony.smpp.processes import DEADLINE

log = logging.getLogger(__name__)


class OpenCarrier:
    """A carrier with an open session, and everything it has reported."""

    def __init__(self, port: int, **options: Any) -> None:
        options = {"host": "127.0.0.1", "system_id": "iris", "password": "secret", **options}
        self.carrier = SmppCarrier(alias="smsc", port=port, **options)
        self.said: list[CarrierEvent | InboundSms | Result] = []
        self.stored = True  # whether reports are stored at once
        self._waiting: list[Done] = []
        self._lock = threading.Lock()
        self._storing: queue.SimpleQueue[Done | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, daemon=True)
        self._writer.start()
        # These submissions are no deliveries of the database, so nobody can withdraw them.
        with mock.patch.object(resends, "withdrawn", return_value=set()):
            self.carrier.open(self._record)

    def _record(self, items: Sequence[CarrierEvent | InboundSms | Result], done: Done | None = None) -> None:
        with self._lock:
            self.said += items
            if done is not None:
                self._waiting.append(done)
        if self.stored:
            self.store()

    def store(self) -> None:
        self.stored = True
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for done in waiting:
            self._storing.put(done)

    def _write(self) -> None:
        """Do the work of the engine's writer, in a thread of its own like that."""
        while (done := self._storing.get()) is not None:
            try:
                done(partial(delivery_reports.apply_events, self.carrier.alias))
            except Exception:
                log.exception("The callback of stored events failed")
        connection.close()

    def close(self) -> None:
        self.store()
        self.carrier.close()
        self._storing.put(None)
        self._writer.join()

    def send(self, *submissions: Submission, seconds: float = DEADLINE) -> dict[str, Result]:
        """Submit, and wait for the result of each. Return all results, including immediate ones."""
        answers = {result.key: result for result in self.carrier.submit(submissions)}
        awaited = {key for key, result in answers.items() if isinstance(result, Pending)}
        wait_for(lambda: awaited <= self.results().keys(), seconds=seconds)
        return {**answers, **{key: self.results()[key] for key in awaited}}

    def results(self) -> dict[str, Result]:
        return {item.key: item for item in list(self.said) if isinstance(item, Result)}

    def events(self) -> list[CarrierEvent]:
        return [item for item in list(self.said) if isinstance(item, CarrierEvent)]

    def inbound(self) -> list[InboundSms]:
        return [item for item in list(self.said) if isinstance(item, InboundSms)]

    def wait(self, condition: Callable[[], object], *, seconds: float = DEADLINE) -> None:
        wait_for(condition, seconds=seconds)


@contextmanager
def carrier(port: int, **options: Any) -> Iterator[OpenCarrier]:
    opened = OpenCarrier(port, **options)
    try:
        yield opened
    finally:
        opened.close()


def sms(
    key: int,
    *,
    to: str = "",
    text: str = "Namaste",
    caller: str = "",
    sender: str = "",
    attempt: int = 1,
    seconds: float = 60,
) -> Submission:
    return Submission(
        key=str(key),
        channel=Channel.SMS,
        to=to or f"+977984{key:07d}",
        caller=caller,
        sender=sender,
        text=text,
        audio_name="",
        audio_seconds=None,
        attempt=attempt,
        owner_id=1,
        valid_until=timezone.now() + timedelta(seconds=seconds),
    )
