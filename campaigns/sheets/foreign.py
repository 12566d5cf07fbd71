"""The formats of other days and programs (.xls, .xlsb, .ods), read by calamine in a process of its own.

Calamine makes room for the whole rectangle around a sheet's cells, and ends the process when there isn't so
much memory; two cells in opposite corners are enough. The process it ends is not ours, and has a limit.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO

from campaigns.sheets.grid import Cell, NotASheet, Row, plain

_READER = Path(__file__).with_name("foreign_reader.py")
_ADVICE = "Open it in a spreadsheet program, save it as .xlsx, and send that."
PASSWORD = "The file is protected by a password. Save it without one and send it again."
_FAULTS = {
    "password": PASSWORD,
    "empty": "The workbook is empty. Send one with the numbers in its first column.",
}


class Foreign:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def rows(self) -> Generator[Row, None, None]:
        with tempfile.TemporaryFile() as copy:
            self._file.seek(0)
            while chunk := self._file.read(1 << 20):
                copy.write(chunk)
            copy.seek(0)
            # -I: nothing of the caller's environment or folder decides what is imported.
            reader = subprocess.Popen(
                [sys.executable, "-I", str(_READER)],
                stdin=copy,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="utf-8",
            )
            with reader:
                assert reader.stdout is not None
                try:
                    for line in reader.stdout:
                        answer = json.loads(line)
                        if isinstance(answer, str):
                            if answer == "end":
                                return
                            raise NotASheet(
                                _FAULTS.get(answer, f"The file cannot be read as a spreadsheet. {_ADVICE}")
                            )
                        for at, cells in answer:
                            yield at, [_cell(cell) for cell in cells]
                finally:
                    reader.kill()
        raise NotASheet(f"The file is damaged, or too large for its kind. {_ADVICE}")


def _cell(cell: Cell) -> Cell:
    return plain(cell) if isinstance(cell, float) else cell
