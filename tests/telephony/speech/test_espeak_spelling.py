"""espeak says the words of numbers, units and months without the final schwa that speakers drop."""

from __future__ import annotations

import ctypes

import pytest

from telephony.speech import espeak
from telephony.speech.espeak_spelling import respelled
from telephony.speech.nepali_tables import MEASURES
from telephony.speech.nepali_words import AD_MONTHS, BS_MONTHS, NUMBERS, UNITS

IPA = 0x02
# Their schwa is spoken: it follows a conjunct, or is the only vowel.
WITH_SCHWA = {"शून्य", "छ", "बाह्र", "तेह्र", "पन्ध्र", "सोह्र", "सत्र", "पद्म", "खर्ब", "अर्ब", "हर्ज"}
WORDS = [*NUMBERS, *(unit for _, unit in UNITS), *BS_MONTHS, *AD_MONTHS]
WORDS += [word for unit in MEASURES.values() for word in unit.split()]


def phonemes(text: str) -> str:
    with espeak._lock:
        espeak._initialize()
        library = espeak._load_library()
        assert library.espeak_SetVoiceByName(b"ne") == 0
        library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        library.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_int, ctypes.c_int]
        encoded = ctypes.create_string_buffer(text.encode())
        pointer = ctypes.c_void_p(ctypes.addressof(encoded))
        said: bytes = library.espeak_TextToPhonemes(ctypes.byref(pointer), espeak.CHARS_UTF8, IPA)
    return said.decode()


def test_respelled_words_are_spoken_without_a_final_schwa() -> None:
    kept = {word for word in WORDS if phonemes(respelled(word)).endswith("ə")}

    assert {word for word in kept if not word.endswith("न्न")} <= WITH_SCHWA
    assert "एक" not in kept


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("एक", "ˈeːk"),
        ("चार", "cˈaːɾ"),
        ("सय", "sˈʌj"),
        ("हजार", "həɟˈaːɾ"),
        ("छ", "cʰˈə"),
        ("असार", "əsˈaːɾ"),
    ],
)
def test_frequent_words_have_the_expected_phonemes(written: str, said: str) -> None:
    assert phonemes(respelled(written)) == said


def test_only_whole_words_are_respelled() -> None:
    assert respelled("एक ‖ चार, एकको चारपाङ्ग्रे छ") == "एक् ‖ चार्, एकको चारपाङ्ग्रे छ"
