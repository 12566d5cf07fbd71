"""A speech process for tests, with a rule and an engine that misbehave if a text contains certain words.

`settings.SPEECH_WORKER` names it; for whole systems, `tests.wild_settings` does. No test may use these words otherwise.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import time
from typing import Any

from telephony import speech_worker

ENDLESS_RULE = "अनन्त"  # a rule never ends, holding the GIL
ENDLESS_ENGINE = "घुम्छ"  # the engine never ends
ASLEEP = "सुत्छ"  # the engine sleeps without using the processor
SLOW = "ढिलो"  # the engine uses SLOW_SECONDS of processor time first
SLOW_SECONDS = 0.3
CRASH = "मर्छ"  # the process crashes
PRINTS = "छाप्छ"  # a library writes to standard output
GREEDY = "लोभी"  # the engine exceeds the memory limit
RAISES = "गलत"  # the engine raises an exception


def _plant() -> None:
    from telephony.speech import espeak, normalization

    spoken_form = normalization.spoken_form
    synthesize = espeak.Espeak.synthesize

    def planted_form(text: str, *, language: str) -> str:
        if ENDLESS_RULE in text:
            # Loops in C, like the regular expression engine, so Python runs no signal handlers.
            sum(itertools.repeat(0))
        return spoken_form(text, language=language)

    def planted_synthesize(self: Any, text: str, **how: Any) -> Any:
        if ENDLESS_ENGINE in text:
            while True:
                pass
        if ASLEEP in text:
            time.sleep(3600)
        if SLOW in text:
            end = time.process_time() + SLOW_SECONDS
            while time.process_time() < end:
                pass
        if CRASH in text:
            ctypes.string_at(0)
        if PRINTS in text:
            os.write(1, b"\0" * 100 + b"printed by a library\n")
            print("printed by Python", flush=True)
            assert not os.read(0, 1)
        if GREEDY in text:
            # Uses address space but no memory: no page is touched.
            kept = [bytes(64 << 20) for _ in range(1000)]
            assert kept
        if RAISES in text:
            raise ZeroDivisionError
        return synthesize(self, text, **how)

    normalization.spoken_form = planted_form
    espeak.Espeak.synthesize = planted_synthesize  # type: ignore[method-assign]


if __name__ == "__main__":
    set_up = speech_worker._set_up_django

    def set_up_and_plant() -> None:
        set_up()
        _plant()

    speech_worker._set_up_django = set_up_and_plant
    speech_worker.main()
