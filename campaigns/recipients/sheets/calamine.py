"""Read .xls, .xlsb and .ods with calamine in a child process.

Calamine allocates the whole rectangle around a sheet's cells and aborts the process if memory does not suffice. Two cells in
opposite corners are enough for that. Therefore it runs in a child process with limits.
"""

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import BinaryIO

from campaigns.recipients.sheets.budget import Budget
from campaigns.recipients.sheets.grid import Cell, LeftOut, NotASheet, Row, normalize_float
from campaigns.recipients.sheets.worksheets import hidden_rows_message, unread_message

_WORKER = Path(__file__).with_name("calamine_worker.py")
# Processor time. Calamine parses the whole file before it returns the first row, so this covers the whole file. It is much
# faster than our reader of .xlsx.
_MAX_WORKER_SECONDS = 120
_ADVICE = "Open it in a spreadsheet program, save it as .xlsx, and send that."
PASSWORD = "The file is protected by a password. Save it without one and send it again."
_FAULTS = {
    "password": PASSWORD,
    "empty": "The workbook is empty. Send one with the numbers in its first column.",
}
_OUT_OF_TIME = {-signal.SIGPROF, -signal.SIGXCPU}
_OUT_OF_MEMORY = {-signal.SIGABRT, -signal.SIGKILL}


class CalamineGrid:
    def __init__(self, file: BinaryIO, budget: Budget) -> None:
        self.left_out: list[LeftOut] = []
        self._file = file
        self._budget = budget

    def rows(self) -> Generator[Row, None, None]:
        self.left_out.clear()
        budget = self._budget
        seconds = min(budget.seconds / 2, _MAX_WORKER_SECONDS)
        budget.spend(seconds)
        with tempfile.TemporaryFile() as copy:
            self._file.seek(0)
            while chunk := self._file.read(1 << 20):
                copy.write(chunk)
            copy.seek(0)
            # -I: neither the environment nor the current folder can change which modules are imported.
            worker = subprocess.Popen(
                [sys.executable, "-I", str(_WORKER), str(budget.memory), str(seconds)],
                stdin=copy,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                encoding="utf-8",
            )
            with worker:
                assert worker.stdout is not None
                try:
                    for line in worker.stdout:
                        answer = json.loads(line)
                        if answer == "end":
                            return
                        if isinstance(answer, dict):
                            hidden = answer.get("hidden")
                            message = (
                                hidden_rows_message(hidden) if hidden else unread_message(answer["unread"])
                            )
                            self.left_out.append(LeftOut(answer["row"], message))
                            continue
                        if answer == "memory":
                            raise budget.out_of_memory()
                        if isinstance(answer, str):
                            raise NotASheet(
                                _FAULTS.get(answer, f"The file cannot be read as a spreadsheet. {_ADVICE}")
                            )
                        seen, cells_seen, batch = answer
                        budget.see(rows=seen, cells=cells_seen)
                        for at, cells in batch:
                            yield at, [_cell(cell) for cell in cells]
                    worker.wait()
                finally:
                    worker.kill()
        if worker.returncode in _OUT_OF_TIME:
            raise budget.out_of_time()
        if worker.returncode in _OUT_OF_MEMORY:
            raise budget.out_of_memory()
        raise NotASheet(f"The file is damaged. {_ADVICE}")


def _cell(cell: Cell) -> Cell:
    return normalize_float(cell) if isinstance(cell, float) else cell
