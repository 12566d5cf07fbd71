"""The words in headings of phone numbers, and in headings of ids that must not be dialled."""

from __future__ import annotations

import re

# ruff: noqa: SIM905 - a list of words reads best as a line of words.

# In order of preference: a sheet may have somebody's name under "contact" and their number under "phone".
EXACT_HEADINGS = (
    *("number", "numbers", "phone number", "phone numbers", "phone no", "phone", "phones"),
    *("mobile number", "mobile numbers", "mobile no", "mobile", "mobiles"),
    *("contact number", "contact numbers", "contact no", "contact", "contacts", "telephone", "msisdn"),
    *("फोन नम्बर", "मोबाइल नम्बर", "सम्पर्क नम्बर", "फोन", "मोबाइल", "नम्बर", "सम्पर्क"),
)
_PHONE_WORDS = {"phone", "phones", "mobile", "mobiles", "contact", "contacts", "cell", "whatsapp", "tel"}
_PHONE_WORDS |= {"telephone", "msisdn", "mob", "ph", "cellphone", "viber", "landline"}
_PHONE_ENDINGS = ("phone", "mobile", "whatsapp")  # smartphone, parentmobile
_PHONE_STEMS = ("मोबाइल", "मोबाईल", "फोन", "सम्पर्क", "टेलिफोन", "ह्वाट्सएप", "ह्वाट्सएप")
# मोबाइल, मोबाईल, फोन and सम्पर्क, as they are typed for the legacy fonts Preeti and Kantipur.
_LEGACY_PHONE_STEMS = ("df]afO", "kmf]g", ";Dks{")
# Words in headings of numbers that are not phone numbers. A phone word in the same heading (Customer Mobile) takes
# precedence.
_ID_WORDS = frozenset(
    """id ids sn sno serial roll code reg registration consumer customer account acc ac member symbol citizenship pan
    vat meter invoice bill token policy student employee emp staff ref reference card license licence nid iemis""".split()
)
_ID_STEMS = tuple("क्र सि.नं ग्राहक सदस्य खाता परिचय नागरिकता दर्ता मिटर सिम्बोल रोल कोड आईडी".split())
_WORD = re.compile(r"[^\W\d_]+(?:[\u0900-\u0963\u0970-\u097f]+)?")


def folded(heading: str) -> str:
    """Return a heading without the details that writers vary: capitals, blanks, dots, colons, hyphens."""
    return " ".join(re.sub(r"[_.:\-]+", " ", heading).casefold().split())


def names_numbers(heading: str) -> bool:
    """Return whether the values below a heading are meant as phone numbers."""
    return folded(heading) in EXACT_HEADINGS or has_phone_word(heading)


def has_phone_word(heading: str) -> bool:
    """Return whether a heading names a telephone: `Phone No (Father)`, `सम्पर्क नं.`, `parent_mobile`."""
    words = _words(heading)
    if words & {"id", "ids"}:
        return False
    return (
        bool(words & _PHONE_WORDS)
        or any(word.endswith(_PHONE_ENDINGS) or word.startswith(_PHONE_STEMS) for word in words)
        or any(stem in heading for stem in _LEGACY_PHONE_STEMS)
    )


def is_id(heading: str) -> bool:
    """Return whether a heading names an id, which is never dialled: `Consumer No`, `क्र.सं.`."""
    if has_phone_word(heading):
        return False
    folded = heading.casefold().strip()
    return (
        bool(_words(heading) & _ID_WORDS)
        or folded in ("s.n.", "s.n", "s.no.", "s.no", "no", "no.", "#")
        or any(stem in folded for stem in _ID_STEMS)
    )


def _words(heading: str) -> set[str]:
    return {word.casefold() for word in _WORD.findall(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", heading))}
