"""Measure how long espeak takes to say each character, for the constants of `telephony.speech.spoken_length`.

    python -m benchmarks.spoken_length

For each character that has a weight it prints the weight, and the most seconds that the character took: between words,
repeated, apart, after words, and inside of them. ASCII characters are also read by the English voice.
"""

from __future__ import annotations

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iris.settings")
if __name__ == "__main__":
    django.setup()

from telephony.speech import normalization, synthesis
from telephony.speech.engine import Unspeakable, VoiceConfig, no_heartbeat
from telephony.speech.spoken_length import WEIGHT_OF

OPTIONS = {"variant": "f2", "pitch": 50, "speed": 150}  # of the reference voice, np_rija
TIMES = 6
AROUND = {"ne": ("राम", "नमस्कार"), "en": ("Ram", "Dear")}


def main() -> None:
    for character, weight in sorted(WEIGHT_OF.items(), key=lambda item: (item[1], item[0])):
        taken = max(_seconds(character, language) for language in _languages(character))
        print(f"{character!r:10} {weight:.2f} {taken:.2f}{'' if taken <= weight else '  longer'}")


def _languages(character: str) -> list[str]:
    return ["ne", "en"] if character.isascii() else ["ne"]


def _seconds(character: str, language: str) -> float:
    before, after = AROUND[language]
    apart = f"{before} {(character + ' ') * TIMES}{after}"
    repeated = f"{before} {character * TIMES} {after}"
    attached = f"{(before + character + ' ') * TIMES}{after}"
    plain = _say(f"{before} {after}", language)
    return max(
        _say(f"{before} {character} {after}", language) - plain,
        _say(f"{before}{character}{after}", language) - _say(before + after, language),
        (_say(apart, language) - plain) / TIMES,
        (_say(repeated, language) - plain) / TIMES,
        (_say(attached, language) - _say(f"{(before + ' ') * TIMES}{after}", language)) / TIMES,
    )


def _say(text: str, language: str) -> float:
    config = VoiceConfig("np_rija", "espeak", language, OPTIONS, 1.0)
    try:
        said = normalization.spoken_form(text, language=language)
        return synthesis.synthesize(config, said, before=0.0, after=0.0, heartbeat=no_heartbeat).seconds
    except Unspeakable:
        return 0.0


if __name__ == "__main__":
    main()
