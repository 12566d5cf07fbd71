"""Reads a workbook from standard input with calamine and writes its rows as JSON lines. A program, not a
module.

Each line is a list of [row number, cells], or at last a word: "end", or what was wrong.
"""

import datetime
import io
import json
import resource
import sys
from typing import Any

MEMORY = 1 << 30  # bytes
SECONDS = 120  # of processor time
MAX_COLUMNS = 256
BATCH_ROWS, BATCH_CHARACTERS = 500, 1_000_000


def main() -> str:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import python_calamine

    try:
        workbook = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(sys.stdin.buffer.read()))
        visible = python_calamine.SheetVisibleEnum.Visible
        kinds = (python_calamine.SheetTypeEnum.WorkSheet, python_calamine.SheetTypeEnum.MacroSheet)
        sheets = sorted(
            (sheet.visible != visible, at)
            for at, sheet in enumerate(workbook.sheets_metadata)
            if sheet.typ in kinds
        )
        for _, at in sheets:
            if write(workbook.get_sheet_by_index(at)):
                return "end"
    except python_calamine.PasswordError:
        return "password"
    except BaseException:  # its panics are no Exception
        return "broken"
    return "empty"


def write(sheet: Any) -> bool:
    """Whether there was anything in it."""
    found = False
    batch: list[tuple[int, list[Any]]] = []
    characters = 0
    for at, row in enumerate(sheet.iter_rows(), start=1):
        cells = [cell(value) for value in row[:MAX_COLUMNS]]
        if all(value is None for value in cells):
            continue
        found = True
        batch.append((at, cells))
        characters += sum(len(value) for value in cells if isinstance(value, str))
        if len(batch) == BATCH_ROWS or characters > BATCH_CHARACTERS:
            print(json.dumps(batch, ensure_ascii=False))
            batch, characters = [], 0
    if batch:
        print(json.dumps(batch, ensure_ascii=False))
    return found


def cell(value: object) -> object:
    if value == "":
        return None
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime.datetime):
        midnight = value.time() == datetime.time()
        return (
            str(value.date()) if midnight else value.isoformat(" ", "seconds" if value.second else "minutes")
        )
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta):
        return str(value)
    return value


if __name__ == "__main__":
    sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8")
    print(json.dumps(main()))
