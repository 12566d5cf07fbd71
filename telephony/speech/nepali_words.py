"""Nepali words for numbers, abbreviations, letters and months."""

from __future__ import annotations

import re

# ruff: noqa: SIM905 - a list of words reads best as a line of words.

# Spelling of the Nepal Academy. Engines do not distinguish spellings that sound the same.
NUMBERS = """शून्य एक दुई तीन चार पाँच छ सात आठ नौ दश एघार बाह्र तेह्र चौध पन्ध्र सोह्र सत्र अठार उन्नाइस
बिस एक्काइस बाइस तेइस चौबिस पच्चिस छब्बिस सत्ताइस अट्ठाइस उनन्तिस तिस एकतिस बत्तिस तेत्तिस चौँतिस पैँतिस छत्तिस
सैँतिस अठतिस उनन्चालिस चालिस एकचालिस बयालिस त्रिचालिस चवालिस पैँतालिस छयालिस सतचालिस अठचालिस उनन्चास पचास एकाउन्न
बाउन्न त्रिपन्न चवन्न पचपन्न छपन्न सन्ताउन्न अन्ठाउन्न उनन्साठी साठी एकसट्ठी बयसट्ठी त्रिसट्ठी चौँसट्ठी पैँसट्ठी छयसट्ठी
सतसट्ठी अठसट्ठी उनन्सत्तरी सत्तरी एकहत्तर बहत्तर त्रिहत्तर चौहत्तर पचहत्तर छयहत्तर सतहत्तर अठहत्तर उनासी असी एकासी
बयासी त्रियासी चौरासी पचासी छयासी सतासी अठासी उनान्नब्बे नब्बे एकान्नब्बे बयान्नब्बे त्रियान्नब्बे चौरान्नब्बे पन्चान्नब्बे
छयान्नब्बे सन्तान्नब्बे अन्ठान्नब्बे उनान्सय""".split()
assert len(NUMBERS) == 100
UNITS = (
    (10**15, "पद्म"),
    (10**13, "नील"),
    (10**11, "खर्ब"),
    (10**9, "अर्ब"),
    (10**7, "करोड"),
    (10**5, "लाख"),
    (10**3, "हजार"),
    (10**2, "सय"),
)
MAX_AMOUNT_DIGITS = 17  # the largest that `cardinal` supports

BS_MONTHS = "वैशाख जेठ असार साउन भदौ असोज कात्तिक मंसिर पुस माघ फागुन चैत".split()
AD_MONTHS = "जनवरी फेब्रुअरी मार्च अप्रिल मे जुन जुलाई अगस्ट सेप्टेम्बर अक्टोबर नोभेम्बर डिसेम्बर".split()
LAST_AD_YEAR = 2050

# Parts of regular expressions.
DEVANAGARI = "\u0900-\u0963\u0970-\u097f"  # Devanagari without its digits and its full stop
MAGNITUDES = "सय|हजार|लाख|करोड|अर्ब|अरब|खर्ब|खरब"
RUPEE_SIGNS = rf"(?<![{DEVANAGARI}A-Za-z])(?:ने\.?\s?रु|ने\.?\s?रू|रु|रू|nrs|npr|rs|₹)"
RUPEE_WORDS = "र[ुू]पैयाँ|र[ुू]पैयां|र[ुू]पैंया|र[ुू]पैया|र[ुू]पियाँ|र[ुू]पियां|र[ुू]पिया|rupees?\\b"
DAY_PARTS = ("बिहान", "दिउँसो", "बेलुका", "बेलुकी", "साँझ", "राति", "मध्यरात")
CASE_ENDINGS = "को|का|की|ले|लाई|मा|बाट|देखि|सम्म|भन्दा|सँग|बीच|पछि|अघि|नै|पनि|तिर|भित्र|मध्ये"
CODE_WORDS = "otp|ओटीपी|ओ\\.टी\\.पी|code|कोड|pin|पिन|password|पासवर्ड|token|टोकन"
CALL_WORDS = (
    "फोन|phone|मोबाइल|mobile|सम्पर्क|contact|tel|हटलाइन|hotline|हेल्पलाइन|helpline|ट[ोे]ल ?फ्री|toll ?free|फ्याक्स|fax"
    "|ह्वाट्सएप|whatsapp|भाइबर|viber|नम्बर|नं\\.|number"
)
COUNT_NOUNS = (
    rf"{RUPEE_WORDS}|मिनेट|घण्टा|दिन|सेकेन्ड|जना|वटा|पटक|गते|बजे|प्रतिशत|महिना|वर्ष|साल|हप्ता|युनिट|तारिख|{'|'.join(BS_MONTHS)}"
    rf"|minutes?|hours?|days?|{MAGNITUDES}"
)
CLAUSE = r"[^।|;!?\n\d]"
_NUMBER_BACKWARDS = (
    re.compile(r"(?:\d{3},)++\d{1,3}"),
    re.compile(r"\d{3},(?:\d{2},)*+\d{1,2}"),
    re.compile(r"\d++"),
)


def cardinal(number: int) -> str:
    """Return a cardinal number in words: १,२३,४५६ is एक लाख तेइस हजार चार सय छपन्न."""
    if number < 100:
        return NUMBERS[number]
    for size, unit in UNITS:
        if number >= size:
            count, rest = divmod(number, size)
            return f"{cardinal(count)} {unit}" + (f" {cardinal(rest)}" if rest else "")
    raise AssertionError(number)


def digit_by_digit(digits: str, *, between: str = " ") -> str:
    """Return the digits in words, one by one."""
    return between.join(NUMBERS[int(digit)] for digit in digits if digit.isdecimal())


def amount_in_words(written: str) -> str:
    """Return a number in words; it may have commas and decimals.

    A number with a leading zero, or too large for `cardinal`, is spoken digit by digit.
    """
    whole, _, decimals = written.replace(",", "").partition(".")
    if len(whole) > 1 and whole.startswith("0"):
        said = digit_by_digit(whole)
    else:
        said = cardinal(int(whole)) if len(whole) <= MAX_AMOUNT_DIGITS else digit_by_digit(whole)
    return f"{said} दशमलव {digit_by_digit(decimals)}" if decimals else said


def split_trailing_number(digits: str) -> tuple[str, str]:
    """Split digits with commas into a prefix and the longest well-formed number at the end.

    For example, "5,1,234" gives "5," and "1,234".
    """
    backwards = digits[::-1]
    length = max(match.end() for form in _NUMBER_BACKWARDS if (match := form.match(backwards)))
    return digits[:-length], digits[-length:]


def ordinal(number: int) -> str:
    """Return an ordinal number in words."""
    if special := {1: "पहिलो", 2: "दोस्रो", 3: "तेस्रो", 4: "चौथो", 6: "छैटौँ", 9: "नवौँ"}.get(number):
        return special
    said = cardinal(number)
    return said + ("ौँ" if re.search("[\u0915-\u0939]$", said) else "औँ")


def append_ending(said: str, ending: str) -> str:
    """Append a suffix that is attached to the digits without a space: ५०को is पचासको, २५जना is पच्चिस जना."""
    if not ending:
        return said
    return said + ending if re.match(CASE_ENDINGS, ending) else f"{said} {ending}"
