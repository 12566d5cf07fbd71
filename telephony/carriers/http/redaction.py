"""Remove secrets and phone numbers from what carriers write, before it reaches a log or an operator."""

from __future__ import annotations

import re
from collections.abc import Collection

MAX_TEXT = 160
_NUMBER = re.compile(r"\+?[0-9][0-9 ()-]{4,}[0-9]")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\s]+")
_TAGS = re.compile(r"<[^>]{0,200}>")


def redacted(text: str, secrets: Collection[str] = ()) -> str:
    """Return one short line without these secrets, and with only the last two digits of each phone number."""
    text = text[: 20 * MAX_TEXT]
    for secret in secrets:
        if secret:
            text = text.replace(secret, "…")
    text = _UNPRINTABLE.sub(" ", _TAGS.sub(" ", text))
    return _NUMBER.sub(_last_two, text).strip()[:MAX_TEXT]


def _last_two(found: re.Match[str]) -> str:
    return f"…{found[0][-2:]}"
