"""The opt-out list, and the keywords STOP and START in inbound SMS.

STOP or रोक्नुहोस् puts the sender on the opt-out list of the account whose SMS the message answers; START or सुरु removes
the sender. Dispatch applies the list to calls and SMS (`engine.lifecycle.claim`), but not to OTPs, which recipients
request themselves.
"""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Sequence
from enum import Enum, auto

from django.db import connection

from accounts.people.pseudonyms import spellings_of
from telephony.models import OptOut
from telephony.speech.nfc import to_nfc

log = logging.getLogger(__name__)

# Longer messages are ordinary text, even if the first word is a keyword.
MAX_WORDS = 3
MAX_CHARACTERS = 200  # of the keyword, with spaces and marks around it

_STOP_WORDS = {
    "stop",
    "stopall",
    "unsubscribe",
    "unsub",
    "optout",
    "roka",
    "roknu",
    "roknus",
    "roknuhos",
    "banda",
    "bandha",
    "रोक्नुहोस्",
    "रोक्नुहोस",
    "रोक्नुस्",
    "रोक्नुस",
    "रोक",
    "रोक्नु",
    "रोकिदिनुहोस्",
    "रोकिदिनुस्",
    "बन्द",
    "बन्दा",
    "नपठाउनुहोस्",
    "नपठाउनुहोस",
    "नपठाउनुस्",
    "नपठाउनुस",
    "नपठाउनु",
}
_START_WORDS = {"start", "unstop", "subscribe", "सुरु", "सुरू", "शुरु", "शुरू"}
# These words opt out only if the SMS contains nothing else ("cancel my order" is ordinary text).
_STOP_WORDS_ALONE = {"cancel", "end", "quit", "revoke"}
_TWO_WORDS = {("opt", "out"): "optout"}
_POLITE_WORDS = {"please", "pls", "plz", "kindly", "कृपया"}  # before a keyword
_INVISIBLE = re.compile("[\u200b-\u200d\ufeff]")
_BETWEEN_WORDS = re.compile(r"[^\w\u0900-\u097f]+")


class Keyword(Enum):
    STOP = auto()
    START = auto()


def keyword_in(text: str) -> Keyword | None:
    """Return the keyword of an inbound SMS: its first word, in any case, if the SMS has at most MAX_WORDS words.

    "Please" may come before it. Full-width letters, dots and spaces between single letters do not matter.
    """
    text = text.strip()
    if len(text) > MAX_CHARACTERS:
        return None
    text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", to_nfc(text))).casefold().replace("।", " ")
    words = _BETWEEN_WORDS.sub(" ", text).split()
    if len(words) > 1 and all(len(word) == 1 for word in words):
        words = ["".join(words)]
    if not words or len(words) > MAX_WORDS:
        return None
    if len(words) > 1 and words[0] in _POLITE_WORDS:
        words = words[1:]
    word = _TWO_WORDS.get((words[0], words[-1]), words[0])
    if word in _STOP_WORDS or (word in _STOP_WORDS_ALONE and words[1:] in ([], ["all"])):
        return Keyword.STOP
    if word in _START_WORDS:
        return Keyword.START
    return None


def update_list(added: dict[tuple[int, str], str], *, removed: Sequence[tuple[int, str]] = ()) -> None:
    """Add (account, number) pairs with their source to the opt-out list, and remove others."""
    OptOut.objects.bulk_create(
        [
            OptOut(owner_id=owner, number=number, source=source[:200])
            for (owner, number), source in added.items()
        ],
        ignore_conflicts=True,
    )
    if removed:
        # A number that was erased is on the list by its pseudonym.
        listed = [(owner, text) for owner, number in removed for text in spellings_of(number, owner_id=owner)]
        with connection.cursor() as cursor:
            cursor.execute(
                """DELETE FROM telephony_optout o USING unnest(%s::bigint[], %s::text[]) AS e(owner_id, number)
                    WHERE o.owner_id = e.owner_id AND o.number = e.number""",
                [[owner for owner, _ in listed], [number for _, number in listed]],
            )
