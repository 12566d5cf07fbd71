"""What the recipient of a call in the sandbox presses and says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from telephony import speech
from telephony.call_scripts import (
    ANNOUNCEMENT,
    HEARD,
    HINT,
    OPT_OUT,
    OPT_OUT_KEY,
    AnsweredBy,
    Script,
    ScriptStep,
    SurveyResponse,
    finished_steps,
    offers_opt_out,
)

SPOKEN_RESPONSE = "यो परीक्षणको उत्तर हो।"  # "This is a test answer"


def spoken_response() -> str:
    """Return the name of the recording of SPOKEN_RESPONSE."""
    return speech.speak(text=SPOKEN_RESPONSE).name


def responses(
    *, to: str, keys: str, opts_out: bool, script: Script, seconds: float, spoken: Callable[[], str]
) -> dict[str, Any]:
    """Return the `answers` and `digits` of a call that has lasted so many seconds: those to all steps that are over.

    `keys` are what somebody has pressed (`telephony.sandbox_phone`). If nobody has, the digits of the recipient's number
    `to` answer: the last one the first question, the last but one the second. `spoken` returns the name of the recording
    with which every question for speech is answered.
    """
    finished = finished_steps(script, seconds)
    asked = [one for one in finished if one.step > ANNOUNCEMENT or one.step == HEARD]
    given = [SurveyResponse(one.step, spoken()) for one in asked if one.answer is AnsweredBy.SPEECH]
    if keys:
        given += _pressed(keys, [one for one in asked if one.answer is AnsweredBy.KEYS], script)
        pressed = keys
    else:
        digits = [digit for digit in reversed(to) if digit.isdecimal()]
        answers = [
            SurveyResponse(one.step, digits[place % len(digits)])
            for place, one in enumerate(asked)
            if one.answer is AnsweredBy.KEYS
        ]
        given += answers
        pressed = "".join(answer.text for answer in answers)
        if opts_out and any(one.step == HINT for one in finished):
            pressed += OPT_OUT_KEY
            given.append(SurveyResponse(HINT, OPT_OUT_KEY))
    return {"answers": tuple(given), "digits": pressed}


def _pressed(keys: str, for_keys: list[ScriptStep], script: Script) -> list[SurveyResponse]:
    """Return the responses of somebody who presses one key for each question. The last question gets all other keys.

    If the call lets people opt out, the keys after the questions are for that.
    """
    texts = {one.step: key for one, key in zip(for_keys, keys, strict=False)}
    rest = keys[len(for_keys) :]
    if rest and offers_opt_out(script):
        texts[OPT_OUT] = rest
    elif rest and for_keys:
        texts[for_keys[-1].step] += rest
    return [SurveyResponse(step, text) for step, text in texts.items()]
