"""Compute an upper bound for the seconds that speaking a text takes, from its characters alone.

A value of a tag is read differently in different places: 1234 is an amount, a year, or a code that is said digit by digit
with pauses. So each character counts with its longest reading, and the bound holds next to any other text. Bounds add
up: the bound of two texts together is at most the sum of their bounds. The time is linear, and no rule of
normalization runs: an import measures millions of values.

All constants are seconds of espeak at 150 words per minute, the pace of np_rija. For another voice or speed, multiply
them with its pace (`text_to_speech.pace`). `python -m benchmarks.spoken_length` measures the characters again, and
tests/telephony/speech/test_spoken_length.py tries texts that are made to exceed the bound.
"""

from __future__ import annotations

import codecs
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from telephony.speech.nepali_tables import ACRONYMS
from telephony.speech.nfc import to_nfc, without_compatibility_forms

# Texts whose length shows how slowly a voice speaks, with their seconds at the reference pace: words of both scripts,
# an amount, and digits that are said one by one.
SAMPLES = {
    "नमस्कार, तपाईंको खातामा भोलि बिहान कार्यालय समयमा रकम जम्मा गर्नुहोला। धन्यवाद।": 7.52,
    "७७,७७,७७७": 4.13,
    "कोड ७७७७७७": 4.32,
    "Hello, the meeting of your office is tomorrow in the morning. Thank you.": 4.97,
    "code 777777": 4.32,
}
# Safety factors on the measured pace of a voice, by engine. Neural voices do not speak at an even pace.
_MARGINS = {"espeak": 1.02}
_OTHER_MARGIN = 1.5

JOIN_SECONDS = 0.1  # of each tag in a whole sentence
START_SECONDS = 0.35  # of each text: words at its borders may become longer

# A Latin letter in a word that is read as a word, in one that is spelled, and alone.
_PLAIN, _SPELLED, _ALONE = 0.13, 0.5, 0.8
# A vowel sign that follows no consonant is called by its name.
_STRAY_SIGN = 0.7
_EXOTIC = 3.0  # any character without a weight of its own: espeak may say its name, or its number
# Added for each character that is not ASCII, where the voice speaks another language than Nepali.
_OTHER_SCRIPT = 1.3
_WEIGHTS = {
    0.05: "\t\v\f\r ^_",
    0.12: "\u0902इ\u093c\u093e\u093f\u0940\u0941\u0943\u0946\u094a\u094c\u094d\u0951\u0952\u0953\u0954",
    0.14: "\u0901\u0903अउऊऍऑऽ\u0942\u0945\u0947\u0948\u0949\u094b",
    0.18: "आईऋऎऒणऱलड़ॾन",
    0.22: "ऄएऐओऔगङटडदयळवहय़ॲऌकघचढथधपबभऴसक़ग़ज़ॿ",
    0.26: ")]}खछझमशॐढ़ॠ'जञठऩफरष\u0944ख़फ़ॻॼ",
    0.3: '"(<>[`{&त\n',
    0.4: "#ॡ$@/",
    0.46: ",~+",
    0.54: "-:;",
    0.62: "*॰।॥.?\\",
    0.78: "%|\u0962\u0963=",
    0.82: "1234568912345689१२३४५६८९",
    0.9: "07०७ॱॽ",
    1.14: "!",
    2.8: "\u0900\u093a\u093b\u094e\u094f\u0955\u0956\u0957ॳॴॵॶॷॸॹॺ",
}

_FIRST, _LAST = 0x900, 0x97F
_KNOWN = "".join(map(chr, [*range(0x80), *range(_FIRST, _LAST + 1)]))  # 256 characters, so each has a byte
_BYTES = codecs.charmap_build(_KNOWN)


WEIGHT_OF = {character: weight for weight, characters in _WEIGHTS.items() for character in characters}


def _weight(character: str) -> float:
    if character.isascii() and character.isalpha():
        return _PLAIN
    return WEIGHT_OF.get(character, 0.05 if character.isascii() else 0.3)  # control characters are not spoken


_KNOWN_SET = frozenset(_KNOWN)
SPELLED_FACTOR = _ALONE / _PLAIN
_STEPS = 50  # a weight is stored as a number of fiftieths of a second
_WEIGHT_BYTES = bytes(math.ceil(round(_STEPS * _weight(character), 6)) for character in _KNOWN)
_NOT_LATIN = bytes(
    index for index, character in enumerate(_KNOWN) if not (character.isascii() and character.isalpha())
)

# Latin words that are not spelled: those with a vowel near their beginning, in small letters or in capitals only.
_READ_AS_WORD = (
    r"(?:(?=[A-Za-z][a-z]{2})(?:[AEIOUaeiou]|[A-Za-z][a-z]{0,2}?[aeiou])[a-z]*+"
    rf"|(?=[A-Z]{{4}})(?!(?:{'|'.join(sorted(ACRONYMS))})(?![A-Z]))[A-Z]{{0,3}}?[AEIOU][A-Z]*+)(?![A-Za-z])"
)
_SPELLED_WORD = re.compile(rf"(?<![A-Za-z])(?!{_READ_AS_WORD})[A-Za-z]++")
_RUPEES = re.compile("र[\u0941\u0942](?![\u0900-\u0963])")  # रु, which stands for रुपैयाँ
_RUPEES_SECONDS = 0.6
_SIGNS = "".join(
    map(chr, [*range(0x901, 0x904), 0x93C, *range(0x93E, 0x94E), *range(0x951, 0x955), 0x962, 0x963])
)
_END = b"\xff"
_STRAY = re.compile(
    "(?<![\u0915-\u0939\u0958-\u095f\u0979-\u097f\u093c])"
    "(?:[\u093c\u093e-\u094d\u0951-\u0954\u0962\u0963]|(?<![\u0904-\u0914\u093e-\u094c\u0972])[\u0901-\u0903])"
)
_RUN = re.compile(r"([.…।|,;!?_\s])\1{2,}")  # the third sign of a run is never said


def spoken_seconds(text: str) -> float:
    """Return the maximum seconds that speaking a text takes, at the reference pace."""
    text = _RUN.sub(r"\1\1", text)
    try:
        known: bytes = codecs.charmap_encode(text, "strict", _BYTES)[0]
    except UnicodeEncodeError:
        plain = to_nfc(without_compatibility_forms(text))
        exotic = sum(map(_exotic_seconds, plain))
        known = codecs.charmap_encode(plain, "ignore", _BYTES)[0]
    else:
        exotic = 0.0
    seconds = START_SECONDS + exotic + sum(known.translate(_WEIGHT_BYTES)) / _STEPS
    if known.translate(None, _NOT_LATIN):
        for word in _SPELLED_WORD.findall(text):
            seconds += (_SPELLED - _PLAIN) * len(word) if len(word) > 1 else _ALONE - _PLAIN
    return seconds + _STRAY_SIGN * len(_STRAY.findall(text)) + _RUPEES_SECONDS * len(_RUPEES.findall(text))


def longest_of(texts: Iterable[str], *, known: float = 0.0) -> float:
    """Return the largest `spoken_seconds` of all texts, at least `known`.

    A sum of weights for each text, which is never too small, shows which few texts must be examined.
    """
    texts = list(texts)
    longest = known
    sums = list(_sums(texts))
    # After the first batches of an import, usually no text is longer than the known maximum.
    enough = _STEPS * (known - START_SECONDS)
    if not sums or max(sums) <= enough:
        return known
    exceeding = [(total, text) for total, text in zip(sums, texts, strict=True) if total > enough]
    for total, text in sorted(exceeding, reverse=True):
        if START_SECONDS + total / _STEPS <= longest:
            break
        longest = max(longest, math.ceil(1000 * spoken_seconds(text)) / 1000)
    return longest


def longest_of_length(characters: int) -> float:
    """Return the maximum seconds that speaking any text of at most this many characters takes."""
    return START_SECONDS + _EXOTIC * characters if characters else 0.0


class Pace(NamedTuple):
    """How a voice speaks at a speed: its seconds for each second of the reference.

    `other_script` is added for each character that is not ASCII, if its language is not Nepali.
    """

    factor: float
    other_script: float

    def seconds(self, reference: float, *, characters: int) -> float:
        """Return the maximum seconds of a text, given its seconds at the reference pace and its characters outside ASCII."""
        return self.factor * reference + self.other_script * characters


def samples_of(language: str) -> list[str]:
    """Return the texts that show the pace of a voice of this language."""
    return [text for text in SAMPLES if language == "ne" or text.isascii()]


def pace_of(seconds: Mapping[str, float], *, engine: str, language: str) -> Pace:
    """Return the pace of a voice, given its seconds for `samples_of` its language."""
    slowest = max((spoken / SAMPLES[text] for text, spoken in seconds.items()), default=1.0)
    factor = slowest * _MARGINS.get(engine, _OTHER_MARGIN)
    return Pace(factor, 0.0 if language == "ne" else factor * _OTHER_SCRIPT)


def _sums(texts: Sequence[str]) -> Iterable[int]:
    """Return the sum of weights of each text. Each character counts with its largest weight in any of these texts."""
    together = "\n".join(texts)
    try:
        encoded: bytes = codecs.charmap_encode(together, "strict", _BYTES)[0]
    except UnicodeEncodeError:
        return [math.ceil(_STEPS * spoken_seconds(text)) for text in texts]
    spelled = bool(encoded.translate(None, _NOT_LATIN)) and bool(_SPELLED_WORD.search(together))
    stray = not together.isascii() and bool(_STRAY.search(together))
    rupees = "र\u0941" in together or "र\u0942" in together
    sums = list(map(sum, encoded.translate(_most_weights(spelled, stray, rupees)).split(_END)))
    if len(sums) != len(texts):  # some texts have several lines
        return [math.ceil(_STEPS * spoken_seconds(text)) for text in texts]
    return sums


@cache
def _most_weights(spelled: bool, stray: bool, rupees: bool) -> bytes:
    """Return the weights if there are spelled words, stray vowel signs, or the word for rupees; the line break is _END."""
    weights = bytearray(_WEIGHT_BYTES)
    for index, character in enumerate(_KNOWN):
        if spelled and character.isascii() and character.isalpha():
            weights[index] = math.ceil(_STEPS * _ALONE)
        if stray and character in _SIGNS:
            weights[index] += math.ceil(_STEPS * _STRAY_SIGN)
        if rupees and character == "र":
            weights[index] += math.ceil(_STEPS * _RUPEES_SECONDS)
    weights[ord("\n")] = _END[0]
    return bytes(weights)


def _exotic_seconds(character: str) -> float:
    return 0.0 if character in _KNOWN_SET else _EXOTIC
