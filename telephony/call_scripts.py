"""Scripts of survey calls: when each step begins and ends in the recording, and which kind of response it expects.

A carrier that ignores scripts plays the recording and gets no responses. A carrier that detects keys reports each key
with its time in the recording (`responses_to_keys`). A carrier that records speech stores it and returns the name of
the recording as the response.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

# The step of an announcement before the first step of a survey. It does not count as heard message (`playback`).
ANNOUNCEMENT = 0


class AnsweredBy(StrEnum):
    KEYS = "keys"
    SPEECH = "speech"
    NOTHING = "none"


@dataclass(frozen=True, slots=True)
class ScriptStep:
    """One step of a survey call.

    `step` is the id that the requesting app gave the step. `seconds` is its duration in the recording, including the time
    for the response. `answer` is the kind of response. `listen_seconds` is the time for the response, at the end of the
    step.
    """

    step: int
    seconds: float
    answer: AnsweredBy
    listen_seconds: float = 0.0


class SurveyResponse(NamedTuple):
    """A response to one step. `text` is the pressed keys, or the name of the recording of a spoken response."""

    step: int
    text: str


Script = tuple[ScriptStep, ...]


def dump(script: Script) -> str | None:
    """Return the script as JSON, or None for a call without one."""
    if not script:
        return None
    steps = [
        {"step": one.step, "seconds": one.seconds, "answer": one.answer, "listens": one.listen_seconds}
        for one in script
    ]
    return json.dumps(steps, separators=(",", ":"))


def load(stored: str | None) -> Script:
    """Return the script that `dump` serialized."""
    if stored is None:
        return ()
    steps = json.loads(stored)
    return tuple(
        ScriptStep(one["step"], one["seconds"], AnsweredBy(one["answer"]), one.get("listens", 0.0))
        for one in steps
    )


def step_ends(script: Script) -> list[float]:
    """Return when each step ends, in seconds of the recording."""
    ends_at: list[float] = []
    for one in script:
        ends_at.append((ends_at[-1] if ends_at else 0.0) + one.seconds)
    return ends_at


def speech_windows(script: Script) -> list[tuple[int, float, float]]:
    """Return (step, start, end) of the time for each spoken response, in seconds of the recording."""
    return [
        (one.step, end - one.listen_seconds, end)
        for one, end in zip(script, step_ends(script), strict=True)
        if one.answer is AnsweredBy.SPEECH and one.listen_seconds > 0
    ]


def responses_to_keys(script: Script, pressed: Iterable[tuple[float, str]]) -> tuple[SurveyResponse, ...]:
    """Assign pressed keys to the steps they answer. Each item of `pressed` is (seconds of the recording, key).

    Among the steps that expect keys, a key answers the step that began last before the key was pressed. So a hesitant
    recipient may still press the key during a following announcement. Keys before the first such step are ignored.
    """
    texts: dict[int, str] = {}
    starts = [0.0, *step_ends(script)]
    for seconds, key in pressed:
        asked = [
            one.step
            for one, start in zip(script, starts, strict=False)
            if start <= seconds and one.answer is AnsweredBy.KEYS
        ]
        if asked:
            texts[asked[-1]] = texts.get(asked[-1], "") + key
    return tuple(SurveyResponse(one.step, texts[one.step]) for one in script if one.step in texts)


def finished_steps(script: Script, seconds: float) -> Sequence[ScriptStep]:
    """Return the steps that are over when the call has lasted that many seconds."""
    # Tolerates rounding errors, so that a call that was played to its end has finished its last step.
    return [one for one, end in zip(script, step_ends(script), strict=True) if end <= seconds + 0.001]
