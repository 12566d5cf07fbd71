"""Read the CSV files that people import, and name their wrong rows."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from typing import BinaryIO

from iris.errors import InvalidInput

ERRORS_SHOWN = 20
SHOWN_CHARACTERS = 30  # maximum number of characters of a wrong value in an error message
NO_HEADING = "\n"  # no heading can be a line break


def records(
    file: BinaryIO, *, needed: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line number of each row below the headings, and its cells by heading. Skip empty rows.

    The headings can be in any order, separated by commas, semicolons or tabs. Cells without a heading get the heading
    NO_HEADING. Raises InvalidInput.
    """
    text = TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        first = text.readline(10_000)
        reader = csv.reader([first], delimiter=(delimiter := _delimiter_of(first)), strict=True)
        headings = [cell.strip().lower() for cell in next(reader, [])]
        _check_headings(headings, needed=needed, optional=optional)
        lines = csv.reader(text, delimiter=delimiter, strict=True)
        for cells in lines:
            if any(cell.strip() for cell in cells):
                row = dict(zip(headings, cells, strict=False))
                row[NO_HEADING] = "".join(cells[len(headings) :])
                yield lines.line_num + 1, row
    except UnicodeDecodeError as error:
        raise InvalidInput(
            "The file is not text in UTF-8. Save it as CSV UTF-8.", code="file_not_utf8"
        ) from error
    except csv.Error as error:
        raise InvalidInput(
            f"The file cannot be read as CSV: {error}. Save the sheet as CSV again.", code="not_csv"
        ) from error
    finally:
        text.detach()  # the caller closes the file


def wrong_rows(errors: Sequence[tuple[int, str]], *, so: str) -> InvalidInput:
    """Return the error for wrong rows, given as (line, sentence without its full stop). `so` says what was not done."""
    shown = errors[:ERRORS_SHOWN]
    sentences = " ".join(f"Row {line}: {text}." for line, text in shown)
    more = f" And {len(errors) - len(shown):,} more." if len(errors) > len(shown) else ""
    return InvalidInput(
        f"{len(errors):,} rows are wrong, so {so}. {sentences}{more}",
        errors=[{"row": line, "message": text} for line, text in shown],
        code="wrong_rows",
    )


def quoted(text: str) -> str:
    """Return the value of a cell as error messages quote it."""
    if not text:
        return "an empty cell"
    cut = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
    return f"“{cut}”"


def _delimiter_of(line: str) -> str:
    return max(",;\t", key=line.count)


def _check_headings(headings: Sequence[str], *, needed: Sequence[str], optional: Sequence[str]) -> None:
    missing = [column for column in needed if column not in headings]
    doubled = [column for column in (*needed, *optional) if headings.count(column) > 1]
    if missing or doubled:
        problem = f"has no column {missing[0]}" if missing else f"has two columns {doubled[0]}"
        also = f", and it may have {', '.join(optional)}" if optional else ""
        raise InvalidInput(
            f"The first row {problem}. It must have the headings {', '.join(needed)}{also}.",
            code="wrong_headings",
        )
