"""Calls that ask something: which part of the recording is which step, and whose answer a pressed key is.

A carrier that knows nothing of scripts plays the recording and gets no answers. One that reports keys says when, in
seconds of the recording, each was pressed (`answers_by_keys`). One that records what people say stores it, and gives
the name of the recording for an answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class AnsweredBy(StrEnum):
    KEYS = "keys"
    SPEECH = "speech"
    NOTHING = "none"


@dataclass(frozen=True, slots=True)
class ScriptStep:
    """One step: the id that whoever ordered the call has for it, its seconds of the recording, its time for an answer
    included, and how it is answered. `listens` are the seconds at its end that are the time for the answer.
    """

    step: int
    seconds: float
    answer: AnsweredBy
    listens: float = 0.0


class Given(NamedTuple):
    """An answer: to which step, and what it is: keys, or the name of the recording of what was said."""

    step: int
    text: str


Script = tuple[ScriptStep, ...]


def dump(script: Script) -> str | None:
    """The script as JSON; None for a call without one."""
    if not script:
        return None
    steps = [
        {"step": one.step, "seconds": one.seconds, "answer": one.answer, "listens": one.listens}
        for one in script
    ]
    return json.dumps(steps, separators=(",", ":"))


def load(stored: str | None) -> Script:
    if stored is None:
        return ()
    steps = json.loads(stored)
    return tuple(
        ScriptStep(one["step"], one["seconds"], AnsweredBy(one["answer"]), one.get("listens", 0.0))
        for one in steps
    )


def ends(script: Script) -> list[float]:
    """When each step is over, in seconds of the recording."""
    over: list[float] = []
    for one in script:
        over.append((over[-1] if over else 0.0) + one.seconds)
    return over


def spoken_in(script: Script) -> list[tuple[int, float, float]]:
    """Each step that is answered by saying something, with the time for it: from when to when, in seconds of the
    recording.
    """
    return [
        (one.step, end - one.listens, end)
        for one, end in zip(script, ends(script), strict=True)
        if one.answer is AnsweredBy.SPEECH and one.listens > 0
    ]


def answers_by_keys(script: Script, pressed: Iterable[tuple[float, str]]) -> tuple[Given, ...]:
    """Which keys answer which step, from when each was pressed, in seconds of the recording.

    A key belongs to the step that was being asked, or was the last to be asked: who thinks a little longer presses it
    while the next announcement has begun. What is pressed before anything was asked answers nothing.
    """
    texts: dict[int, str] = {}
    begins = [0.0, *ends(script)]
    for seconds, key in pressed:
        asked = [
            one.step
            for one, begin in zip(script, begins, strict=False)
            if begin <= seconds and one.answer is AnsweredBy.KEYS
        ]
        if asked:
            texts[asked[-1]] = texts.get(asked[-1], "") + key
    return tuple(Given(one.step, texts[one.step]) for one in script if one.step in texts)


def heard(script: Script, seconds: float) -> Sequence[ScriptStep]:
    """The steps that are over when the call has lasted so long."""
    # Sums of fractions: a call that was heard to its end has heard its last step, too.
    return [one for one, end in zip(script, ends(script), strict=True) if end <= seconds + 0.001]
