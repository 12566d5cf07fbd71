"""Which text PostgreSQL can store: no NUL character, and no half of a surrogate pair. The one definition of it."""

import re
from typing import Final

NOT_STORABLE: Final = "\x00\ud800-\udfff"  # as a character class of a regular expression has it
_NOT_STORABLE = re.compile(f"[{NOT_STORABLE}]")


def is_storable(text: str) -> bool:
    """Whether PostgreSQL can store this text."""
    return _NOT_STORABLE.search(text) is None


def storable(text: str) -> str:
    """Return the text without the characters that PostgreSQL cannot store: for text that nobody can be asked about."""
    return _NOT_STORABLE.sub("", text)
