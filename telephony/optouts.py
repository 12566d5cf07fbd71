"""What people send back, and who wants no more.

An answer of STOP or रोक्नुहोस् puts its sender on the opt-out list of the account whose message it answers, and START
or सुरु takes them off again. Dispatch honours the list for calls and SMS (`lifecycle.claim`), but not for OTPs, which
people ask for themselves.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from enum import Enum, auto

from django.db import connection

from telephony.models import OptOut
from telephony.speech.nfc import normalised

log = logging.getLogger(__name__)

# Longer messages are about something else, whatever their first word is.
MOST_WORDS = 3

_STOP = {
    "stop",
    "stopall",
    "unsubscribe",
    "optout",
    "रोक्नुहोस्",
    "रोक्नुहोस",
    "रोक्नुस्",
    "रोक्नुस",
    "रोक",
    "रोक्नु",
    "बन्द",
}
_START = {"start", "unstop", "subscribe", "सुरु", "सुरू", "शुरु", "शुरू"}
_INVISIBLE = re.compile("[\u200b-\u200d\ufeff]")
_NOT_IN_WORDS = re.compile(r"[^\w\u0900-\u097f]+")


class Wish(Enum):
    STOP = auto()
    START = auto()


def wish_of(text: str) -> Wish | None:
    """What somebody wants who answers this: the first word counts, in any case, of a message of three words at most."""
    text = _INVISIBLE.sub("", normalised(text)).casefold().replace("।", " ")
    words = _NOT_IN_WORDS.sub(" ", text).split()
    if not words or len(words) > MOST_WORDS:
        return None
    if words[0] in _STOP:
        return Wish.STOP
    if words[0] in _START:
        return Wish.START
    return None


def opt_out(stopped: dict[tuple[int, str], str], *, back: Sequence[tuple[int, str]] = ()) -> None:
    """Put (account, number) on the list, each with what it comes from, and take others off it."""
    OptOut.objects.bulk_create(
        [
            OptOut(owner_id=owner, number=number, source=source[:200])
            for (owner, number), source in stopped.items()
        ],
        ignore_conflicts=True,
    )
    if back:
        with connection.cursor() as cursor:
            cursor.execute(
                """DELETE FROM telephony_optout o USING unnest(%s::bigint[], %s::text[]) AS e(owner_id, number)
                    WHERE o.owner_id = e.owner_id AND o.number = e.number""",
                [[owner for owner, _ in back], [number for _, number in back]],
            )
