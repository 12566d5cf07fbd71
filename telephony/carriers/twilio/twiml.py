"""Write the TwiML of a call, which plays parts of the recording and gathers keys.

Twilio stops the playback when a key is pressed, sends the keys, and asks how to continue. The playback then continues where
it was, so that a stray key cuts nothing off. All state of a call is in the addresses that Twilio requests, which its
signature covers.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from telephony.call_scripts import (
    AnsweredBy,
    Script,
    SurveyResponse,
    offers_opt_out,
    responses_to_keys,
    step_ends,
)

# How long Twilio waits for another key, in seconds. The recording has its own pauses for answers.
GATHER_SECONDS = 1
MAX_KEYS = 64  # of one call, as many as a delivery stores
MIN_PART_SECONDS = 0.1
HANG_UP = '<?xml version="1.0" encoding="UTF-8"?><Response><Hangup/></Response>'
EMPTY = '<?xml version="1.0" encoding="UTF-8"?><Response/>'

_PRESSED = re.compile(r"(\d{1,4})-([0-9sh]+)")
_ENCODED, _DECODED = str.maketrans("*#", "sh"), str.maketrans("sh", "*#")


@dataclass(frozen=True, slots=True)
class Position:
    """How far a call is: the part of the recording that a <Gather> plays, and the keys that were pressed before.

    `part` is the index of the part. `from_ms` is the position in the recording from which this TwiML plays, and `at_ms` the
    Unix time at which the TwiML was written, both in milliseconds. `pressed` are the keys, with the indexes of their parts.
    """

    part: int
    from_ms: int
    at_ms: int
    pressed: tuple[tuple[int, str], ...] = ()

    def as_query(self) -> dict[str, str]:
        pressed = ".".join(f"{part}-{keys.translate(_ENCODED)}" for part, keys in self.pressed)
        return {"n": str(self.part), "f": str(self.from_ms), "t": str(self.at_ms), "p": pressed}

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Position:
        """Read the position from an address that `as_query` wrote. Raises ValueError."""
        numbers = [query.get(name, "") for name in "nft"]
        if not all(one.isascii() and one.isdigit() and len(one) < 16 for one in numbers):
            raise ValueError("The address has no position.")
        part, from_ms, at_ms = map(int, numbers)
        pressed = tuple(
            (int(index), keys.translate(_DECODED)) for index, keys in _PRESSED.findall(query.get("p", ""))
        )
        return cls(part, from_ms, at_ms, pressed)

    def press(self, keys: str) -> tuple[tuple[int, str], ...]:
        """Return all pressed keys, including these new ones."""
        room = MAX_KEYS - sum(len(earlier) for _, earlier in self.pressed)
        known = "".join(key for key in keys if key in "0123456789*#")[: max(0, room)]
        return (*self.pressed, (self.part, known)) if known else self.pressed


def parts_of(script: Script, seconds: float) -> list[tuple[float, float]]:
    """Return the start and the end of each part of the recording: the steps of a script, or the whole recording."""
    if not script:
        return [(0.0, seconds)]
    ends = step_ends(script)
    return list(zip([0.0, *ends], ends, strict=False))


def play(
    parts: Sequence[tuple[float, float]],
    script: Script,
    *,
    begin: float,
    pressed: tuple[tuple[int, str], ...] = (),
    audio: Callable[[float, float], str],
    keys: Callable[[Position], str],
) -> str:
    """Return TwiML that plays the recording from `begin` seconds on. `audio` and `keys` return addresses."""
    asked = [place for place, step in enumerate(script) if step.answer is AnsweredBy.KEYS]
    asks_from = 0 if offers_opt_out(script) else min(asked, default=len(script))
    now_ms = int(time.time() * 1000)
    verbs: list[str] = []
    for place, (start, end) in enumerate(parts):
        first = max(start, begin)
        if end - first < MIN_PART_SECONDS:
            continue
        verb = f"<Play>{escape(audio(first, end))}</Play>"
        # Every part from the first question on gathers keys, because a recipient who hesitates may press the key only during
        # the next announcement. If the call offers to opt out, all parts do.
        if not script or place >= asks_from:
            action = keys(Position(place, int(begin * 1000), now_ms, pressed))
            verb = (
                f'<Gather input="dtmf" timeout="{GATHER_SECONDS}" finishOnKey="" method="POST"'
                f" action={quoteattr(action)}>{verb}</Gather>"
            )
        verbs.append(verb)
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{"".join(verbs)}<Hangup/></Response>'


def resumes_at(position: Position, parts: Sequence[tuple[float, float]]) -> float:
    """Return the position in the recording, in seconds, at which a key interrupted the playback.

    It is computed from the time that has passed, and is within the part in which the key was pressed. The delay of the
    network makes it a little late.
    """
    played = time.time() - position.at_ms / 1000 - GATHER_SECONDS
    start, end = parts[min(position.part, len(parts) - 1)]
    return min(max(position.from_ms / 1000 + played, start, position.from_ms / 1000), end)


def answers(
    script: Script, parts: Sequence[tuple[float, float]], pressed: Sequence[tuple[int, str]]
) -> tuple[SurveyResponse, ...]:
    """Return the responses to the survey so far."""
    starts = [start for start, _ in parts]
    return responses_to_keys(
        script, [(starts[part], key) for part, keys in pressed if part < len(starts) for key in keys]
    )
