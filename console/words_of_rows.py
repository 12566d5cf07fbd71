"""Say in the language of the person what is wrong with the rows of a sheet that were left out.

The domain explains each row with an English sentence, which is stored and which the APIs answer. Other languages get the
sentence here that belongs to a part of it. A row whose sentence has none of these parts is only called wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from iris.languages import ENGLISH

SENTENCES: tuple[tuple[str, Promise], ...] = (
    ("is missing", _("The phone number is missing.")),
    ("too short", _("%(number)s is too short for a phone number. Write 7 to 15 digits, such as 9841234567.")),
    ("too long", _("%(number)s is too long for a phone number. Write one number, such as 9841234567.")),
    ("characters that no phone number has", _("%(number)s has characters that no phone number has.")),
    (
        "has lost digits",
        _("%(number)s has lost digits. Format the column as text in the sheet and enter the number again."),
    ),
    ("begins with a minus", _("%(number)s begins with a minus. Write the phone number without it.")),
)
OTHERS = _("This is not a phone number. Write 7 to 15 digits, such as 9841234567.")


def row_errors(errors: Iterable[Mapping[str, Any]]) -> list[tuple[int | None, str]]:
    """Return the position of each row that was left out, and a sentence that says why."""
    return [(one.get("row"), _sentence(one["message"])) for one in errors if "message" in one]


def _sentence(english: str) -> str:
    if get_language() == ENGLISH:
        return english
    quoted, end, problem = english.rpartition("”")
    number = quoted + end if end and quoted.startswith("“") else ""
    # What was typed may contain any words, so only what follows it says what is wrong.
    reason = problem if number else english
    for part, sentence in SENTENCES:
        if part in reason and (number or "%(number)s" not in str(sentence)):
            return str(sentence).replace("%(number)s", number)
    return str(OTHERS)
