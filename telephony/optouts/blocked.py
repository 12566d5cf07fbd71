"""The operator's list of numbers that no account may contact."""

from __future__ import annotations

from typing import BinaryIO

from django.db import connection, transaction

from iris import csv_files
from iris.errors import InvalidInput
from telephony.models import BlockedNumber
from telephony.numbering import parse

MAX_ROWS = 1_000_000
MAX_REASON_CHARACTERS = 200
_YES, _NO = ("yes", "true", "1"), ("no", "false", "0", "")


@transaction.atomic
def import_blocked(*, file: BinaryIO) -> int:
    """Block the numbers in a CSV file; return how many rows it has.

    The file has the column `number`, and optionally `also_otps` (yes or no) and `reason`. A number that is blocked already
    gets the values of the file. Raises InvalidInput with the first wrong rows; nothing changes then.
    """
    found: dict[str, tuple[bool, str]] = {}
    errors: list[tuple[int, str]] = []
    for line, cells in csv_files.records(file, needed=("number",), optional=("also_otps", "reason")):
        also_otps = cells.get("also_otps", "").strip().lower()
        try:
            if also_otps not in (*_YES, *_NO):
                raise InvalidInput(f"{csv_files.quoted(also_otps)} is neither yes nor no")
            reason = cells.get("reason", "").strip()[:MAX_REASON_CHARACTERS]
            found[read_number(cells.get("number", ""))] = also_otps in _YES, reason
        except InvalidInput as error:
            errors.append((line, error.message.rstrip(".")))
        if len(found) + len(errors) > MAX_ROWS:
            raise InvalidInput(f"The file has more than {MAX_ROWS:,} numbers. Split it.")
    if errors:
        raise csv_files.wrong_rows(errors, so="no number was blocked")
    if not found:
        raise InvalidInput("The file has no numbers below its headings.")
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO telephony_blockednumber (number, also_otps, reason)
               SELECT * FROM unnest(%s::text[], %s::bool[], %s::text[])
                   ON CONFLICT (number) DO UPDATE SET also_otps = excluded.also_otps, reason = excluded.reason""",
            [
                sorted(found),
                [found[one][0] for one in sorted(found)],
                [found[one][1] for one in sorted(found)],
            ],
        )
    return len(found)


def unblock(number: object) -> bool:
    """Remove a number from the list; return whether it was there. Raises InvalidInput."""
    return BlockedNumber.objects.filter(number=read_number(number)).delete()[0] > 0


def read_number(number: object) -> str:
    """Return a number in E.164. Raises InvalidInput if it is not a phone number of any country."""
    parsed = parse(number)
    if not parsed.to:
        raise InvalidInput(f"{parsed.number} is not a phone number of any country.")
    return parsed.to
