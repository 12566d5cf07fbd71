"""Compute an upper bound for the length of a call with tags, without reading the recipients.

The constant text is spoken and measured. Each tag adds the bound of its values (`tag_sizes`), which holds for every
reading of a value next to any other text (`telephony.speech.spoken_length`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from django.conf import settings

from campaigns.messages import MessageTemplate, TagPart, TextPart
from telephony import speech
from telephony.segments import TextSize
from telephony.speech.engine import MAX_CHARACTERS, too_many_characters
from telephony.speech.spoken_length import JOIN_SECONDS, SPELLED_FACTOR, spoken_seconds
from telephony.speech.spoken_parts import HEAD_SILENCE, TAIL_SILENCE

# After a value that ends with one of these, iris reads digits one by one.
_CODE_WORDS = " कोड code "


class Bounds(NamedTuple):
    """Seconds of a message or step: `least` without the values of its tags, and `most` with them."""

    least: float
    most: float


@dataclass(frozen=True, slots=True)
class Speaking:
    """How a run speaks. `spoken` has the most seconds that a value of each tag takes, `written` its most characters."""

    voice: str
    speed: float
    is_joined: bool
    written: Mapping[str, TextSize]
    spoken: Mapping[str, float]

    def bounds(self, message: MessageTemplate) -> Bounds:
        """Return the bounds for the length of the message. They are exact without tags.

        Raises Unspeakable if the constant text cannot be spoken or a text may become too long, and the other errors of
        `speech.speak`.
        """
        if not message.tags:
            seconds = speech.speak(text=message.render({}), voice=self.voice, speed=self.speed).seconds
            return Bounds(seconds, seconds)
        if (characters := message.size(self.written).units) > MAX_CHARACTERS:
            raise too_many_characters(characters)
        constant, varying = self._joined(message) if self.is_joined else self._whole(message)
        others = sum(self._other_characters(part) for part in message.parts if isinstance(part, TagPart))
        most = constant + speech.pace(self.voice, self.speed).seconds(varying, characters=others)
        # No recording is longer than the setting (`telephony.speech.synthesis`, `speech.speak_filled`).
        return Bounds(constant, max(constant, min(most, settings.IRIS_MAX_AUDIO_SECONDS)))

    def _other_characters(self, part: TagPart) -> int:
        """Return how many characters outside ASCII a value can have, at most."""
        sizes = [self.written[key] for key in part.keys if key in self.written]
        return max((0 if size.gsm else size.units for size in sizes), default=0)

    def _joined(self, message: MessageTemplate) -> tuple[float, float]:
        """Return the seconds of the constant parts, and those of the parts with tags at the reference pace."""
        seconds, parts = speech.speak_constants(message.pattern, voice=self.voice, speed=self.speed)
        values = self._values(message)
        varying = sum(values)
        for part in parts:
            seconds += (part.before + part.after) / min(self.speed, 1.0)
            varying += spoken_seconds(part.text([""] * len(values)))
        return seconds, varying

    def _whole(self, message: MessageTemplate) -> tuple[float, float]:
        """Return the same seconds as `_joined`, for a message that is spoken as one text.

        The constant text is spoken without the values.
        """
        texts = [_filled(message, "")]
        if any(character.isdecimal() for character in texts[0]):
            texts.append(_filled(message, _CODE_WORDS))
        values = self._values(message)
        return max(map(self._seconds, texts)), sum(values) + JOIN_SECONDS * len(values)

    def _seconds(self, text: str) -> float:
        try:
            return speech.speak(text=text, voice=self.voice, speed=self.speed).seconds
        except speech.Unspeakable as error:
            if error.code != speech.Unspeakable.default_code:
                raise
            return HEAD_SILENCE + TAIL_SILENCE  # only the values have words

    def _values(self, message: MessageTemplate) -> list[float]:
        """Return the bound of each placeholder, in order."""
        bounds = []
        for position, part in enumerate(message.parts):
            if isinstance(part, TagPart):
                bound = max(self.spoken.get(key, 0.0) for key in part.keys)
                bounds.append(bound * SPELLED_FACTOR if _touches_latin(message, position) else bound)
        return bounds


def _filled(message: MessageTemplate, value: str) -> str:
    return "".join(part.text if isinstance(part, TextPart) else value for part in message.parts)


def _touches_latin(message: MessageTemplate, position: int) -> bool:
    """Return whether a placeholder is next to a Latin letter.

    Then the whole word may be spelled, although the value alone is not.
    """
    before, after = message.parts[:position][-1:], message.parts[position + 1 :][:1]
    touching = [part.text[-1] for part in before if isinstance(part, TextPart)]
    touching += [part.text[0] for part in after if isinstance(part, TextPart)]
    return any(character.isascii() and character.isalpha() for character in touching)
