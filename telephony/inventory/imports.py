"""Import phone numbers into the inventory from CSV."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, BinaryIO, NamedTuple
from zlib import crc32

from django.conf import settings
from django.db import connection, transaction

from iris import csv_files
from iris.errors import Conflict, InvalidInput
from telephony.models import PhoneNumber
from telephony.numbering import InvalidNumber, parse, to_e164

NEEDED = ("number", "rate")
OPTIONAL = ("capabilities", "name", "trunks", "state")
MAX_ROWS = 100_000
MAX_BYTES = 16 * 1024 * 1024
MAX_RATE = Decimal("99999999.99")
MAX_NAME = 100
BATCH = 10_000

_AMOUNT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,2})?")
_BETWEEN_WORDS = re.compile(r"[\s,;|/+]+")
_CAPABILITIES = {"voice": "Voice", "call": "Voice", "calls": "Voice", "sms": "SMS"}
_RESERVED = {"": False, "available": False, "reserved": True}
_LOCK = crc32(b"telephony.inventory") - 2**31


class NumberRow(NamedTuple):
    """A row of the file. `to` is the number in E.164. `number` is the spelling that the inventory shows."""

    to: str
    number: str
    rate: Decimal
    capabilities: str
    name: str
    trunks: list[str]
    is_reserved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedNumbers:
    added: int
    changed: int


@dataclass(frozen=True, slots=True)
class _Sheet:
    columns: frozenset[str]
    lines: list[int]
    rows: list[NumberRow]


def import_numbers(*, file: BinaryIO, updates: bool = False) -> ImportedNumbers:
    """Add the numbers in a CSV file to the inventory. Return the counts.

    The first row has all headings in NEEDED, and any of the headings in OPTIONAL. With `updates`, numbers that exist already
    get the values of the columns in the file; otherwise they are errors. The state of sold and of retired numbers never
    changes here. Raises InvalidInput, with the first wrong rows, if any row is wrong; then nothing has changed.
    """
    sheet = _read(file)
    with transaction.atomic(), connection.cursor() as cursor:
        # Only one import runs at a time, because the same number can be written in several ways.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        # Web requests limit the time of each statement. These statements need no limit, because the size of the file is
        # limited.
        cursor.execute("SET LOCAL statement_timeout = 0")
        known = {
            to_e164(number) or number: (pk, invented is not None)
            for pk, number, invented in PhoneNumber.objects.values_list(
                "pk", "number", "invented_for"
            ).iterator()
        }
        _refuse_known(sheet, known, updates=updates)
        fresh = [row for row in sheet.rows if row.to not in known]
        for start in range(0, len(fresh), BATCH):
            batch = fresh[start : start + BATCH]
            cursor.execute(_INSERT, _columns(batch, [secrets.token_hex(16) for _ in batch]))
            if cursor.rowcount != len(batch):
                raise Conflict("Somebody else has added one of these numbers at the same moment. Try again.")
        old = [row for row in sheet.rows if row.to in known]
        for start in range(0, len(old), BATCH):
            batch = old[start : start + BATCH]
            cursor.execute(_update(sheet.columns), _columns(batch, [str(known[row.to][0]) for row in batch]))
    return ImportedNumbers(added=len(fresh), changed=len(old))


# Arrays of arrays must be rectangular, so the trunks of a number are sent as text.
_NEW = """(SELECT id, number, rate, capabilities, name, string_to_array(trunks, ' ') AS trunks, is_reserved
             FROM unnest(%s::text[], %s::text[], %s::numeric[], %s::text[], %s::text[], %s::text[], %s::boolean[])
                  AS rows(id, number, rate, capabilities, name, trunks, is_reserved)) AS new"""
_INSERT = f"""
    INSERT INTO telephony_phonenumber (sid, number, rate, capabilities, friendly_name, trunks, is_reserved)
    SELECT new.* FROM {_NEW} ON CONFLICT DO NOTHING
"""


def _update(columns: frozenset[str]) -> str:
    """Return the SQL that updates numbers, found by their ids, with the values of these columns of the file."""
    changes = ["rate = new.rate"]
    changes += [f"{name} = new.{name}" for name in ("capabilities", "trunks") if name in columns]
    if "name" in columns:
        changes.append("friendly_name = new.name")
    if "state" in columns:
        changes.append(
            "is_reserved = CASE WHEN old.owner_id IS NULL AND old.retired_at IS NULL THEN new.is_reserved"
            " ELSE old.is_reserved END"
        )
        changes.append("reserved_for_id = CASE WHEN new.is_reserved THEN old.reserved_for_id END")
    return f"UPDATE telephony_phonenumber AS old SET {', '.join(changes)} FROM {_NEW} WHERE old.id = new.id::bigint"


def _columns(rows: Sequence[NumberRow], ids: list[str]) -> list[Any]:
    return [
        ids,
        [row.number for row in rows],
        [row.rate for row in rows],
        [row.capabilities for row in rows],
        [row.name for row in rows],
        [" ".join(row.trunks) for row in rows],
        [row.is_reserved for row in rows],
    ]


def _refuse_known(sheet: _Sheet, known: dict[str, tuple[int, bool]], *, updates: bool) -> None:
    errors = []
    for line, row in zip(sheet.lines, sheet.rows, strict=True):
        if row.to in known:
            if known[row.to][1]:
                errors.append((line, f"{row.number} was invented for a test twin, so it cannot be sold"))
            elif not updates:
                errors.append(
                    (
                        line,
                        f"{row.number} is already in the inventory: remove this row, or update the numbers",
                    )
                )
    if errors:
        raise csv_files.wrong_rows(errors, so="no number was imported")


def _read(file: BinaryIO) -> _Sheet:
    """Return the rows of a CSV file. Raises InvalidInput, with the first wrong rows."""
    found: dict[str, int] = {}
    lines: list[int] = []
    rows: list[NumberRow] = []
    errors: list[tuple[int, str]] = []
    columns: frozenset[str] = frozenset()
    trunks = frozenset(settings.CARRIERS) - {settings.TWIN_TRUNK}
    for line, cells in csv_files.records(file, needed=NEEDED, optional=OPTIONAL):
        columns |= frozenset(cells)
        try:
            row = _parsed(cells, trunks)
            first = found.setdefault(row.to, line)
            if first != line:
                raise InvalidInput(f"{row.number} is also in row {first}: remove one of them")
        except InvalidInput as error:
            errors.append((line, error.message.rstrip(".")))
        else:
            rows.append(row)
            lines.append(line)
        if len(rows) + len(errors) > MAX_ROWS:
            raise InvalidInput(f"The file has more than {MAX_ROWS:,} numbers. Split it.")
    if errors:
        raise csv_files.wrong_rows(errors, so="no number was imported")
    if not rows:
        raise InvalidInput("The file has no numbers below its headings.")
    return _Sheet(columns, lines, rows)


def _parsed(cells: dict[str, str], trunks: frozenset[str]) -> NumberRow:
    """Return the number of a row. Raises InvalidInput."""
    number, rate, capabilities, name, shown_by, state = (
        cells.get(column, "").strip() for column in (*NEEDED, *OPTIONAL)
    )
    if cells[csv_files.NO_HEADING].strip():  # such as 12,50 without quotation marks
        raise InvalidInput("it has more cells than the first row: write the rate with a point, such as 12.50")
    to, written = _number(number)
    if len(name) > MAX_NAME or not name.isprintable():
        raise InvalidInput(f"the name {csv_files.quoted(name)} is not text of at most {MAX_NAME} characters")
    aliases = sorted({alias for alias in _BETWEEN_WORDS.split(shown_by) if alias})
    if unknown := [alias for alias in aliases if alias not in trunks]:
        raise InvalidInput(f"{csv_files.quoted(unknown[0])} is no trunk of the carriers file")
    if state.lower() not in _RESERVED:
        raise InvalidInput(f"{csv_files.quoted(state)} is no state: write available or reserved")
    return NumberRow(
        to, written, _rate(rate), _capability(capabilities), name, aliases, _RESERVED[state.lower()]
    )


def _number(text: str) -> tuple[str, str]:
    """Return a number in E.164, and the spelling that the inventory shows: as it was written, without separators."""
    try:
        parsed = parse(text)
    except InvalidNumber as error:
        raise InvalidInput(error.message) from error
    if not parsed.to:
        raise InvalidInput(f"{csv_files.quoted(text)} is not a phone number of any country")
    written = re.sub(r"[^0-9+]", "", parsed.number)
    return parsed.to, parsed.to if written.startswith(("+", "00")) else written


def _rate(text: str) -> Decimal:
    if not _AMOUNT.fullmatch(text) or Decimal(text) > MAX_RATE:
        raise InvalidInput(f"{csv_files.quoted(text)} is no rate: write the price in credits as 40 or 12.50")
    return Decimal(text)


def _capability(text: str) -> str:
    words = [word for word in _BETWEEN_WORDS.split(text.lower()) if word] or ["voice", "sms"]
    if unknown := [word for word in words if word not in _CAPABILITIES]:
        raise InvalidInput(f"{csv_files.quoted(unknown[0])} is no capability: write voice, sms or both")
    return ", ".join(sorted({_CAPABILITIES[word] for word in words}, reverse=True))
