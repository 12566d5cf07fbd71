"""Open a SIP trunk without an engine or a database, submit calls to it, and collect its reports."""

from __future__ import annotations

import math
import threading
from array import array
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from telephony.carriers.base import Accepted, CarrierEvent, Done, Later, Result, Submission
from telephony.carriers.sip import SipCarrier
from telephony.models import FINAL, Channel, DeliveryStatus
from telephony.speech import audio, store
from telephony.speech.engine import Pcm
from tests.live import wait_for

LEAD, TAIL = 0.5, 0.2


class Line:
    """An open trunk to a host: `with Line(host) as line:`."""

    def __init__(self, host: str, *, channels: int = 100, ready: bool = True, **options: Any) -> None:
        settings.CARRIERS["line"] = {"BACKEND": "telephony.carriers.sip.SipCarrier", "CHANNELS": channels}
        defaults: dict[str, Any] = {
            "interface": "127.0.0.1",
            "rtp_ports": "20000-40000",
            "drain_seconds": 10,
            "lead_seconds": LEAD,
            "tail_seconds": TAIL,
        }
        self.carrier = SipCarrier(alias="line", host=host, **{**defaults, **options})
        self._wait_ready = ready
        self._lock = threading.Lock()
        self._items: list[CarrierEvent | Result] = []

    def __enter__(self) -> Line:
        self.carrier.open(self._record)
        if self._wait_ready:
            self.wait_status("ready", "registered")
        return self

    def __exit__(self, *args: object) -> None:
        self.carrier.close()

    def wait_status(self, *beginnings: str, seconds: float = 10) -> None:
        wait_for(lambda: self.carrier.status().startswith(beginnings), seconds=seconds)

    def call(self, to: str, *, key: str = "1", caller: str = "", said: str = "", attempt: int = 1) -> Result:
        """Submit one call, with the recording `said`."""
        (result,) = self.carrier.submit([submission(to, key=key, caller=caller, said=said, attempt=attempt)])
        return result

    def reports(self, key: str = "1") -> list[CarrierEvent]:
        with self._lock:
            return [item for item in self._items if isinstance(item, CarrierEvent) and item.key == key]

    def results(self, key: str = "1") -> list[Result]:
        with self._lock:
            return [item for item in self._items if not isinstance(item, CarrierEvent) and item.key == key]

    def final(self, key: str = "1", *, seconds: float = 20) -> CarrierEvent:
        """Wait for the final report on a call and return it."""
        wait_for(lambda: any(event.status >= FINAL for event in self.reports(key)), seconds=seconds)
        (final,) = [event for event in self.reports(key) if event.status >= FINAL]
        return final

    def later(self, key: str = "1", *, seconds: float = 5) -> Later:
        """Wait for a call's result `Later` and return it."""
        wait_for(lambda: any(isinstance(result, Later) for result in self.results(key)), seconds=seconds)
        (later,) = [result for result in self.results(key) if isinstance(result, Later)]
        return later

    def statuses(self, key: str = "1") -> list[DeliveryStatus]:
        return [event.status for event in self.reports(key)]

    def ref(self, key: str = "1") -> str:
        (accepted,) = [result for result in self.results(key) if isinstance(result, Accepted)]
        return accepted.ref

    def _record(self, items: Sequence[CarrierEvent | Result | Any], done: Done | None = None) -> None:
        with self._lock:
            self._items += items


def submission(
    to: str, *, key: str = "1", caller: str = "", said: str = "", attempt: int = 1, seconds: float = 1.0
) -> Submission:
    return Submission(
        key=key,
        channel=Channel.CALL,
        to=to,
        caller=caller,
        text="",
        audio_name=said or chirp(seconds)[0],
        audio_seconds=seconds,
        attempt=attempt,
        owner_id=1,
        valid_until=timezone.now() + timedelta(seconds=30),
    )


def chirp(seconds: float) -> tuple[str, array]:
    """Create a recording in which no part sounds like another. Return its name and its samples."""
    samples = array("h", (int(9000 * math.sin(i * i / 60_000)) for i in range(int(8000 * seconds))))
    name = store.keyed_name("chirp", seconds)
    if not store.exists(name, "wav"):
        store.write(name, "wav", audio.encode_wav(Pcm(samples.tobytes(), 8000)))
    return name, samples
