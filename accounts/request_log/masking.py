"""Remove from bodies and addresses of requests what others must not read, and make them short.

Passwords, tokens, keys, one-time passwords and texts of messages are recognized by the names of their fields, and tokens
also by their form. Of phone numbers, the last two digits remain. What is left may still have names and tags of people.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from iris.storable import storable

MAX_BODY_BYTES = 4 * 1024
MAX_PATH_CHARACTERS = 500
MAX_QUERY_CHARACTERS = 1_000
MAX_KEY_CHARACTERS = 200
MAX_NESTED_TEXT = 64 * 1024  # characters of JSON within a text that are parsed
MAX_DEPTH = 12
MASK = "***"
MORE = "…"

# Words of field names. A field is masked if its name has one of them (`sms_message`, `newPassword`).
_SECRET_WORDS = {
    "password", "passwd", "passphrase", "pass", "pwd", "token", "secret", "otp",
    "pin", "jwt", "authorization", "cookie", "credential", "signature", "access", "refresh",
    "key", "apikey", "code", "message", "text", "body", "reply", "transcript",
}  # fmt: skip
# These are masked if they are the whole name, because in longer names they mean something else.
_SECRET_NAMES = {"reason", "note", "answer", "response", "content"}
_PLAIN_NAMES = {"otp_options"}
_NAMES_OF_OBJECTS = {"key"}  # the fields of these objects have names of their own
_IDS = re.compile(r"(?:^|_)(?:id|sid|pk)$", re.IGNORECASE)
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")

# The regular expressions begin at few places and do not backtrack, so the worst text takes as long as any other.
_SEPARATOR = r"[ \t\r\n.()\[\]/\-\u00a0\u2007\u2009\u200b-\u200f\u2010-\u2015\u202f\u2212]{0,4}"
# A time is matched first, so that its digits are not taken for a phone number.
_TIME_OR_NUMBER = re.compile(
    r"(?P<time>(?<!\d)(?:19|20)\d\d-[01]\d-[0-3]\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:[+-]\d\d:?\d\d)?)?(?!\d))"
    rf"|[+＋]?\d(?:{_SEPARATOR}\d){{6,}}"
)
_TOKEN = re.compile(
    r"whsec_[\w+/=-]++"
    r"|(?i:\b(?:bearer|token)\s++)[\w.+/=-]{8,}+"
    r"|(?<![\w-])[\w-]{10,}+\.[\w-]{10,}+\.[\w-]{5,}+"  # a JSON web token
    r"|(?<![\w-])[A-Za-z0-9_-]{40,}+"
    r"|\b[0-9a-fA-F]{32,}+\b"
)
_QUERY_OF_URL = re.compile(r"(https?://[^\s?\"]{1,2000}+)\?[^\s\"]*+")

LARGEST_PLAIN_NUMBER = 10**7  # larger ones may be phone numbers, unless they are ids


def masked_text(text: str, *, most: int = MAX_BODY_BYTES) -> str:
    """Return at most `most` characters of a text, without tokens and without all but the last two digits of numbers."""
    if len(text) > most:
        # A number that is cut may be too short to be recognized.
        while most and not text[most - 1].isalpha():
            most -= 1
        text = text[:most] + MORE
    text = _QUERY_OF_URL.sub(rf"\1?{MASK}", text)
    text = _TOKEN.sub(MASK, text)
    return _TIME_OR_NUMBER.sub(_masked_number, text)


def masked_address(path: str, query: str) -> str:
    """Return the path and the query of a request, at most MAX_PATH_CHARACTERS."""
    shown = masked_text(storable(path), most=MAX_PATH_CHARACTERS)
    if query:
        pairs = parse_qsl(query[:MAX_QUERY_CHARACTERS], keep_blank_values=True)
        if len(query) > MAX_QUERY_CHARACTERS:
            pairs[-1:] = [(MORE, "")]
        masked = [
            (masked_text(name), MASK if _is_secret(name) else masked_text(value)) for name, value in pairs
        ]
        shown += "?" + "&".join(f"{name}={value}" for name, value in masked)
    return storable(shown)[:MAX_PATH_CHARACTERS]


def masked_body(body: Any, *, own_words: Iterable[str] = (), is_error: bool = False) -> str:
    """Return a parsed body as JSON of at most MAX_BODY_BYTES bytes, which ends with “…” if it was longer.

    `own_words` are the names of top-level fields in which iris itself speaks. In errors it does so everywhere. The time that
    this takes does not depend on the length of the body.
    """
    masking = _Masking(by_name=not is_error)
    if isinstance(body, Mapping) and (spoken := [name for name in own_words if name in body]):
        shown = {name: _Masking(by_name=False).value(body[name]) for name in spoken}
        rest = masking.value({name: value for name, value in body.items() if name not in spoken})
        # In the order of the body.
        value: Any = {name: shown.get(name, rest.get(name)) for name in body if name in shown or name in rest}
        if MORE in rest:
            value[MORE] = MORE
    else:
        value = masking.value(body)
    text = json.dumps(value, ensure_ascii=False, default=str, separators=(", ", ": "))
    raw = text.encode("utf-8", "replace")
    if len(raw) <= MAX_BODY_BYTES:
        return text.encode("utf-8", "replace").decode()
    more = MORE.encode()
    return raw[: MAX_BODY_BYTES - len(more)].decode("utf-8", "ignore") + MORE


class _Masking:
    """Masks one body. It stops when it has returned about MAX_BODY_BYTES characters."""

    def __init__(self, *, by_name: bool) -> None:
        self._by_name = by_name
        self._left = MAX_BODY_BYTES

    def value(self, value: Any, *, name: str = "", depth: int = 0) -> Any:
        self._left -= 2
        if value is None or isinstance(value, bool):
            return value
        is_plain = (isinstance(value, int) and _IDS.search(name)) or (
            isinstance(value, Mapping) and name in _NAMES_OF_OBJECTS
        )
        if self._by_name and _is_secret(name) and not is_plain and value not in ("", [], {}):
            self._left -= len(MASK)
            return MASK
        if depth > MAX_DEPTH:
            return MORE
        if hasattr(value, "lists"):  # a form
            value = {key: items[0] if len(items) == 1 else items for key, items in value.lists()}
        if isinstance(value, Mapping):
            return self._object(value, depth)
        if isinstance(value, list | tuple):
            return self._list(value, name, depth)
        if hasattr(value, "chunks"):
            return f"(file of {value.size:,} bytes)"
        if isinstance(value, int | float):
            return self._number(value, name)
        return self._text(str(value), name, depth)

    def _object(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, item in value.items():
            if self._left <= 0:
                found[MORE] = MORE
                break
            key = str(key)
            shown = masked_text(key, most=MAX_KEY_CHARACTERS)
            self._left -= len(shown)
            found[shown] = self.value(item, name=key[:MAX_KEY_CHARACTERS], depth=depth + 1)
        return found

    def _list(self, value: list[Any] | tuple[Any, ...], name: str, depth: int) -> list[Any]:
        found: list[Any] = []
        # A list such as `messages` has texts to mask, or objects whose own fields have names.
        is_secret = self._by_name and _is_secret(name.removesuffix("s"))
        for item in value:
            if self._left <= 0:
                found.append(MORE)
                break
            if is_secret and not isinstance(item, Mapping | list):
                self._left -= len(MASK)
                found.append(MASK)
            else:
                found.append(self.value(item, name=name if isinstance(item, list) else "", depth=depth + 1))
        return found

    def _number(self, value: float, name: str) -> Any:
        self._left -= 8
        if isinstance(value, float) and not math.isfinite(value):
            return str(value)
        if abs(value) < LARGEST_PLAIN_NUMBER or (_IDS.search(name) and abs(value) < 10**19):
            return value
        return f"{MORE}{int(abs(value)) % 100:02}"

    def _text(self, text: str, name: str, depth: int) -> Any:
        # Forms, and some JSON clients, send lists and objects as JSON in a text.
        if text.lstrip()[:1] in ("{", "["):
            parsed = _parsed(text)
            if parsed is not None:
                return self.value(parsed, name=name, depth=depth + 1)
            if len(text) > MAX_NESTED_TEXT:
                return f"(JSON of {len(text):,} characters)"
        shown = masked_text(text, most=max(self._left, 1))
        self._left -= len(shown)
        return shown


def _parsed(text: str) -> Any:
    if len(text) > MAX_NESTED_TEXT:
        return None
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict | list) else None


def _is_secret(name: str) -> bool:
    if name.lower() in _SECRET_NAMES:
        return True
    return name not in _PLAIN_NAMES and any(word.lower() in _SECRET_WORDS for word in _WORDS.findall(name))


def _masked_number(match: re.Match[str]) -> str:
    if match["time"] is not None:
        return match[0]
    digits = [character for character in match[0] if character.isdigit()]
    return MORE + "".join(digits[-2:])
