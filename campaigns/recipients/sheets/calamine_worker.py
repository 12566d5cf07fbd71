"""Read a workbook from standard input with calamine, and write its rows as JSON lines.

This is a program, not a module. Its arguments are its limits: bytes of address space and seconds of processor time.

A line is [rows seen, cells seen, list of [row number, cells]], or {"row", "message"} for something that is not imported. The
last line is a word: "end", or the kind of error.
"""

import datetime
import io
import json
import math
import resource
import signal
import sys
from typing import Any

MAX_COLUMNS = 256
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
        workbook = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(sys.stdin.buffer.read()))
        visible = python_calamine.SheetVisibleEnum.Visible
        kinds = (python_calamine.SheetTypeEnum.WorkSheet, python_calamine.SheetTypeEnum.MacroSheet)
        sheets = sorted(
            (sheet.visible != visible, at)
            for at, sheet in enumerate(workbook.sheets_metadata)
            if sheet.typ in kinds
        )
        for place, (_, at) in enumerate(sheets):
            if write(workbook.get_sheet_by_index(at)):
                for _, other in sheets[place + 1 :]:
                    note_unread(workbook.get_sheet_by_index(other))
                return "end"
    except python_calamine.PasswordError:
        return "password"
    except MemoryError:
        return "memory"
    except BaseException:  # calamine's panics are not subclasses of Exception
        return "broken"
    return "empty"


def note_unread(sheet: Any) -> None:
    """Report a worksheet that has rows but is not read."""
    for at, row in enumerate(sheet.iter_rows(), start=1):
        if any(cell(value) is not None for value in row):
            name = sheet.name[:100]
            message = (
                f"The worksheet “{name}” has rows too, and was not read: one worksheet is read. Send it as a file of its"
                " own."
            )
            print(json.dumps({"row": at, "message": message}, ensure_ascii=False))
            return


def write(sheet: Any) -> bool:
    """Write the rows of a worksheet. Return whether it had any rows."""
    has_rows = False
    batch: list[tuple[int, list[Any]]] = []
    seen = cells_seen = characters = 0
    for at, row in enumerate(sheet.iter_rows(), start=1):
        seen += 1
        cells_seen += len(row)
        cells = [cell(value) for value in row[:MAX_COLUMNS]]
        if not all(value is None for value in cells):
            has_rows = True
            batch.append((at, cells))
            characters += sum(len(value) for value in cells if isinstance(value, str))
        if len(batch) == BATCH_ROWS or seen == BATCH_ROWS_SEEN or characters > BATCH_CHARACTERS:
            print(json.dumps((seen, cells_seen, batch), ensure_ascii=False))
            batch, seen, cells_seen, characters = [], 0, 0, 0
    if seen:
        print(json.dumps((seen, cells_seen, batch), ensure_ascii=False))
    return has_rows


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
