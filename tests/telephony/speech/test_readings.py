"""Score what is spoken against readings.jsonl: 608 messages and the words a Nepali newsreader would say.

The readings were written by somebody who had not seen the code. Each is a pattern: "{a|b} c" stands for "a c" and
"b c". A reading is right, or acceptable (understood, but not idiomatic), or wrong: the listener hears another
number, no meaning, or a word that is not there.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from telephony.speech.engine import Unspeakable
from telephony.speech.normalization import spoken_form

READINGS = [
    json.loads(line)
    for line in Path(__file__).with_name("readings.jsonl").read_text(encoding="utf-8").splitlines()
]
MIN_RIGHT = 0.85
MAX_WRONG = 0.03

_SAME_SOUND = str.maketrans({"ी": "ि", "ू": "ु", "श": "स", "ष": "स", "ँ": "ं"})
_INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")
_I_AFTER_VOWEL = re.compile("(?<=[\u0905-\u0914\u093e-\u094c])ई")
_DOUBLED = re.compile("([\u0915-\u0939])\u094d\\1")
# Spaces between Latin letters count: "OPD", read as a word, is not the spelled "O P D".
_MEANINGLESS_SPACE = re.compile(r"(?<![a-z]) | (?![a-z])")


def folded(text: str) -> str:
    """Return the text without differences of spelling, punctuation, case and spacing."""
    text = _INVISIBLE.sub("", unicodedata.normalize("NFC", text).lower()).translate(_SAME_SOUND)
    text = _DOUBLED.sub(r"\1", _I_AFTER_VOWEL.sub("इ", text).replace("छः", "छ"))
    text = "".join(one if unicodedata.category(one)[0] in "LMN" else " " for one in text)
    return _MEANINGLESS_SPACE.sub("", " ".join(text.split()))


def expanded(pattern: str) -> set[str]:
    """Return all readings of a pattern, folded."""
    readings, rest = _alternatives(re.findall(r"[{|}]|[^{|}]+", pattern))
    assert not rest
    return {folded(reading) for reading in readings}


def _alternatives(tokens: list[str]) -> tuple[list[str], list[str]]:
    """Return the readings of "a|b}…", and the tokens from the brace on."""
    found, sequence = [], [""]
    while tokens and tokens[0] != "}":
        token, *tokens = tokens
        if token == "|":
            found, sequence = found + sequence, [""]
            continue
        options = [token]
        if token == "{":
            options, tokens = _alternatives(tokens)
            tokens = tokens[1:]
        sequence = [before + option for before in sequence for option in options]
    return found + sequence, tokens


def verdict(reading: dict[str, str]) -> str:
    try:
        said = folded(spoken_form(reading["text"], language=reading["language"]))
    except Unspeakable:
        return "wrong"
    if said in expanded(reading["right"]):
        return "right"
    return "acceptable" if said in expanded(reading["acceptable"]) else "wrong"


def test_messages_have_the_expected_readings(capsys: pytest.CaptureFixture[str]) -> None:
    scores: defaultdict[str, Counter[str]] = defaultdict(Counter)
    wrong = []
    for reading in READINGS:
        one = verdict(reading)
        scores[reading["class"]][one] += 1
        scores["all"][one] += 1
        if one == "wrong":
            wrong.append(reading["id"])
    total = scores["all"]
    with capsys.disabled():
        print(f"\n{'class':14}{'n':>5}{'right':>8}{'acceptable':>12}{'wrong':>7}")
        for name, score in sorted(scores.items(), key=lambda item: item[0] == "all"):
            print(f"{name:14}{score.total():5}{score['right']:8}{score['acceptable']:12}{score['wrong']:7}")
        print("wrong:", ", ".join(wrong) or "none")

    assert total.total() == 608
    assert total["right"] >= MIN_RIGHT * total.total()
    assert total["wrong"] <= MAX_WRONG * total.total()


@pytest.mark.parametrize(
    ("one", "other"),
    [("पच्चीस, जना", "पच्चिसजना"), ("छः बजे।", "छ बजे"), ("O P D", "o p d"), ("नम\u00adस्ते", "नमस्ते")],
)
def test_spelling_and_punctuation_do_not_make_a_reading_wrong(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@pytest.mark.parametrize(
    ("one", "other"), [("OPD", "O P D"), ("एक दुई", "एक देखि दुई"), ("पाँच", "पचास"), ("A B", "A C")]
)
def test_a_reading_with_other_words_is_wrong(one: str, other: str) -> None:
    assert folded(one) != folded(other)


def test_patterns_stand_for_all_their_readings() -> None:
    assert expanded("{क|{ख|ग} घ|} ङ") == {"कङ", "खघङ", "गघङ", "ङ"}
