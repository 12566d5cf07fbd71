"""What the far end of one call says, in the steps of a survey that are answered by saying something."""

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

# How often sound is taken out of the stack's buffer while somebody is listened to: what is still in there when they hang
# up is lost. The stack throws away what nobody takes for a second.
TAKE_SECONDS = 0.2
ATTEMPTS = 20  # to store what was said, a second apart: for so long the storage may be away
AGAIN_SECONDS = 1.0
STORE_SECONDS = 20.0  # that the end of a call waits for its answers; what is stored later is still reported

_keepers = ThreadPoolExecutor(max_workers=2, thread_name_prefix="hearing")


class Hearing:
    """Takes sound while its call goes on, and stores what was said in each step as soon as that is over.

    `stored` is called after each answer that has been stored; `answers` are those so far.
    """

    def __init__(self, audio: CallAudio, script: Script, *, key: str, stored: Callable[[], None]) -> None:
        self.answers: list[SurveyResponse] = []
        self._audio = audio
        self._key = key
        self._stored = stored
        self._steps = speech_windows(script)
        self._said = bytearray()  # in the first of these steps
        self._keeping: set[asyncio.Task[None]] = set()

    def pause(self, now: float) -> float | None:
        """Seconds until sound should be taken again, `now` being seconds of the recording; None: whenever."""
        if not self._steps or now < self._steps[0][1] - TAKE_SECONDS:
            return None
        return TAKE_SECONDS

    def take(self, now: float) -> None:
        """Take what has come until `now`, seconds of the recording, and store what belongs to a step that is over."""
        if not self._steps:
            return
        heard = self._read()  # the last of it has come just now
        while self._steps:
            step, first, last = self._steps[0]
            self._said += _between(heard, now, first, last)
            if now < last:
                return
            self._keep(step)

    def end(self, now: float) -> None:
        """Nothing more will come. Who was cut off in the middle of an answer has given it."""
        self.take(now)
        if self._said:
            self._keep(self._steps[0][0])

    async def kept(self) -> None:
        """Until all that was said is stored, or STORE_SECONDS are over: the end of the call must be told."""
        if self._keeping:
            await asyncio.wait(self._keeping, timeout=STORE_SECONDS)

    def _read(self) -> bytes:
        from baresip import BaresipError

        try:
            info = self._audio.info()
            if (info.rx_sample_rate, info.rx_channels) != (BYTES_PER_SECOND // 2, 1):
                return b""
            return self._audio.read(info.rx_capacity) if info.rx_capacity else b""
        except BaresipError:  # no sound yet, no more, or another stream from now on
            return b""

    def _keep(self, step: int) -> None:
        said = bytes(self._said)
        del self._steps[0], self._said[:]
        task = asyncio.get_running_loop().create_task(self._store(step, said))
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)

    async def _store(self, step: int, said: bytes) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                name = await asyncio.get_running_loop().run_in_executor(_keepers, _name_of, said)
            except Exception:
                if attempt == ATTEMPTS:
                    log.exception("What was said in the call of delivery %s could not be stored", self._key)
                    return
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                break
        if name:
            self.answers.append(SurveyResponse(step, name))
            self._stored()


def _name_of(said: bytes) -> str:
    """The name under which it is stored; "" when nobody said anything. In a thread: the event loop must not wait."""
    try:
        kept = voice_activity.store_spoken_response(said)
        return kept.name if kept is not None else ""
    finally:
        connection.close()  # of this thread, which may have nothing to do for days


def _between(heard: bytes, now: float, first: float, last: float) -> bytes:
    """The part of what was heard until `now` that came from `first` to `last`, seconds of the recording."""
    start, end = (max(0, len(heard) - _size(now - moment)) for moment in (first, last))
    return heard[start:end]


def _size(seconds: float) -> int:
    """Bytes of so much sound, in whole samples."""
    return 2 * round(max(0.0, seconds) * BYTES_PER_SECOND / 2)
