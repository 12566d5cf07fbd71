"""The definition of storable text agrees with PostgreSQL, and is the only one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.db import DataError, connection, transaction

from iris.storable import is_storable, storable

ROOT = Path(__file__).parents[2]

CHARACTERS = (
    *(0x00, 0xD800, 0xDBFF, 0xDC00, 0xDFFF),
    *(0x01, 0x61, 0x7F, 0x80, 0xD7FF, 0xE000, 0xFFFD, 0xFFFE, 0xFFFF, 0x1F64F, 0x10FFFF),
)


def takes(text: str) -> bool:
    """Return whether PostgreSQL stores this text unchanged."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT %s::text", [text])
            return bool(cursor.fetchone()[0] == text)
    except (DataError, UnicodeEncodeError, ValueError):
        return False


@pytest.mark.django_db
@pytest.mark.parametrize("character", CHARACTERS, ids=hex)
def test_is_storable_agrees_with_postgresql(character: int) -> None:
    text = f"a{chr(character)}b"
    assert is_storable(text) is takes(text)
    assert is_storable(storable(text))
    assert storable(text) == (text if is_storable(text) else "ab")


def test_no_other_file_defines_storable_text() -> None:
    own = re.compile(r"\\ud800|replace\(.\\(0|x00)")
    files = [
        path.relative_to(ROOT).as_posix()
        for app in ("accounts", "campaigns", "console", "iris", "otp", "telephony", "webhooks")
        for path in (ROOT / app).rglob("*.py")
        if own.search(path.read_text(encoding="utf-8"))
    ]
    assert files == ["iris/storable.py"]
