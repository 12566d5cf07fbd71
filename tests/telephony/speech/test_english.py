"""The table of English normalization: what people write, and the words that are spoken."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.speech.engine import Unspeakable
from telephony.speech.english import cardinal, ordinal
from telephony.speech.normalization import spoken_form

TABLE = [
    ("Rs. 1,500 by 5 pm", "one thousand five hundred rupees by five P M"),
    ("Rs.500/- only", "five hundred rupees only"),
    ("NPR 2,00,000.50", "two lakh rupees fifty paisa"),
    ("Your code is 4711.", "Your code is four ‖ seven ‖ one ‖ one."),
    ("4711 is your OTP", "four ‖ seven ‖ one ‖ one is your O T P"),
    ("Your code is 4 7 1 1", "Your code is four ‖ seven ‖ one ‖ one"),
    ("Call 9841234567", "Call nine ‖ eight ‖ four ‖ one ‖ two ‖ three ‖ four ‖ five ‖ six ‖ seven"),
    ("Pin 12 is loose", "Pin twelve is loose"),
    ("Valid for 10 minutes", "Valid for ten minutes"),
    ("on 2025-01-05", "on five January twenty twenty five"),
    ("on 2081/05/12", "on twelve Bhadra twenty eighty one"),
    ("2024-02-30", "twenty twenty four two thirty"),
    ("25 Dec", "twenty fifth December"),
    ("Dec 25, 2025", "December twenty five twenty twenty five"),
    ("at 10:05 AM", "at ten oh five A M"),
    ("at 14:30", "at fourteen thirty"),
    ("-3°C and 2 kg", "minus three degrees Celsius and two kilograms"),
    ("8.5% of 10-12 people", "eight point five percent of ten to twelve people"),
    ("Take 1/2 tablet", "Take half a tablet"),
    ("5th and 20th", "fifth and twentieth"),
    ("Token A-045", "Token A zero four five"),
    ("COVID-19", "COVID nineteen"),
    ("OPD, SMS and NASA", "O P D, S M S and NASA"),
    ("write to info@example.com", "write to info at example dot com"),
    ("123456789012", "one ‖ two ‖ three ‖ four ‖ five ‖ six ‖ seven ‖ eight ‖ nine ‖ zero ‖ one ‖ two"),
]


@pytest.mark.parametrize(("written", "said"), TABLE)
def test_written_text_becomes_the_spoken_words(written: str, said: str) -> None:
    assert spoken_form(written, language="en") == said


@pytest.mark.parametrize("said", sorted({said for _, said in TABLE}))
def test_normalization_is_idempotent(said: str) -> None:
    assert spoken_form(said, language="en") == said


def test_different_numbers_have_different_words() -> None:
    assert len({cardinal(number) for number in range(20_000)}) == 20_000


@pytest.mark.parametrize(
    ("number", "said"),
    [(1, "first"), (12, "twelfth"), (20, "twentieth"), (21, "twenty first"), (100, "one hundredth")],
)
def test_ordinals_become_words(number: int, said: str) -> None:
    assert ordinal(number) == said


@given(st.text(alphabet=st.sampled_from("0123456789,.:/-%+ Rs.codeabAM\n$"), max_size=60))
def test_normalized_text_contains_no_digit(text: str) -> None:
    try:
        said = spoken_form(text, language="en")
    except Unspeakable:
        return

    assert not re.search(r"\d", said)
