"""Rules that read telephone numbers, codes, identity and account numbers digit by digit, and letters by their names."""

from __future__ import annotations

import re

from telephony.speech.nepali_rules import NO_MORE_DIGITS, PAUSE, Rule, rule
from telephony.speech.nepali_tables import ACRONYMS, LETTERS, SPOKEN_CAPITALS, WORDS_IN_CAPITALS
from telephony.speech.nepali_words import (
    CALL_WORDS,
    CLAUSE,
    CODE_WORDS,
    COUNT_NOUNS,
    DEVANAGARI,
    NUMBERS,
    amount_in_words,
    digit_by_digit,
)

_REACH = 48  # characters before a number that are searched for the word that says what it is
_GROUPED_ID_WORDS = rf"{CODE_WORDS}|{CALL_WORDS}|नं|no\.|खाता|परिचयपत्र|प्रमाणपत्र|id|आईडी|मो\.|फो\."
_IS_ID = re.compile(rf"(?:{_GROUPED_ID_WORDS}){CLAUSE}{{0,20}}\Z", re.IGNORECASE)
_IS_CODE = re.compile(rf"(?:{CODE_WORDS}){CLAUSE}{{0,20}}\Z", re.IGNORECASE)
# Things that have small numbers. After one of these words, two numbers joined by a hyphen are a range.
_COUNTED = re.compile(r"(?:वडा|कोठा|सिट|सीट|पृष्ठ|पाना|रोल|ward|room)[^\d।]{0,12}\Z", re.IGNORECASE)
_COUNT_FOLLOWS = re.compile(rf"\s?(?:{COUNT_NOUNS}|औँ|औं|%)", re.IGNORECASE)
# After one of these, a number is an amount although a word such as मोबाइल or टोकन precedes it.
_AMOUNT_WORDS = re.compile(
    r"मूल्य|बिल|किस्ता|मनी|मिति|रकम|शुल्क|जम्मा|युनिट|रिडिङ|महसुल|बाँकी|price|bill|fee", re.IGNORECASE
)
_CODE_DIGITS = rf"(?<![\d,.A-Za-z])(\d{{4,12}}){NO_MORE_DIGITS}(?!\.\d|[A-Za-z]|\s*+(?:{COUNT_NOUNS}))"
# Matches unless a code that is already in words follows. If one follows, the number before the code word is not the code.
_OTHER_CODE = rf"(?![^।\n‖]{{0,6}}(?:{'|'.join(NUMBERS[:10])}) ‖)"
_HOTLINE_WORDS = (
    "प्रहरी|दमकल|एम्बुलेन्स|ambulance|हेल्पलाइन|helpline|हटलाइन|hotline|ट[ोे]ल ?फ्री|toll ?free|ट्राफिक|डायल|dial|"
    "इमर्जेन्सी|बारुणयन्त्र|वारुणयन्त्र"
)
_CONTACT_VERBS = "फोन|phone|कल|call|sms|एसएमएस|डायल|dial|सम्पर्क|sampark|खबर|khabar|लेखी|पठाउ|उजुरी|मिस्ड|मिस कल"


def telephone(match: re.Match[str]) -> str:
    """Say a telephone number in groups with short pauses, as to someone who writes it down."""
    plus = "प्लस " if match[0].startswith("+") else ""
    groups: list[str] = []
    for digits in re.findall(r"\d+", match[0]):
        country = 3 if plus and not groups and digits.startswith("977") else 0
        rest = digits[country:]
        groups += [digits[:country], *((rest[:3], rest[3:6], rest[6:]) if len(rest) > 7 else (rest,))]
    return f" {plus}" + PAUSE.join(digit_by_digit(group) for group in groups if group) + " "


def _grouped(match: re.Match[str]) -> str:
    """Say digits in groups one by one, if they are a telephone number or the text calls them an identifier."""
    written, behind = match[0], match.string[match.end() : match.end() + _REACH]
    groups = re.findall(r"\d+", written)
    tail = ""
    if len(groups) > 2 and written[-len(groups[-1]) - 1] == " " and _COUNT_FOLLOWS.match(behind):
        # The last group counts something: कोड 902-118 10 मिनेट.
        tail = " " + groups.pop()
        written = written[: -len(tail)].rstrip()
    if _is_telephone("".join(groups), groups) or _is_identifier(match, written, groups):
        return " " + PAUSE.join(digit_by_digit(group) for group in groups) + " " + tail
    return match[0]


def _is_telephone(digits: str, groups: list[str]) -> bool:
    if len(digits) == 10 and re.match("9[678]", digits):
        return len(groups[0]) >= 3
    if digits.startswith("00977"):
        return len(digits) >= 12
    if digits.startswith("1660"):
        return len(digits) in (10, 11)
    return digits.startswith("0") and len(digits) in (8, 9) and 2 <= len(groups[0]) <= 3 and len(groups) <= 3


def _is_identifier(match: re.Match[str], written: str, groups: list[str]) -> bool:
    before = match.string[max(0, match.start() - _REACH) : match.start()]
    digits = sum(map(len, groups))
    same_size = len(groups) > 2 and len(set(map(len, groups))) == 1
    if same_size and " " in written and re.search(CODE_WORDS, before, re.IGNORECASE):
        return True
    if not _IS_ID.search(before) or _AMOUNT_WORDS.search(before[-20:]) or _COUNTED.search(before):
        return False
    if _IS_CODE.search(before):
        return digits >= 4
    if len(groups) == 2 and "." in written:
        return False
    if "/" in written:
        return len(groups) == 2 and min(map(len, groups)) >= 3
    return digits >= (7 if " " in written else 5)


def _code(match: re.Match[str]) -> str:
    if _AMOUNT_WORDS.search(match[1]):
        return match[0]
    return match[1] + digit_by_digit(match[2], between=PAUSE) + " "


def _code_before(match: re.Match[str]) -> str:
    return digit_by_digit(match[1], between=PAUSE) + " " + match[2]


def _hotline(match: re.Match[str]) -> str:
    return match[1] + digit_by_digit(match[2]) + " "


def _dial_string(match: re.Match[str]) -> str:
    names = {"*": "स्टार", "#": "ह्यास"}
    return " ".join(names.get(one) or NUMBERS[int(one)] for one in match[0]) + " "


def _spelled_out(match: re.Match[str]) -> str:
    """Say characters separated by spaces, as in passwords: 4 7 1 1."""
    return PAUSE.join(
        NUMBERS[int(one)] if one.isdecimal() else LETTERS[one.upper()] for one in match[0].split()
    )


def _letters_and_digits(match: re.Match[str]) -> str:
    """Say AB12 or 4G: letters by their names, and digits as a number if there are fewer than four."""
    said = []
    parts = re.findall(r"([A-Za-z]+)|(\d+)", match[0])
    mixed = len(parts) > 2
    for letters, digits in parts:
        if letters:
            said.append(say_capitals(letters) if letters.isupper() or len(letters) == 1 else letters)
        else:
            said.append(amount_in_words(digits) if len(digits) < 4 and not mixed else digit_by_digit(digits))
    return " ".join(said)


def _hyphenated(match: re.Match[str]) -> str:
    """Say A-045 and LN-2081-0045: digits one by one, except a short number after a word."""
    parts = re.findall(r"[A-Za-z]+|\d+", match[0])
    numbers = [part for part in parts if part.isdecimal()]
    short = len(numbers) == 1 and len(numbers[0]) < 3 and not numbers[0].startswith("0")
    return (
        " ".join(
            (amount_in_words(part) if short else digit_by_digit(part))
            if part.isdecimal()
            else say_capitals(part)
            for part in parts
        )
        + " "
    )


def spell_letters(letters: str) -> str:
    return " ".join(LETTERS[letter] for letter in letters.upper())


def say_capitals(word: str) -> str:
    """Say a sequence of capitals: letter by letter if it is an abbreviation, otherwise as a word."""
    if spoken := SPOKEN_CAPITALS.get(word):
        return spoken
    if word in WORDS_IN_CAPITALS:
        return word
    spell = len(word) <= 3 or word.upper() in ACRONYMS or not set(word) & set("AEIOUY")
    return spell_letters(word) if spell else word


LETTER_RULES: tuple[Rule, ...] = (
    rule(r"(?<![A-Za-z])(?-i:([A-Z])&([A-Z]))(?![A-Za-z])", lambda m: f"{LETTERS[m[1]]} एन्ड {LETTERS[m[2]]}"),
    rule(
        r"(?<![A-Za-z])(?-i:(AB|A|B|O))\s?(?:\+ve|\+|positive)(?![\w+])",
        lambda m: f"{spell_letters(m[1])} पोजिटिभ ",
    ),
    rule(
        r"(?<![A-Za-z])(?-i:(AB|A|B|O))\s?(?:[-−]ve|negative)(?![\w])",
        lambda m: f"{spell_letters(m[1])} नेगेटिभ ",
    ),
)

TELEPHONE_RULES: tuple[Rule, ...] = (
    rule(r"(?<![\w*#])\*(?:\d{1,8}[*#]){1,6}(?!\w)", _dial_string),
    rule(r"(?<![\w+])\+\d[\d -]{5,17}\d(?!\w)", telephone),
    rule(
        r"(?<![\d,.-])(?:0\d{1,2}\s?[ –—-]\s?\d{6,7}(?:/\d{1,3}(?!\d)|,\s?\d{6,7}(?!,?\d))?|9[678]\d{2}[ –-]\d{6}"
        r"|9[678]\d[ –-]\d{7}|9[678]\d[ –-]\d{3}[ –-]\d{4}|9[678]\d{8}|1660-?0?\d-?\d{5,6})(?![\d-])",
        telephone,
    ),
    rule(
        r"(?<![\w,.*+/-])\(?\d++(?:(?:\) ?|[ .]| ?[-–—] ?|/)\d++)++",
        _grouped,
    ),
)

CODE_RULES: tuple[Rule, ...] = (
    rule(r"(?<![\w.,])(?:\d |[A-Za-z] ){3,}(?:\d|[A-Za-z])(?![,.]*+\w)", _spelled_out),
    rule(r"(?<![\w-])(?-i:[A-Z]{1,6})-\d{1,12}(?:-\d{1,12}){0,4}(?![\w-])", _hyphenated),
    rule(rf"((?:{CODE_WORDS}|{CALL_WORDS}){CLAUSE}{{0,30}}?){_CODE_DIGITS}", _code),
    rule(rf"{_CODE_DIGITS}({CLAUSE}{{1,25}}?(?:{CODE_WORDS})){_OTHER_CODE}", _code_before),
    # Six digits are a code even if the code word comes much later, unless another code follows that word.
    rule(
        rf"(?<![\d,.A-Za-z])(\d{{6}})(?!\d|[.,]\d|[A-Za-z]|\s*+(?:{COUNT_NOUNS}))"
        rf"({CLAUSE}{{1,60}}?(?:{CODE_WORDS})){_OTHER_CODE}",
        _code_before,
    ),
    rule(
        rf"((?:{_HOTLINE_WORDS})[^\d।\n]{{0,4}}?)(?<![\d,.])(\d{{3,5}})(?![\d,.]*\d|\s?(?:{COUNT_NOUNS}))",
        _hotline,
    ),
    rule(
        rf"()(?<![\d,.A-Za-z])(\d{{3,8}})(?=\s(?:(?:मा|ma|बाट)\s[^।\n\d]{{0,14}}?(?:{_CONTACT_VERBS})|डायल|dial))",
        _hotline,
    ),
    # The last number of a vehicle's plate: बा २ च ४५६७.
    rule(
        rf"(?<=[\d.])(\s?[कखगघचजझञपफबह]\.?\s?)(\d{{3,4}})(?![\d,.]*\d|\s?(?:{COUNT_NOUNS}))",
        lambda m: f"{m[1]} {digit_by_digit(m[2])} ",
    ),
    rule(r"(?<=\d)-(?=0\d)", " "),
    rule(rf"(?<![\d,.])(?:\d{{10,}}+|0\d++){NO_MORE_DIGITS}(?!\.\d)", lambda m: digit_by_digit(m[0]) + " "),
    rule(rf"(?<![{DEVANAGARI}])(बा|ना|लु|को|ग)\.\s?(?=\d)", r"\1 "),
)

MIXED_RULES: tuple[Rule, ...] = (
    rule(r"(?<![A-Za-z0-9])(?:[A-Za-z]++\d[A-Za-z0-9]*|\d++[A-Za-z][A-Za-z0-9]*)", _letters_and_digits),
)
