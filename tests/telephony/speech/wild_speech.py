"""A speech process for tests, with a rule and an engine that go wrong when a text says so.

Settings name it (`settings.SPEECH_WORKER`), those of `tests.wild_settings` for whole systems. What it marks with words
must be nothing that a test says otherwise.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import time
from typing import Any

from telephony import speech_worker

ENDLESS_RULE = "अनन्त"  # in the middle of putting a text into words, holding the interpreter
ENDLESS_ENGINE = "घुम्छ"  # in the engine
ASLEEP = "सुत्छ"  # without using the processor
SLOW = "ढिलो"  # for a part of a second of the processor, and then as always
SLOW_SECONDS = 0.3
CRASH = "मर्छ"
PRINTS = "छाप्छ"
GREEDY = "लोभी"
WRONG = "गलत"


def _plant() -> None:
    from telephony.speech import espeak, normalization

    spoken_form = normalization.spoken_form
    synthesize = espeak.Espeak.synthesize

    def planted_form(text: str, *, language: str) -> str:
        if ENDLESS_RULE in text:
            sum(
                itertools.repeat(0)
            )  # in C, as the engine of regular expressions: no signal handler of Python's runs
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
            kept = [
                bytes(64 << 20) for _ in range(1000)
            ]  # of addresses, and not of memory: no page is touched
            assert kept
        if WRONG in text:
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
