"""An ordinary sentence, and texts that are made to take longer to say than iris expects, alone or next to other texts."""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Iterator

# ruff: noqa: SIM905 - a list of words reads best as a line of words.

CONSONANTS = "कखगघचछजझटठडढणतथदधनपफबभमयरलवशषसहज्ञक्षत्र"
VOWELS = "अआइईउऊएऐओऔऋ"
MARKS = "ािीुूृेैोौंँः्"
WORDS = """राम कोड नम्बर खाता मिति बजे गते रु. डा. प्रा.लि. वि.सं. जि.प्र.का. फोन otp pin code Rs. NPR Dr. Sita Hari tapai ko
    98% kg km/h ℃ मि. लाख AM pm Jan sept बिहान वडा नं. का.म.न.पा. प्र.प्र.अ. अ.दु.अ.आ. MPIN VAT OPD KUKL WHO iPhone
    www.a.np a@b.np https://w.w/w x-ray BSc AB+ A&B *123# IX""".split()
PUNCTUATION = ".,:;!?।-–—/\\()[]{}'\"“”…|&+=@%#*_~^<>°₹$€£№ \n"
EXOTIC = (
    "中日本語あアกขעבأبжщλωÞßéñøąžğİıſKÅ½¼²³①㎏ﬁ१٣௧€¥¢∑√∞≠→⇒÷×±¬μΩ‰†‡•′″‹›«»¿¡"
    "ༀ༁ཀअॐ꣠ႠᎠᚠ𝐀𝟗😀\u0301\u0323\u200d\u200c\u202e\ufeff\u00ad"
)

# A value is read differently next to these.
CONTEXTS = (
    ("", ""),
    ("नमस्कार ", " जी, तपाईंको बाँकी छ।"),
    ("नमस्कार", "लाई"),
    ("रु. ", " बाँकी छ।"),
    ("तपाईंको कोड ", " हो।"),
    ("", " तपाईंको पासवर्ड हो।"),
    ("खाता नं. ", " मा"),
    ("फोन: ", ""),
    ("मिति ", " गते"),
    ("बिहान ", " बजे"),
    ("प्रहरी ", " मा फोन गर्नुहोस्।"),
    ("98", "41"),
    ("", "%"),
    ("", " kg"),
    ("Namaste ", " ji, tapaiko bill baki chha."),
    ("Dear ", ", your code is due."),
    ("RAM ", " BAHADUR"),
)

Make = Callable[[random.Random], str]
SENTENCE = "नमस्ते राम जी, तपाईंको खातामा रु. २५०० बाँकी छ।"


def _letters(alphabet: str, low: int, high: int) -> Make:
    return lambda rng: "".join(rng.choices(alphabet, k=rng.randint(low, high)))


def _number(rng: random.Random) -> str:
    digits = rng.choice(["0123456789", "०१२३४५६७८९", "7", "9", "1", "0", "379"])
    whole = "".join(rng.choices(digits, k=rng.randint(1, 20)))
    form = rng.choice(["", "", ",", "lakh", ".", "-", "/", ":", " "])
    if form == "lakh":
        head, tail = whole[:-3], whole[-3:]
        pairs = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)][::-1]
        whole = ",".join([*pairs, tail])
    elif form:
        size = rng.randint(1, 4)
        whole = form.join(whole[start : start + size] for start in range(0, len(whole), size))
    return whole + rng.choice(
        ["", "", ".5", ".77", "%", " kg", "औं", "को", " लाख", "/-", " AM", "th", "से", "/२", "°C"]
    )


def _date(rng: random.Random) -> str:
    sign = rng.choice("-/.")
    year, month, day = rng.choice([2079, 2081, 1999, 2024, 1877]), rng.randint(1, 13), rng.randint(1, 33)
    return rng.choice(
        [
            f"{year}{sign}{month:02}{sign}{day:02}",
            f"{day}{sign}{month}{sign}{year}",
            f"{year} असोज {day}",
            f"Sept {day}, {year}",
            f"0{year % 100}/{month}/{day}",
            f"वि.सं. {year}/{month}/{day}",
            f"{rng.randint(0, 24)}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}",
            f"{rng.randint(1, 12)}:{rng.randint(0, 59):02} PM",
        ]
    )


def _devanagari(rng: random.Random) -> str:
    said = []
    for _ in range(rng.randint(1, 12)):
        said.append(rng.choice(CONSONANTS + VOWELS))
        if rng.random() < 0.7:
            said.append(rng.choice(MARKS))
        if rng.random() < 0.2:
            said.append(" ")
    return "".join(said)


def _mixed(rng: random.Random) -> str:
    makers = [make for name, make in CLASSES.items() if name != "mixed"]
    return rng.choice(["", " ", ", ", "-"]).join(rng.choice(makers)(rng) for _ in range(rng.randint(2, 4)))


def _repeated(rng: random.Random) -> str:
    piece = rng.choice(
        [
            *string.ascii_letters,
            *string.digits,
            *PUNCTUATION,
            *VOWELS,
            *CONSONANTS,
            *WORDS,
            *EXOTIC,
            ". ",
            "a ",
            "W ",
            "7 ",
        ]
    )
    return piece * rng.randint(1, max(1, 40 // len(piece)))


CLASSES: dict[str, Make] = {
    "numbers": _number,
    "dates and times": _date,
    "capitals": _letters(string.ascii_uppercase, 1, 12),
    "capitals without a vowel": _letters("BCDFGHKLMNPQRSTVWXZ", 1, 12),
    "letters without a vowel": _letters("bcdfghklmnpqrstvwxz", 1, 15),
    "Latin letters": _letters(string.ascii_letters, 1, 20),
    "romanized": lambda rng: " ".join(
        "".join(rng.choices("aeioukhrtpsnm", k=rng.randint(2, 9))) for _ in range(3)
    ),
    "letters apart": lambda rng: " ".join(
        rng.choices(string.ascii_letters + string.digits, k=rng.randint(1, 12))
    ),
    "letters and digits": _letters(string.ascii_letters + string.digits, 1, 14),
    "Devanagari": _devanagari,
    "vowels": _letters(VOWELS, 1, 12),
    "marks": lambda rng: rng.choice(CONSONANTS) + "".join(rng.choices(MARKS, k=rng.randint(1, 12))),
    "words that stand for others": lambda rng: rng.choice([" ", "", ", "]).join(
        rng.choices(WORDS, k=rng.randint(1, 5))
    ),
    "punctuation": _letters(PUNCTUATION, 1, 20),
    "punctuation between": lambda rng: "".join(
        rng.choice(["7", "क", "a", "राम"]) + rng.choice(PUNCTUATION) for _ in range(rng.randint(1, 10))
    ),
    "other scripts": _letters(EXOTIC, 1, 6),
    "repeated": _repeated,
    "mixed": _mixed,
}


def texts(seed: int) -> Iterator[tuple[str, str]]:
    """Yield endlessly a class and a text of it, each class in turn."""
    rng = random.Random(seed)
    while True:
        for name, make in CLASSES.items():
            yield name, make(rng)
