"""Pseudonyms: keyed hashes that replace erased phone numbers in opt-out lists, so that the opt-outs stay in force.

A pseudonym is an HMAC of account and number. Without the key, which is not in the database, nobody can find out the
number by hashing all numbers. The same number has another pseudonym in each account. PostgreSQL computes the same HMAC
(`sql_of`).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

from django.conf import settings

MARK = "#"  # no phone number begins with this character
_DIGITS = 31  # hexadecimal digits; with MARK, a pseudonym fits into the column of a number
_BLOCK = 64  # block size of SHA-256 in bytes


def pseudonym_of(number: str, *, owner_id: int) -> str:
    """Return the pseudonym of a number in E.164."""
    return _pseudonym(number, owner_id, next(_keys()))


def spellings_of(number: str, *, owner_id: int) -> list[str]:
    """Return all spellings of a number in opt-out lists: the number itself, and its pseudonyms under all keys."""
    return [number, *(_pseudonym(number, owner_id, key) for key in _keys())]


def sql_of(owner: str, number: str) -> tuple[str, dict[str, Any]]:
    """Return SQL expressions, separated by commas, of the pseudonyms of a number, and their parameters.

    `owner` and `number` are the SQL of the account's id and of the number.
    """
    expressions: list[str] = []
    parameters: dict[str, Any] = {}
    for place, key in enumerate(_keys()):
        parameters[f"inner{place}"], parameters[f"outer{place}"] = _pads(key)
        expressions.append(
            f"""'{MARK}' || left(encode(sha256(%(outer{place})s::bytea || sha256(
                %(inner{place})s::bytea || convert_to({owner} || ':' || {number}, 'UTF8'))), 'hex'), {_DIGITS})"""
        )
    return ", ".join(expressions), parameters


def _pseudonym(number: str, owner_id: int, key: bytes) -> str:
    digest = hmac.new(key, f"{owner_id}:{number}".encode(), hashlib.sha256).hexdigest()
    return MARK + digest[:_DIGITS]


def _keys() -> Iterator[bytes]:
    """Yield the key of new pseudonyms, and then those of older ones."""
    for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        yield hashlib.sha256(b"iris.pseudonyms:" + str(secret).encode()).digest()


def _pads(key: bytes) -> tuple[bytes, bytes]:
    """Return the inner and the outer key of HMAC (RFC 2104)."""
    padded = key.ljust(_BLOCK, b"\0")
    return bytes(byte ^ 0x36 for byte in padded), bytes(byte ^ 0x5C for byte in padded)
