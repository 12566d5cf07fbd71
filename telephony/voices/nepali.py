"""Nepali as it is said: numbers, money, dates, times, telephone numbers and abbreviations put into words.

Engines read a figure differently, or in English, or not at all; words they all read alike. Afterwards there is no
figure left in the text. What is ambiguous is decided here, and tests/telephony/test_nepali.py is the table of it:

* A year above 2050 is Bikram Sambat, any other Anno Domini, unless the text says which (वि.सं., गते, AD …).
* Figures are said one by one in telephone numbers, in codes (OTP, कोड, PIN … in the same clause, four figures or
  more), after a leading zero, and from nine figures without commas on. All others are amounts.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from contextlib import suppress

import nepali_datetime

# ruff: noqa: SIM905 - a list of words reads best as a line of words.

# Written by the standard of the Nepal Academy; two spellings of one sound matter to no engine.
NUMBERS = """शून्य एक दुई तीन चार पाँच छ सात आठ नौ दश एघार बाह्र तेह्र चौध पन्ध्र सोह्र सत्र अठार उन्नाइस
बिस एक्काइस बाइस तेइस चौबिस पच्चिस छब्बिस सत्ताइस अट्ठाइस उनन्तिस तिस एकतिस बत्तिस तेत्तिस चौँतिस पैँतिस छत्तिस
सैँतिस अठतिस उनन्चालिस चालिस एकचालिस बयालिस त्रिचालिस चवालिस पैँतालिस छयालिस सतचालिस अठचालिस उनन्चास पचास एकाउन्न
बाउन्न त्रिपन्न चवन्न पचपन्न छपन्न सन्ताउन्न अन्ठाउन्न उनन्साठी साठी एकसट्ठी बयसट्ठी त्रिसट्ठी चौँसट्ठी पैँसट्ठी छयसट्ठी
सतसट्ठी अठसट्ठी उनन्सत्तरी सत्तरी एकहत्तर बहत्तर त्रिहत्तर चौहत्तर पचहत्तर छयहत्तर सतहत्तर अठहत्तर उनासी असी एकासी
बयासी त्रियासी चौरासी पचासी छयासी सतासी अठासी उनान्नब्बे नब्बे एकान्नब्बे बयान्नब्बे त्रियान्नब्बे चौरान्नब्बे पन्चान्नब्बे
छयान्नब्बे सन्तान्नब्बे अन्ठान्नब्बे उनान्सय""".split()
assert len(NUMBERS) == 100
PAUSE = " ‖ "  # a moment of silence, whatever the engine makes of commas (voices.speaking)
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
LARGEST = 10**17

BS_MONTHS = "वैशाख जेठ असार साउन भदौ असोज कात्तिक मंसिर पुस माघ फागुन चैत".split()
AD_MONTHS = "जनवरी फेब्रुअरी मार्च अप्रिल मे जुन जुलाई अगस्ट सेप्टेम्बर अक्टोबर नोभेम्बर डिसेम्बर".split()
LAST_AD_YEAR = 2050

_LETTER_NAMES = "ए बी सी डी ई एफ जी एच आई जे के एल एम एन ओ पी क्यु आर एस टी यु भी डब्लु एक्स वाई जेड".split()
LETTERS = dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", _LETTER_NAMES, strict=True))
# Capitals that are spelled although one could read them as a word; those without a vowel always are.
ACRONYMS = frozenset("OTP ATM ID EMI CEO AI USD GPA ISP UAE USA UK UN EU NEA IPO IRD".split())

ABBREVIATIONS = {
    "म.न.पा.": "महानगरपालिका",
    "उ.म.न.पा.": "उपमहानगरपालिका",
    "न.पा.": "नगरपालिका",
    "गा.पा.": "गाउँपालिका",
    "प्रा.लि.": "प्राइभेट लिमिटेड",
    "प्रा. लि.": "प्राइभेट लिमिटेड",
    "लि.": "लिमिटेड",
    "प्रा.": "प्राध्यापक",
    "डा.": "डाक्टर",
    "इ.": "इन्जिनियर",
    "ई.": "इन्जिनियर",
    "वि.सं.": "विक्रम संवत्",
    "वि. सं.": "विक्रम संवत्",
    "ई.सं.": "इस्वी संवत्",
    "कि.मि.": "किलोमिटर",
    "कि.मी.": "किलोमिटर",
    "कि.ग्रा.": "किलोग्राम",
    "से.मि.": "सेन्टिमिटर",
    "मि.लि.": "मिलिलिटर",
    "त्रि.वि.": "त्रिभुवन विश्वविद्यालय",
    "पो.ब.नं.": "पोस्ट बक्स नम्बर",
    "क्र.सं.": "क्रम संख्या",
    "नं.": "नम्बर",
    "मो.": "मोबाइल",
    "फो.": "फोन",
    "ले.": "लेखक",
    "रु.": "रुपैयाँ",
    "रू.": "रुपैयाँ",
    "Dr.": "डाक्टर",
    "Er.": "इन्जिनियर",
    "Mr.": "मिस्टर",
    "Mrs.": "मिसेस",
    "Ms.": "मिस",
    "Prof.": "प्रोफेसर",
    "Pvt.": "प्राइभेट",
    "Ltd.": "लिमिटेड",
    "No.": "नम्बर",
    "Tel.": "टेलिफोन",
    "etc.": "आदि",
    "Rs.": "रुपैयाँ",
    "A/C": "एकाउन्ट",
    "a/c": "एकाउन्ट",
}

MEASURES = {
    "km": "किलोमिटर",
    "kg": "किलो",
    "gm": "ग्राम",
    "cm": "सेन्टिमिटर",
    "mm": "मिलिमिटर",
    "ml": "मिलिलिटर",
    "ltr": "लिटर",
    "hrs": "घण्टा",
    "hr": "घण्टा",
    "min": "मिनेट",
    "sec": "सेकेन्ड",
    "GB": "जिबी",
    "MB": "एमबी",
    "°C": "डिग्री सेल्सियस",
    "°": "डिग्री",
}

_D = "\u0900-\u0963\u0970-\u097f"  # Devanagari without its figures and its full stop
_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d{1,2}(?:,\d{2})*,\d{3}|\d+)(?:\.\d+)?"
_END = r"(?![\d,]*\d)"
_MANY = "सय|हजार|लाख|करोड|अर्ब|खर्ब"
_RUPEES = rf"(?<![{_D}A-Za-z])(?:ने\.?\s?रु|ने\.?\s?रू|रु|रू|nrs|npr|rs|₹)\s?[.:]?\s*"
_RUPEE_WORDS = "रुपैयाँ|रूपैयाँ|रुपैयां|रूपैयां|रुपैया|रूपैया"
_CASE_ENDINGS = "को|का|की|ले|लाई|मा|बाट|देखि|सम्म|भन्दा|सँग|बीच|पछि|अघि|नै|पनि"
_DAY_PARTS = "बिहान|दिउँसो|बेलुका|बेलुकी|साँझ|राति|मध्यरात"
_WORD_ENDS = rf"(?=(?:{_CASE_ENDINGS})?(?![{_D}]))"
_CODE_WORDS = "otp|ओटीपी|ओ\\.टी\\.पी|code|कोड|pin|पिन|password|पासवर्ड|token|टोकन"
_CALL_WORDS = "फोन|phone|मोबाइल|mobile|सम्पर्क|contact|tel|हटलाइन|hotline|नम्बर|नं\\.|number"
_COUNTED = (
    rf"{_RUPEE_WORDS}|मिनेट|घण्टा|दिन|सेकेन्ड|जना|वटा|पटक|गते|बजे|प्रतिशत|महिना|वर्ष|साल|minutes?|hours?|days?|{_MANY}"
)
_CLAUSE = r"[^।|;!?\n\d]"

Rule = tuple[re.Pattern[str], Callable[[re.Match[str]], str]]


# Numbers ----------------------------------------------------------------------------------------------------


def cardinal(number: int) -> str:
    """१,२३,४५६ is एक लाख तेइस हजार चार सय छपन्न."""
    if number < 100:
        return NUMBERS[number]
    for size, unit in UNITS:
        if number >= size:
            count, rest = divmod(number, size)
            return f"{cardinal(count)} {unit}" + (f" {cardinal(rest)}" if rest else "")
    raise AssertionError(number)


def one_by_one(figures: str, *, between: str = " ") -> str:
    return between.join(NUMBERS[int(figure)] for figure in figures if figure.isdecimal())


def amount(written: str) -> str:
    """A number with or without commas and decimals. Too many figures for an amount are said one by one."""
    whole, _, decimals = written.replace(",", "").partition(".")
    if len(whole) > 1 and whole.startswith("0"):
        said = one_by_one(whole)
    else:
        said = cardinal(int(whole)) if int(whole) < LARGEST else one_by_one(whole)
    return f"{said} दशमलव {one_by_one(decimals)}" if decimals else said


def ordinal(number: int) -> str:
    if special := {1: "पहिलो", 2: "दोस्रो", 3: "तेस्रो", 4: "चौथो", 6: "छैटौँ", 9: "नवौँ"}.get(number):
        return special
    said = cardinal(number)
    return said + ("ौँ" if re.search("[\u0915-\u0939]$", said) else "औँ")


def with_ending(said: str, ending: str) -> str:
    """A number and what is written to it without a space: ५०को is पचासको, २५जना is पच्चिस जना."""
    if not ending:
        return said
    return said + ending if re.match(_CASE_ENDINGS, ending) else f"{said} {ending}"


def _year(year: int, *, hundreds: bool) -> str:
    if hundreds and 1100 <= year < 2000:
        rest = year % 100
        return f"{cardinal(year // 100)} सय" + (f" {cardinal(rest)}" if rest else "")
    return cardinal(year)


# Dates and times --------------------------------------------------------------------------------------------


def _date(match: re.Match[str]) -> str:
    parts = match.groupdict()
    if parts.get("y"):
        year, month, day = int(parts["y"]), int(parts["m"]), int(parts["d"])
    else:
        year, month, day = int(parts["y2"]), int(parts["m2"]), int(parts["d2"])
        if month > 12 >= day:  # the American way round
            month, day = day, month
    mark = f"{parts['mark'] or ''} {parts['after'] or ''}".lower()
    if re.search(r"वि|b\.?s|गते|साल", mark):
        bs = True
    elif re.search(r"ई|इ|a\.?d|सन्|तारिख", mark):
        bs = False
    else:
        bs = year > LAST_AD_YEAR
    with suppress(ValueError):
        if bs:
            nepali_datetime.date(year, month, day)
            said = f"{cardinal(year)} साल {BS_MONTHS[month - 1]} {cardinal(day)} गते"
        else:
            datetime.date(year, month, day)
            said = f"सन् {_year(year, hundreds=True)} {AD_MONTHS[month - 1]} {cardinal(day)}"
            said += " तारिख" if "तारिख" in mark else ""
        era = "विक्रम संवत् " if "वि" in (parts["mark"] or "") else ""
        return f" {era}{said}"
    return f" {amount(str(year))} {amount(str(month))} {amount(str(day))}"


def _time(match: re.Match[str]) -> str:
    hour, minute = int(match["h"]), int(match["min"] or 0)
    half = re.sub(r"[.\s]", "", match["half"] or "").lower()
    said = _clock(hour, minute, int(match["s"] or 0))
    already = re.search(rf"(?:{_DAY_PARTS})\S*\s*$", match.string[: match.start()])
    return f" {said}" if already or not half else f" {_part_of_day(hour, half)} {said}"


def _clock(hour: int, minute: int, second: int) -> str:
    if not minute and not second:
        return f"{cardinal(hour)} बजे"
    if not second and 1 <= hour <= 12:
        if minute == 30:
            return "डेढ बजे" if hour == 1 else f"साढे {cardinal(hour)} बजे"
        if minute == 15:
            return f"सवा {cardinal(hour)} बजे"
        if minute == 45:
            return f"पौने {cardinal(hour % 12 + 1)} बजे"
    said = f"{cardinal(hour)} बजेर {cardinal(minute)} मिनेट"
    return f"{said} {cardinal(second)} सेकेन्ड" if second else said


def _part_of_day(hour: int, half: str) -> str:
    if half == "am":
        return "राति" if hour == 12 or hour < 4 else "बिहान"
    if hour == 12 or hour < 4:
        return "दिउँसो"
    return "बेलुका" if hour < 8 else "राति"


_AD_MONTH_NAMES = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_MONTH = (
    r"(?P<name>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)


def _month(match: re.Match[str]) -> str:
    name = AD_MONTHS[_AD_MONTH_NAMES.index(match["name"][:3].lower())]
    return f" {name} "


# Money ------------------------------------------------------------------------------------------------------


def _rupees(match: re.Match[str]) -> str:
    written, many, ending = match["number"], match["many"] or "", match["ending"] or ""
    whole, _, decimals = written.partition(".")
    if many:
        said = f"{amount(written)} {many} रुपैयाँ"
    elif len(decimals) in (1, 2):
        paisa = int(decimals.ljust(2, "0"))
        said = f"{amount(whole)} रुपैयाँ" + (f" {cardinal(paisa)} पैसा" if paisa else "")
    else:
        said = f"{amount(written)} रुपैयाँ"
    return " " + with_ending(said, ending)


def _percent(match: re.Match[str]) -> str:
    return with_ending(f"{amount(match['number'])} प्रतिशत", match["ending"] or "")


def _foreign(match: re.Match[str]) -> str:
    name = {"$": "डलर", "usd": "डलर", "€": "युरो", "£": "पाउन्ड"}[match["sign"].lower()]
    return f" {amount(match['number'])} {name}"


# Figures one by one -----------------------------------------------------------------------------------------


def _telephone(match: re.Match[str]) -> str:
    """In groups, with a short pause between them, as one reads a number to somebody who writes it down."""
    plus = "प्लस " if match[0].startswith("+") else ""
    groups: list[str] = []
    for figures in re.findall(r"\d+", match[0]):
        country = 3 if plus and not groups and figures.startswith("977") else 0
        rest = figures[country:]
        groups += [figures[:country], *((rest[:3], rest[3:6], rest[6:]) if len(rest) > 7 else (rest,))]
    return f" {plus}" + PAUSE.join(one_by_one(group) for group in groups if group) + " "


def _code(match: re.Match[str]) -> str:
    return match[1] + one_by_one(match[2], between=PAUSE) + " "


def _code_before(match: re.Match[str]) -> str:
    return one_by_one(match[1], between=PAUSE) + " " + match[2]


def _spelled_out(match: re.Match[str]) -> str:
    """4 7 1 1, as whoever sends a password writes it."""
    return PAUSE.join(
        NUMBERS[int(one)] if one.isdecimal() else LETTERS[one.upper()] for one in match[0].split()
    )


def _mixed(match: re.Match[str]) -> str:
    """AB12 or 4G: letters by their names, figures as a number while they are few."""
    said = []
    for letters, figures in re.findall(r"([A-Za-z]+)|(\d+)", match[0]):
        if letters:
            spell = letters.isupper() or len(letters) == 1
            said.append(_letters(letters) if spell else letters)
        else:
            said.append(amount(figures) if len(figures) < 4 else one_by_one(figures))
    return " ".join(said)


def _letters(letters: str) -> str:
    return " ".join(LETTERS[letter] for letter in letters.upper())


def _capitals(match: re.Match[str]) -> str:
    word = match[0]
    return _letters(word) if word in ACRONYMS or not set(word) & set("AEIOUY") else word


def _address(match: re.Match[str]) -> str:
    said = re.sub(r"^(?:https?://)?(?:www\.)?", "", match[0])
    return re.sub(
        r"[.@/:_-]", lambda sign: {".": " डट ", "@": " एट ", "/": " स्ल्यास "}.get(sign[0], " "), said
    )


def _number(match: re.Match[str]) -> str:
    written, ending = match["number"], match["ending"] or ""
    whole = written.partition(".")[0]
    if re.fullmatch("औं|औँ|औ|लो|रो|थो", ending) and whole.isdecimal() and int(whole) < LARGEST:
        return ordinal(int(whole))
    if "," not in written and len(whole) >= 9:
        return with_ending(one_by_one(whole), ending)
    return with_ending(amount(written), ending)


def _range(match: re.Match[str]) -> str:
    first, last = int(match[1]), int(match[2])
    return f"{match[1]} देखि {match[2]}" if first < last else f"{match[1]} {match[2]}"


def _abbreviation_pattern() -> str:
    longest_first = sorted(ABBREVIATIONS, key=len, reverse=True)
    return rf"(?<![{_D}A-Za-z.])(?:{'|'.join(re.escape(written) for written in longest_first)})"


def _rule(pattern: str, say: Callable[[re.Match[str]], str] | str) -> Rule:
    return re.compile(pattern, re.IGNORECASE), say if callable(say) else lambda match: match.expand(say)


_ENDING = rf"(?P<ending>[{_D}]+)?"
_MARK = rf"(?P<mark>(?<![{_D}])वि\.?\s?सं\.?|(?<![{_D}])[ईइ]\.?\s?सं\.?|(?<![{_D}])सन्|b\.?s\.?|a\.?d\.?)?\s*"

# In this order: what one rule has put into words is out of reach of the next.
RULES: tuple[Rule, ...] = (
    _rule(r"(?:https?://|www\.)[^\s।]+[^\s।.,!?)]|[\w.+-]+@[\w-]+(?:\.[\w-]+)+", _address),
    _rule(
        _MARK + r"(?<![\d/.-])(?:(?P<y>\d{4})(?P<sep>[/.-])(?P<m>\d{1,2})(?P=sep)(?P<d>\d{1,2})"
        r"|(?P<d2>\d{1,2})(?P<sep2>[/.-])(?P<m2>\d{1,2})(?P=sep2)(?P<y2>\d{4}))(?![\d/-]|\.\d)"
        r"(?P<after>\s*(?:गते|तारिख|b\.?s\b\.?|a\.?d\b\.?))?",
        _date,
    ),
    _rule(r"सन्\s*(\d{4})(?!\d)", lambda m: f"सन् {_year(int(m[1]), hundreds=True)}"),
    _rule(_MONTH + r"\b\.?,?(?=\s*\d)", _month),
    _rule(r"(?<=\d)(?:st|nd|rd|th)?\s*" + _MONTH + r"\b\.?,?", _month),
    _rule(
        r"(?<![\d:.])(?P<h>[01]?\d|2[0-4]):(?P<min>[0-5]\d)(?::(?P<s>[0-5]\d))?(?![\d:])"
        r"(?:\s*(?P<half>[ap]\.?m\b\.?))?(?:\s*बजे)?",
        _time,
    ),
    _rule(r"(?<![\d:.])(?P<h>[01]?\d|2[0-4])\.(?P<min>[0-5]\d)(?P<s>)(?P<half>)\s*बजे", _time),
    _rule(r"(?<![\d:.])(?P<h>1[0-2]|0?[1-9])(?P<min>)(?P<s>)\s*(?P<half>[ap]\.?m\b\.?)(?:\s*बजे)?", _time),
    _rule(
        rf"{_RUPEES}(?P<number>{_NUMBER}){_END}(?:\s*(?P<many>{_MANY}){_WORD_ENDS})?(?:\s*/-)?"
        rf"(?:\s*(?:{_RUPEE_WORDS}))?{_ENDING}",
        _rupees,
    ),
    _rule(
        rf"(?P<number>{_NUMBER})(?:\s*(?P<many>{_MANY}))?(?:\s*/-(?:\s*(?:{_RUPEE_WORDS}))?"
        rf"|\s*(?:{_RUPEE_WORDS}|(?:nrs|npr|rs)\b\.?)){_ENDING}",
        _rupees,
    ),
    _rule(rf"(?P<sign>[$€£]|usd)\s*(?P<number>{_NUMBER})", _foreign),
    _rule(rf"(?P<number>{_NUMBER})\s*(?P<sign>[$€£]|usd\b)", _foreign),
    _rule(
        rf"(?P<number>{_NUMBER})\s*[%٪]{_ENDING}",
        lambda m: with_ending(f"{amount(m['number'])} प्रतिशत", m["ending"] or ""),
    ),
    _rule(r"(?<![\w+])\+\d[\d -]{5,17}\d(?!\w)", _telephone),
    _rule(
        r"(?<![\d,.-])(?:0\d{1,2}[ -]\d{6,7}|9[678]\d{2}[ -]\d{6}|9[678]\d[ -]\d{7}|9[678]\d[ -]\d{3}[ -]\d{4}"
        r"|9[678]\d{8}|1660-?0?\d-?\d{5,6})(?![\d-])",
        _telephone,
    ),
    _rule(r"(?<![\w.,])(?:\d |[A-Za-z] ){3,}(?:\d|[A-Za-z])(?![\w,.]*\w)", _spelled_out),
    _rule(
        rf"((?:{_CODE_WORDS}|{_CALL_WORDS}){_CLAUSE}{{0,30}}?)(?<![\d,.])(\d{{4,12}})(?![\d,]*\d|\.\d|\s*(?:{_COUNTED}))",
        _code,
    ),
    _rule(
        rf"(?<![\d,.])(\d{{4,12}})(?![\d,]*\d|\.\d|\s*(?:{_COUNTED}))({_CLAUSE}{{1,25}}?(?:{_CODE_WORDS}))",
        _code_before,
    ),
    _rule(r"(?<![\d,.])(?:\d{10,}|0\d+)(?![\d,]*\d|\.\d)", lambda m: one_by_one(m[0])),
    _rule(
        rf"(?P<number>{_NUMBER})\s*(?P<unit>{'|'.join(MEASURES)})(?![A-Za-z])",
        lambda m: f"{m['number']} {_measure(m['unit'])}",
    ),
    _rule(_abbreviation_pattern(), lambda m: _abbreviation(m[0]) + " "),
    _rule(r"(?<![\w.])(\d+)(?:st|nd|rd|th)\b", lambda m: ordinal(int(m[1])) if len(m[1]) < 18 else m[1]),
    _rule(r"(?<![A-Za-z0-9])(?:[A-Za-z]+\d[A-Za-z0-9]*|\d+[A-Za-z][A-Za-z0-9]*)", _mixed),
    _rule(r"(?<![\d,.])(\d{1,4})\s?[-–—]\s?(\d{1,4})(?![\d,.]*\d)", _range),
    _rule(rf"(?<![\w{_D})])[-−](?=\d)", "माइनस "),
    _rule(r"(?<![\d,.])\d+(?:\.\d+){2,}", lambda m: " डट ".join(amount(one) for one in m[0].split("."))),
    _rule(r"(?<=\d)\s*[×x*]\s*(?=\d)", " गुणा "),
    _rule(rf"(?P<number>{_NUMBER}){_END}{_ENDING}", _number),
    _rule(r"\d", lambda m: f" {NUMBERS[int(m[0])]} "),
)

_CAPITALS = re.compile(r"(?<![A-Za-z])[A-Z]{2,5}(?![A-Za-z])")
_SIGNS = {"&": " र ", "+": " प्लस ", "=": " बराबर ", "@": " एट ", "%": " प्रतिशत "}


def _measure(written: str) -> str:
    return MEASURES.get(written) or {name.lower(): said for name, said in MEASURES.items()}[written.lower()]


def _abbreviation(written: str) -> str:
    by_any_case = {name.lower(): said for name, said in ABBREVIATIONS.items()}
    return ABBREVIATIONS.get(written) or by_any_case[written.lower()]


def in_words(text: str) -> str:
    """The text without a figure in it."""
    text = "".join(str(int(one)) if one.isdecimal() else one for one in text).replace("॰", ".")
    for pattern, say in RULES:
        text = pattern.sub(say, text)
    text = _CAPITALS.sub(_capitals, text)
    text = re.sub(r",(?=\S)", ", ", re.sub(r"(?<=\S)[/_-](?=\S)", " ", text))
    text = re.sub(r"[&+=@%]", lambda sign: _SIGNS[sign[0]], text)
    return re.sub(r"[#*_~^<>{}\[\]\\`|₹$€£°/]", " ", text)


# What must be spoken together with a value beside it (voices.fragments) -------------------------------------

_GLUED = r"[^\s,;:।|!?()…\"'“”‘’\[\]]"
_BEFORE = re.compile(
    rf"(?:{_RUPEES}|[$€£]\s*|(?<![{_D}])(?:वि\.?\s?सं\.?|[ईइ]\.?\s?सं\.?|सन्|{_DAY_PARTS})\s*"
    rf"|(?:{_CODE_WORDS}|{_CALL_WORDS}){_CLAUSE}{{0,30}}|(?:{_GLUED}|[:.,](?=\S))+)$",
    re.IGNORECASE,
)
_AFTER = re.compile(
    rf"(?:\s*(?:%|/-|(?:{_MANY})(?:\s*(?:{_RUPEE_WORDS}))?|{_COUNTED}|तारिख|[ap]\.?m\b\.?|b\.?s\b\.?|a\.?d\b\.?"
    rf"|{'|'.join(MEASURES)}(?![A-Za-z]))[{_D}]*"
    rf"|{_CLAUSE}{{1,25}}?(?:{_CODE_WORDS})[{_D}]*|(?:{_GLUED}|[:.,](?=\S))+)",
    re.IGNORECASE,
)


def attached_before(text: str) -> int:
    """Where the end of the text begins that is said together with a value behind it."""
    starts = [match.start() for match in _endings(text)]
    return min(starts, default=len(text))


def attached_after(text: str) -> int:
    """Where the beginning of the text ends that is said together with a value in front of it."""
    match = _AFTER.match(text)
    if match is None or not re.search(r"\w|[%/]", match[0]):
        return 0
    return match.end() - len(match[0]) + len(match[0].rstrip(".,:"))


def _endings(text: str) -> list[re.Match[str]]:
    match = _BEFORE.search(text)
    return [match] if match else []
