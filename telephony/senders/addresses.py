"""Parse the address of a sender: a name, a number or a short code."""

from __future__ import annotations

import enum
import re

from iris.errors import InvalidInput
from telephony import numbering

MAX_NAME = 11  # GSM limits an alphanumeric address to 11 characters of 7 bits
SHORT_CODE_DIGITS = range(3, 7)
MAX_SHOWN = 40  # maximum number of characters of an invalid sender in an error message

# Only characters that are in the GSM alphabet and in ASCII, so that no carrier has to convert them.
_NAME = re.compile(r"[A-Za-z0-9 ._&-]+")


class InvalidSender(InvalidInput):
    """No phone can show this sender. The message gives the reason."""

    default_code = "invalid_sender"


class SenderKind(enum.StrEnum):
    NAME = "name"
    NUMBER = "number"
    SHORT_CODE = "short_code"


def kind_of(address: str) -> SenderKind:
    """Return the kind of a parsed sender."""
    if address.startswith("+"):
        return SenderKind.NUMBER
    return SenderKind.SHORT_CODE if address.isdigit() else SenderKind.NAME


def parse_address(raw: object) -> str:
    """Parse a sender; return a name, a number in E.164, or the digits of a short code. Raises InvalidSender."""
    text = " ".join(str(raw).split()) if isinstance(raw, str | int) and not isinstance(raw, bool) else ""
    if not text:
        raise InvalidSender(
            "The sender is missing. Write a name, a number with its country code, or a short code."
        )
    if any(character.isalpha() for character in text):
        return _name(text)
    if text.isascii() and text.isdigit() and len(text) in SHORT_CODE_DIGITS:
        return text
    return _number(text)


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise InvalidSender(
            f"“{text[:MAX_SHOWN]}” has characters some phones cannot show. Use Latin letters, digits, spaces and . _ & -."
        )
    if len(text) > MAX_NAME:
        raise InvalidSender(
            f"“{text[:MAX_SHOWN]}” is too long: a name can have {MAX_NAME} characters, this one has {len(text)}."
        )
    return text


def _number(text: str) -> str:
    try:
        number = numbering.parse(text).to
    except numbering.InvalidNumber:
        number = ""
    if not number:
        raise InvalidSender(
            f"“{text[:MAX_SHOWN]}” is no sender: write a name with a letter, a number with its country code, or a short"
            f" code of {SHORT_CODE_DIGITS[0]} to {SHORT_CODE_DIGITS[-1]} digits."
        )
    return number
