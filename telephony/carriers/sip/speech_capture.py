"""Record what the called person says in the survey steps that ask for a spoken response."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from django.db import connection

from telephony.call_scripts import Script, SurveyResponse, speech_windows
from telephony.carriers.sip.playback import BYTES_PER_SECOND
from telephony.speech import voice_activity

if TYPE_CHECKING:
    from baresip import CallAudio

log = logging.getLogger(__name__)

# How often the stack's receive buffer is read during a spoken response. Sound still in the buffer at hangup is lost, and
# the stack drops sound that is not read within a second.
READ_SECONDS = 0.2
ATTEMPTS = 20  # how often storing a response is tried, RETRY_SECONDS apart, if the storage is unavailable
RETRY_SECONDS = 1.0
# How long the report of a call's end waits for its responses. Responses that are stored later are still reported.
MAX_STORE_WAIT_SECONDS = 20.0

_storage_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="speech-capture")


class SpeechCapture:
    """Reads the sound of a call in progress and stores the spoken response to each step when that step ends.

    `on_stored` is called after each response that was stored. `answers` are the stored responses so far.
    """

    def __init__(self, audio: CallAudio, script: Script, *, key: str, on_stored: Callable[[], None]) -> None:
        self.answers: list[SurveyResponse] = []
        self._audio = audio
        self._key = key
        self._on_stored = on_stored
        self._steps = speech_windows(script)
        self._recorded = bytearray()  # the sound so far of the first of the remaining steps
        self._stores: set[asyncio.Task[None]] = set()

    def pause(self, now: float) -> float | None:
        """Return the seconds until sound must be read again, None if none is needed soon. `now`: second of the recording."""
        if not self._steps or now < self._steps[0][1] - READ_SECONDS:
            return None
        return READ_SECONDS

    def read_until(self, now: float) -> None:
        """Read the sound up to `now`, in seconds of the recording, and store the responses to steps that have ended."""
        if not self._steps:
            return
        heard = self._read()  # its last sample has just arrived
        while self._steps:
            step, first, last = self._steps[0]
            self._recorded += _slice(heard, now, first, last)
            if now < last:
                return
            self._store_in_background(step)

    def end(self, now: float) -> None:
        """Finish at `now`. A response that was cut off by the hangup counts as a response."""
        self.read_until(now)
        if self._recorded:
            self._store_in_background(self._steps[0][0])

    async def wait_until_stored(self) -> None:
        """Wait until all responses are stored, at most MAX_STORE_WAIT_SECONDS: the end of the call must be reported."""
        if self._stores:
            await asyncio.wait(self._stores, timeout=MAX_STORE_WAIT_SECONDS)

    def _read(self) -> bytes:
        from baresip import BaresipError

        try:
            info = self._audio.info()
            if (info.rx_sample_rate, info.rx_channels) != (BYTES_PER_SECOND // 2, 1):
                return b""
            return self._audio.read(info.rx_capacity) if info.rx_capacity else b""
        except BaresipError:  # the stream has not started, has ended, or was replaced
            return b""

    def _store_in_background(self, step: int) -> None:
        said = bytes(self._recorded)
        del self._steps[0], self._recorded[:]
        task = asyncio.get_running_loop().create_task(self._store(step, said))
        self._stores.add(task)
        task.add_done_callback(self._stores.discard)

    async def _store(self, step: int, said: bytes) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                name = await asyncio.get_running_loop().run_in_executor(
                    _storage_threads, _store_recording, said
                )
            except Exception:
                if attempt == ATTEMPTS:
                    log.exception("A spoken response of delivery %s could not be stored", self._key)
                    return
                await asyncio.sleep(RETRY_SECONDS)
            else:
                break
        if name:
            self.answers.append(SurveyResponse(step, name))
            self._on_stored()


def _store_recording(said: bytes) -> str:
    """Store a response. Return its name, "" if it is silent. Runs in a thread, because the event loop must not block."""
    try:
        kept = voice_activity.store_spoken_response(said)
        return kept.name if kept is not None else ""
    finally:
        connection.close()  # this thread may be idle for days


def _slice(heard: bytes, now: float, first: float, last: float) -> bytes:
    """Return the part of `heard`, which ends at `now`, between `first` and `last`; all in seconds of the recording."""
    start, end = (max(0, len(heard) - _byte_count(now - moment)) for moment in (first, last))
    return heard[start:end]


def _byte_count(seconds: float) -> int:
    """Return the number of bytes of this many seconds of sound, in whole samples."""
    return 2 * round(max(0.0, seconds) * BYTES_PER_SECOND / 2)
