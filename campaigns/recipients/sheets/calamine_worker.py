"""Read a workbook from standard input with calamine, and write its rows as JSON lines.

This is a program, not a module. Its arguments are its limits: bytes of address space and seconds of processor time.

A line is [rows seen, cells seen, list of [row number, cells]]; or {"row", "unread": name} for another worksheet that has
rows from this one on; or {"row", "hidden": count} for hidden rows, of which this is the first. The last line is a word:
"end", or the kind of error.
"""

import datetime
import io
import json
import math
import re
import resource
import signal
import sys
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent))  # python -I leaves it out
import headings  # type: ignore[import-not-found]
import hidden_rows  # type: ignore[import-not-found]

MAX_COLUMNS = 256
# As in `worksheets`, but without the numbering plans of all countries.
ROWS_EXAMINED, COLUMNS_EXAMINED, MIN_ROWS_OF_LIST, MAX_HEADING_CHARACTERS = 100, 30, 2, 100
LOOKS_LIKE_A_NUMBER = re.compile(r"(?<!\d)\+?(?:\d[ ./-]?){9,15}(?!\d)")
BATCH_ROWS, BATCH_ROWS_SEEN, BATCH_CHARACTERS = 500, 10_000, 1_000_000


def limit(memory: int, seconds: float) -> None:
    """Let the kernel end this process when it exceeds the limits."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    # The timer allows fractions of a second. The resource limit also works if the timer's signal is blocked.
    signal.setitimer(signal.ITIMER_PROF, seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(seconds) + 1, math.ceil(seconds) + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> str:
    import python_calamine

    try:
        content = sys.stdin.buffer.read()
        workbook = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content))
        visible = python_calamine.SheetVisibleEnum.Visible
        kinds = (python_calamine.SheetTypeEnum.WorkSheet, python_calamine.SheetTypeEnum.MacroSheet)
        sheets = sorted(
            (sheet.visible != visible, at)
            for at, sheet in enumerate(workbook.sheets_metadata)
            if sheet.typ in kinds
        )
        chosen, sheet = choose(workbook, sheets)
        if chosen is None:
            return "empty"
        write(sheet, hidden_rows.of_worksheet(content, chosen))
        for _, at in sheets:
            if at != chosen:
                note_unread(workbook.get_sheet_by_index(at))
        return "end"
    except python_calamine.PasswordError:
        return "password"
    except MemoryError:
        return "memory"
    except BaseException:  # calamine's panics are not subclasses of Exception
        return "broken"


def choose(workbook: Any, sheets: list[tuple[bool, int]]) -> tuple[int | None, Any]:
    """Return the worksheet that is read, and its place in the workbook; as `worksheets.first_list`."""
    only = [is_hidden for is_hidden, _ in sheets].count(False) == 1
    first: tuple[int | None, Any] = None, None
    for is_hidden, at in sheets:
        if is_hidden and first[1] is not None:
            break
        sheet = workbook.get_sheet_by_index(at)
        filled = (row for row in sheet.iter_rows() if any(cell(value) is not None for value in row))
        begin = list(islice(filled, 1 if only or is_hidden else ROWS_EXAMINED))
        if not begin:
            continue
        if only or is_hidden or has_list(begin):
            return at, sheet
        if first[1] is None:
            first = at, sheet
    return first


def has_list(rows: list[list[Any]]) -> bool:
    headed: set[int] = set()
    with_numbers = 0
    for row in rows:
        columns = [at for at, value in enumerate(row[:COLUMNS_EXAMINED]) if looks_like_a_number(value)]
        with_numbers += bool(columns)
        if with_numbers == MIN_ROWS_OF_LIST or not headed.isdisjoint(columns):
            return True
        headed |= {
            at
            for at, value in enumerate(row[:COLUMNS_EXAMINED])
            if isinstance(value, str)
            and len(value) <= MAX_HEADING_CHARACTERS
            and headings.names_numbers(value)
        }
    return False


def looks_like_a_number(value: object) -> bool:
    if isinstance(value, int | float):
        return 1e8 <= value < 1e15 and value == int(value)
    return isinstance(value, str) and LOOKS_LIKE_A_NUMBER.search(value[:200]) is not None


def note_unread(sheet: Any) -> None:
    """Report a worksheet that has rows but is not read."""
    for at, row in enumerate(sheet.iter_rows(), start=1):
        if any(cell(value) is not None for value in row):
            print(json.dumps({"row": at, "unread": sheet.name[:100]}, ensure_ascii=False))
            return


def write(sheet: Any, hidden: hidden_rows.HiddenRows) -> None:
    """Write the rows of a worksheet, except hidden ones, and how many are hidden."""
    hidden_count = first_hidden = 0
    batch: list[tuple[int, list[Any]]] = []
    seen = cells_seen = characters = 0
    for at, row in enumerate(sheet.iter_rows(), start=1):
        seen += 1
        cells_seen += len(row)
        cells = [cell(value) for value in row[:MAX_COLUMNS]]
        if all(value is None for value in cells):
            pass
        elif at in hidden:
            first_hidden = first_hidden or at
            hidden_count += 1
        else:
            batch.append((at, cells))
            characters += sum(len(value) for value in cells if isinstance(value, str))
        if len(batch) == BATCH_ROWS or seen == BATCH_ROWS_SEEN or characters > BATCH_CHARACTERS:
            print(json.dumps((seen, cells_seen, batch), ensure_ascii=False))
            batch, seen, cells_seen, characters = [], 0, 0, 0
    if seen:
        print(json.dumps((seen, cells_seen, batch), ensure_ascii=False))
    if hidden_count:
        print(json.dumps({"row": first_hidden, "hidden": hidden_count}))


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
    limit(int(sys.argv[1]), float(sys.argv[2]))
    sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8")
    print(json.dumps(main()))
