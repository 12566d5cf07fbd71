"""The keywords STOP and START in inbound SMS: those that every account has, and an account's own.

STOP, in several languages, puts the sender on the opt-out list of the account whose SMS the message answers. START removes
the sender from the list. No account can switch off the keywords that every account has: recipients know them from other
services.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from iris.errors import InvalidInput
from telephony.speech.nfc import to_nfc

# Longer messages are ordinary text, even if the first word is a keyword.
MAX_WORDS = 3
MAX_CHARACTERS = 200  # of an SMS with a keyword, including spaces and punctuation

# By language. Nepali also has its words in Latin letters.
STOP_WORDS = {
    "en": {"stop", "stopall", "unsubscribe", "unsub", "optout"},
    "ne": {
        "roka", "roknu", "roknus", "roknuhos", "banda", "bandha",
        "रोक्नुहोस्", "रोक्नुहोस", "रोक्नुस्", "रोक्नुस", "रोक", "रोक्नु", "रोकिदिनुहोस्", "रोकिदिनुस्", "बन्द", "बन्दा",
        "नपठाउनुहोस्", "नपठाउनुहोस", "नपठाउनुस्", "नपठाउनुस", "नपठाउनु",
    },
    "hi": {"रोकें", "रोको", "रोकिए", "बंद"},
    "mai": {"रोकू"},
    "bho": {"रोकीं"},
}  # fmt: skip
START_WORDS = {
    "en": {"start", "unstop", "subscribe"},
    "ne": {"सुरु", "सुरू", "शुरु", "शुरू"},
}
_STOP_WORDS: frozenset[str] = frozenset().union(*STOP_WORDS.values())
_START_WORDS: frozenset[str] = frozenset().union(*START_WORDS.values())
# These words opt out only if the SMS contains nothing else ("cancel my order" is ordinary text).
_STOP_WORDS_ALONE = {"cancel", "end", "quit", "revoke"}
_TWO_WORDS = {("opt", "out"): "optout"}
_POLITE_WORDS = {"please", "pls", "plz", "kindly", "कृपया"}  # before a keyword
_INVISIBLE = re.compile("[\u200b-\u200d\ufeff]")
_BETWEEN_WORDS = re.compile(r"[^\w\u0900-\u097f]+")

MAX_OWN_KEYWORDS = 100  # of an account
MAX_KEYWORD_CHARACTERS = 40
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})?")


class Keyword(Enum):
    STOP = auto()
    START = auto()


@dataclass(frozen=True, slots=True)
class OwnKeywords:
    """The keywords that an account has added, each as a tuple of words."""

    stop: frozenset[tuple[str, ...]] = frozenset()
    start: frozenset[tuple[str, ...]] = frozenset()

    @classmethod
    def of(cls, setting: Mapping[str, Any] | None) -> OwnKeywords:
        """Return the keywords in an account's setting, as `read_own_keywords` returned it."""
        lists = (setting or {}).values()
        return cls(
            *(
                frozenset(tuple(_words(text)) for one in lists for text in one.get(name, ()))
                for name in ("stop", "start")
            )
        )


NO_KEYWORDS = OwnKeywords()


def keyword_in(text: str, own: OwnKeywords = NO_KEYWORDS) -> Keyword | None:
    """Return the keyword of an inbound SMS: its first word, in upper or lower case, if it has at most MAX_WORDS words.

    "Please" may come before it. Full-width letters, dots and spaces between single letters do not matter. `own` are the
    keywords of the account. If one of these has several words, it must be the whole SMS.
    """
    text = text.strip()
    if len(text) > MAX_CHARACTERS:
        return None
    words = _words(text)
    if not words or len(words) > MAX_WORDS:
        return None
    if len(words) > 1 and words[0] in _POLITE_WORDS:
        words = words[1:]
    word = _TWO_WORDS.get((words[0], words[-1]), words[0])
    if word in _STOP_WORDS or (word in _STOP_WORDS_ALONE and words[1:] in ([], ["all"])):
        return Keyword.STOP
    if word in _START_WORDS:
        return Keyword.START
    forms = {(words[0],), tuple(words)}
    if forms & own.stop:
        return Keyword.STOP
    return Keyword.START if forms & own.start else None


def _words(text: str) -> list[str]:
    """Return the words of a text in a normalized spelling, so that they can be compared."""
    text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", to_nfc(text))).casefold().replace("।", " ")
    words = _BETWEEN_WORDS.sub(" ", text).split()
    return ["".join(words)] if len(words) > 1 and all(len(word) == 1 for word in words) else words


def read_own_keywords(sent: object) -> dict[str, Any]:
    """Return an account's own keywords as they are stored: {language: {"stop": […], "start": […]}}. Raises InvalidInput."""
    if not isinstance(sent, Mapping):
        raise InvalidInput(
            'This must be an object with a list of words for each language, such as {"mai": {"stop": ["बन्न करू"]}}.'
        )
    read: dict[str, Any] = {}
    meaning: dict[tuple[str, ...], str] = {}
    for language, lists in sent.items():
        if not isinstance(language, str) or not _LANGUAGE.fullmatch(language):
            raise InvalidInput(
                f"“{str(language)[:40]}” is not the code of a language. Write it as in ne, en or mai."
            )
        if not isinstance(lists, Mapping) or not lists or set(lists) - {"stop", "start"}:
            raise InvalidInput(f"“{language}” must have lists called “stop” or “start”, and nothing else.")
        read[language] = {name: _read_list(name, lists[name], meaning) for name in lists}
    if len(meaning) > MAX_OWN_KEYWORDS:
        raise InvalidInput(
            f"These are {len(meaning)} keywords. An account can have at most {MAX_OWN_KEYWORDS}."
        )
    return read


def _read_list(name: str, sent: object, meaning: dict[tuple[str, ...], str]) -> list[str]:
    """Return a list of keywords, and add them to `meaning`, which maps each keyword to “stop” or “start”."""
    if not isinstance(sent, list | tuple) or not all(isinstance(text, str) for text in sent):
        raise InvalidInput(f"“{name}” must be a list of words.")
    if len(sent) > MAX_OWN_KEYWORDS:
        raise InvalidInput(f"“{name}” has {len(sent)} words. At most {MAX_OWN_KEYWORDS} are allowed.")
    read = []
    for text in (" ".join(str(one).split()) for one in sent):
        words = tuple(_words(text)) if len(text) <= MAX_KEYWORD_CHARACTERS else ()
        if not 1 <= len(words) <= MAX_WORDS:
            raise InvalidInput(
                f"“{text[:MAX_KEYWORD_CHARACTERS]}” cannot be a keyword. A keyword has 1 to {MAX_WORDS} words and at most"
                f" {MAX_KEYWORD_CHARACTERS} characters.",
                code="not_a_keyword",
            )
        known = keyword_in(text)
        if meaning.setdefault(words, name) != name or (known and known.name.lower() != name):
            raise InvalidInput(
                f"“{text}” cannot mean both: it already is a keyword of the other list.",
                code="keyword_of_both",
            )
        read.append(text)
    return read
