"""Add the hint that a key opts the recipient out to the end of calls (`Account.opt_out_key`).

The hint is part of the call and of its price, but not of the message: a call that ends during the hint is completed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from campaigns.models import Run
from telephony import speech
from telephony.call_scripts import HINT, OPT_OUT, AnsweredBy, Script, ScriptStep
from telephony.models import Audio
from telephony.speech.concatenation import join, silence

# Spoken at the end of a call, by the language of its voice.
HINTS = {
    "ne": "हाम्रा सन्देश पाउन नचाहनुभए ९ थिच्नुहोस्।",
    "en": "To receive no more messages from us, press 9.",
}
PRESS_SECONDS = 3.0  # after the hint, to press the key


class Hint(NamedTuple):
    """The text of the hint, and its recordings: the spoken hint, and the time to press the key."""

    text: str
    parts: tuple[Audio, ...]

    @property
    def seconds(self) -> float:
        return sum(part.seconds for part in self.parts)

    @property
    def step(self) -> ScriptStep:
        return ScriptStep(HINT, self.seconds, AnsweredBy.KEYS, listen_seconds=self.parts[-1].seconds)


def hint_in(voice: str, speed: float) -> Hint:
    """Return the hint as this voice speaks it. Raises the errors of `speech.speak`."""
    known = speech.catalogue().get(voice)
    text = HINTS.get(known.language if known else "", HINTS["ne"])
    return Hint(text, (speech.speak(text=text, voice=voice, speed=speed), silence(PRESS_SECONDS)))


def with_hint(run: Run, messages: Sequence[Audio | None]) -> tuple[Hint, list[tuple[Audio | None, Script]]]:
    """Return the hint, and each message with the hint at its end and the script of the call. None stays None."""
    hint = hint_in(run.voice, float(run.speed))
    joined = join([() if audio is None else (audio, *hint.parts) for audio in messages])
    scripts: list[Script] = [
        () if audio is None else (ScriptStep(OPT_OUT, audio.seconds, AnsweredBy.KEYS), hint.step)
        for audio in messages
    ]
    return hint, list(zip(joined, scripts, strict=True))
