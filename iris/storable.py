"""Check whether PostgreSQL can store a text. It cannot store NUL characters and unpaired surrogates."""

import re
from typing import Final

NOT_STORABLE: Final = "\x00\ud800-\udfff"  # the content of a character class of a regular expression
_NOT_STORABLE = re.compile(f"[{NOT_STORABLE}]")


def is_storable(text: str) -> bool:
    """Return whether PostgreSQL can store this text."""
    return _NOT_STORABLE.search(text) is None


def storable(text: str) -> str:
    """Return the text without characters that PostgreSQL cannot store.

    For text that is not refused with an error message, such as an inbound SMS.
    """
    return _NOT_STORABLE.sub("", text)
