"""Limit the work for one sheet, counted while it is being read.

A small file can describe a huge sheet: a million `<row/>` are 10 kB when compressed. The file size therefore limits
nothing, and every reader reports the rows and cells that it examines, including blank ones.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from django.conf import settings

from campaigns.recipients.sheets.grid import SheetTooLarge

# Excel's maximum. Sheets with blank rows up to Excel's last row are common, so this many blank rows are allowed.
EXCEL_ROWS = 1_048_576
_PARTS = "Send the numbers as several files, each for a campaign of its own."


class OverBudget(SheetTooLarge):
    """Reading the sheet needs more than this budget allows; a larger budget may be enough."""


@dataclass
class Budget:
    """The limits for reading a sheet once, and the usage so far. Only the reading thread may use it.

    `rows` counts rows that are not blank; `rows_seen` and `cells_seen` include blank and repeated ones. `unpacked` is in
    bytes. `seconds` is processor time of the reading thread and of the child process that reads old formats. `memory` is
    the address space of that process in bytes. `characters` limits the numbers and tags that are kept.
    """

    rows: int
    rows_seen: int
    cells_seen: int
    unpacked: int
    characters: int
    seconds: float
    memory: int
    _rows: int = field(default=0, init=False)
    _rows_seen: int = field(default=0, init=False)
    _cells_seen: int = field(default=0, init=False)
    _unpacked: int = field(default=0, init=False)
    _characters: int = field(default=0, init=False)
    _began: float = field(default=0.0, init=False)

    def start(self) -> None:
        """Reset the usage. Call it in the thread that will read."""
        self._rows = self._rows_seen = self._cells_seen = self._unpacked = self._characters = 0
        self._began = time.thread_time()

    def see(self, *, rows: int, cells: int) -> None:
        """Count rows and cells before they are examined. Raises OverBudget."""
        self._rows_seen += rows
        self._cells_seen += cells
        if self._rows_seen > self.rows_seen:
            raise OverBudget(
                f"The sheet has more than {self.rows_seen:,} rows, blank ones included. Delete the blank rows, or copy"
                " the numbers into a new file and send that."
            )
        if self._cells_seen > self.cells_seen:
            raise OverBudget(
                f"The sheet has more than {self.cells_seen:,} cells, blank ones included. Leave out the rows and columns"
                " that no message needs, or send the numbers as several files."
            )
        self.check_time()

    def unpack(self, size: int) -> None:
        """Count bytes that were unpacked from an archive. Raises OverBudget."""
        self._unpacked += size
        if self._unpacked > self.unpacked:
            raise OverBudget(
                f"The file unpacks to more than {self.unpacked / 2**20:,.0f} MB. Remove the columns that no message needs,"
                " or send the numbers as several files."
            )
        self.check_time()

    def fill_row(self) -> None:
        """Count a row that is not blank. Raises OverBudget."""
        self._rows += 1
        if self._rows > self.rows:
            raise OverBudget(f"The sheet has more than {self.rows:,} rows. {_PARTS}")

    def keep(self, characters: int) -> None:
        """Count the characters of a row that are kept. Raises OverBudget."""
        self._characters += characters
        if self._characters > self.characters:
            raise OverBudget(
                f"The rows of the sheet contain more than {self.characters / 2**20:,.0f} MB of text. Leave out the columns"
                " that no message needs, or send the numbers as several files."
            )

    def check_time(self) -> None:
        """Raise OverBudget once the reading thread has used its processor time."""
        if time.thread_time() - self._began > self.seconds:
            raise self.out_of_time()

    def spend(self, seconds: float) -> None:
        """Count processor time that a child process may use for this sheet."""
        self._began -= seconds

    def out_of_time(self) -> OverBudget:
        return OverBudget(
            f"Reading the sheet takes more than {self.seconds:g} seconds of processor time. Copy the numbers, and the"
            " columns that a message needs, into a new file, or send them as several files."
        )

    def out_of_memory(self) -> OverBudget:
        return OverBudget(
            f"Reading the sheet takes more than {self.memory / 2**20:,.0f} MB of memory. Open it in a spreadsheet"
            " program, save it as .xlsx, and send that."
        )


def in_request() -> Budget:
    """Return the budget of a web request. Sheets that need more are imported in the background."""
    return Budget(
        rows=20_000,
        rows_seen=100_000,
        cells_seen=500_000,
        unpacked=64 * 2**20,
        characters=16 * 2**20,
        seconds=1.5,
        memory=192 * 2**20,
    )


def in_background() -> Budget:
    """Return the budget of a background import."""
    rows: int = settings.IRIS_SHEET_MAX_ROWS
    return Budget(
        rows=rows,
        rows_seen=rows + EXCEL_ROWS,
        cells_seen=100_000_000,
        unpacked=settings.IRIS_SHEET_MAX_UNPACKED_BYTES,
        characters=settings.IRIS_SHEET_MAX_UNPACKED_BYTES,
        seconds=settings.IRIS_SHEET_MAX_SECONDS,
        memory=2**30,
    )
