"""Import the prices of a tariff from CSV."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import BinaryIO, NamedTuple

from django.db import connection, transaction

from iris import csv_files
from iris.errors import InvalidInput
from telephony.models import Channel, Tariff, TariffPrice
from telephony.models.tariffs import MAX_PREFIX_DIGITS, MAX_PULSE_SECONDS, MAX_RATE
from telephony.pricing import RATE_PLACES

COLUMNS = ("prefix", "channel", "credits", "pulse_seconds")
MAX_ROWS = 1_000_000
MAX_BYTES = 64 * 1024 * 1024
BATCH = 20_000

_CHANNELS = {"call": Channel.CALL, "phone": Channel.CALL, "sms": Channel.SMS}
_SEPARATORS = re.compile(r"[\s()-]+")  # No dots: a spreadsheet may write 977 as 977.0, which is not 9770
_AMOUNT = re.compile(r"[0-9]{1,9}(\.[0-9]{1,20})?")
_SECONDS = re.compile(r"[0-9]{1,9}")


class PriceRow(NamedTuple):
    channel: str
    prefix: str
    credits: Decimal
    pulse_seconds: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedPrices:
    """The number of rows in the file, and of prices that the tariff has now."""

    rows: int
    prices: int


def import_prices(*, tariff: Tariff, file: BinaryIO, replaces: bool = False) -> ImportedPrices:
    """Add the prices in a CSV file to a tariff; replace prices that the tariff already has. Return the counts.

    The first row has the headings `prefix`, `channel`, `credits` and `pulse_seconds`, in any order, separated by commas,
    semicolons or tabs. With `replaces`, the tariff loses all prices that are not in the file. Runs that have begun keep
    their prices. Raises InvalidInput, with the first wrong rows, if any row is wrong; then nothing has changed.
    """
    rows = read_prices(file)
    with transaction.atomic():
        # Only one import into a tariff runs at a time, so that two files are not mixed.
        Tariff.objects.select_for_update(no_key=True).get(pk=tariff.pk)
        with connection.cursor() as cursor:
            # Web requests limit the time of each statement. These statements need no limit, because the size of the file is
            # limited.
            cursor.execute("SET LOCAL statement_timeout = 0")
            if replaces:
                cursor.execute("DELETE FROM telephony_tariffprice WHERE tariff_id = %s", [tariff.pk])
            for start in range(0, len(rows), BATCH):
                batch = rows[start : start + BATCH]
                cursor.execute(_UPSERT, [tariff.pk, *(list(column) for column in zip(*batch, strict=True))])
        prices = TariffPrice.objects.filter(tariff=tariff).count()
    return ImportedPrices(rows=len(rows), prices=prices)


_UPSERT = """
    INSERT INTO telephony_tariffprice AS old (tariff_id, channel, prefix, credits, pulse_seconds)
    SELECT %s, new.* FROM unnest(%s::text[], %s::text[], %s::numeric[], %s::integer[]) AS new
        ON CONFLICT (tariff_id, channel, prefix) DO UPDATE
       SET credits = excluded.credits, pulse_seconds = excluded.pulse_seconds
     WHERE (old.credits, old.pulse_seconds) IS DISTINCT FROM (excluded.credits, excluded.pulse_seconds)
"""


def read_prices(file: BinaryIO) -> list[PriceRow]:
    """Return the rows of a CSV file. Raises InvalidInput, with the first wrong rows."""
    found: dict[tuple[str, str], int] = {}
    rows: list[PriceRow] = []
    errors: list[tuple[int, str]] = []
    for line, cells in csv_files.records(file, needed=COLUMNS):
        try:
            row = _parsed(cells)
            first = found.setdefault((row.channel, row.prefix), line)
            if first != line:
                raise InvalidInput(f"the price of +{row.prefix} is also in row {first}: remove one of them")
        except InvalidInput as error:
            errors.append((line, error.message))
        else:
            rows.append(row)
        if len(rows) + len(errors) > MAX_ROWS:
            raise InvalidInput(f"The file has more than {MAX_ROWS:,} prices. Split it.")
    if errors:
        raise csv_files.wrong_rows(errors, so="no price was imported")
    if not rows:
        raise InvalidInput("The file has no prices below its headings.")
    return rows


def _parsed(cells: dict[str, str]) -> PriceRow:
    """Return the price of a row. Raises InvalidInput, with a sentence without its full stop."""
    prefix, channel, amount, pulse = (cells.get(column, "").strip() for column in COLUMNS)
    if cells[csv_files.NO_HEADING].strip():  # for example, 1,50 without quotation marks is two cells
        raise InvalidInput("it has more cells than the first row: write credits with a point, such as 1.5")
    if channel.lower() not in _CHANNELS:
        raise InvalidInput(f"{csv_files.quoted(channel)} is no channel: write call or sms")
    digits = read_prefix(prefix)
    credits = _read_credits(amount)
    if _CHANNELS[channel.lower()] is Channel.SMS:
        if pulse:
            raise InvalidInput("an SMS has no pulse: leave pulse_seconds empty")
        return PriceRow(Channel.SMS.value, digits, credits, None)
    if not (_SECONDS.fullmatch(pulse) and 1 <= int(pulse) <= MAX_PULSE_SECONDS):
        raise InvalidInput(
            f"pulse_seconds is {csv_files.quoted(pulse)}: a call needs the length of a pulse, from 1 to {MAX_PULSE_SECONDS}"
        )
    return PriceRow(Channel.CALL.value, digits, credits, int(pulse))


def read_prefix(text: str) -> str:
    """Return the digits of a prefix such as 977, +977 or +977 98. Raises InvalidInput, without a full stop."""
    digits = _SEPARATORS.sub("", text).removeprefix("+")
    if digits.isascii() and digits.isdecimal() and digits[0] != "0" and len(digits) <= MAX_PREFIX_DIGITS:
        return digits
    raise InvalidInput(
        f"{csv_files.quoted(text)} is no prefix: write at most {MAX_PREFIX_DIGITS} digits that begin with a country code,"
        " such as 977"
    )


def _read_credits(text: str) -> Decimal:
    try:
        credits = Decimal(text) if _AMOUNT.fullmatch(text) else None
    except InvalidOperation:
        credits = None
    if credits is None:
        raise InvalidInput(f"{csv_files.quoted(text)} is no number of credits: write it as 2 or 0.75")
    if credits > MAX_RATE:
        raise InvalidInput(
            f"{csv_files.quoted(text)} credits are too many: at most {MAX_RATE:,} are possible"
        )
    if credits != round(credits, RATE_PLACES):
        raise InvalidInput(f"{csv_files.quoted(text)} has more than {RATE_PLACES} digits after the point")
    return credits
