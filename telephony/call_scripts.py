"""Scripts of calls: when each part of the recording begins and ends, and which kind of response it expects.

Survey calls have scripts, and calls in which the recipient can opt out by pressing OPT_OUT_KEY.

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

# Parts of a recording that are not steps of a survey. The message is what stands between the announcement and the hint. Only
# the message counts as heard (`heard_percent`). OPT_OUT stands for all of a call in which the key always opts out. HEARD
# stands for the message of an alert, and the time after it to press the key that says that it was heard.
ANNOUNCEMENT, OPT_OUT, HINT, HEARD = 0, -1, -2, -3
OPT_OUT_KEY = "9"


class AnsweredBy(StrEnum):
    KEYS = "keys"
    SPEECH = "speech"
    NOTHING = "none"


@dataclass(frozen=True, slots=True)
class ScriptStep:
    """One part of a call, such as a step of a survey.

    `step` is the id that the requesting app gave the step, or one of ANNOUNCEMENT, OPT_OUT, HINT and HEARD. `seconds` is its
    duration in the recording, including the time for the response. `answer` is the kind of response. `listen_seconds` is the
    time for the response, at the end of the step.
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
    recipient may still press the key during a following announcement. Keys before the first such step answer OPT_OUT if the
    call offers to opt out; otherwise they are ignored.
    """
    texts: dict[int, str] = {}
    order = [one.step for one in script]
    starts = [0.0, *step_ends(script)]
    for seconds, key in pressed:
        asked = [
            one.step
            for one, start in zip(script, starts, strict=False)
            if start <= seconds and one.answer is AnsweredBy.KEYS
        ]
        if not asked and offers_opt_out(script):
            asked = [OPT_OUT]
        if asked:
            texts[asked[-1]] = texts.get(asked[-1], "") + key
    return tuple(
        SurveyResponse(step, texts[step]) for step in dict.fromkeys((OPT_OUT, *order)) if step in texts
    )


def offers_opt_out(script: Script) -> bool:
    """Return whether the call ends with the hint that a key opts out."""
    return bool(script) and script[-1].step == HINT


def opts_out(response: SurveyResponse) -> bool:
    """Return whether this response of a recipient is the wish to opt out."""
    return response.step in (OPT_OUT, HINT) and OPT_OUT_KEY in response.text


def heard_percent(script: Script, playback: int) -> int:
    """Return how much of the message was heard, given how much of the whole recording was played. Both are percentages.

    Carriers report whole percentages. So the message counts as heard to its end if less than one percent of the recording is
    missing.
    """
    if not script or playback >= 100:
        return playback
    whole = sum(one.seconds for one in script)
    before = script[0].seconds if script[0].step == ANNOUNCEMENT else 0.0
    message = whole - before - (script[-1].seconds if script[-1].step == HINT else 0.0)
    if message <= 0:
        return playback
    played = whole * playback / 100
    if offers_opt_out(script) and played + whole / 100 > before + message:
        return 100
    return min(100, round(100 * max(0.0, played - before) / message))


def finished_steps(script: Script, seconds: float) -> Sequence[ScriptStep]:
    """Return the steps that are over when the call has lasted that many seconds."""
    # Tolerates rounding errors, so that a call that was played to its end has finished its last step.
    return [one for one, end in zip(script, step_ends(script), strict=True) if end <= seconds + 0.001]
