"""Reads a stored sheet in a thread, chunk by chunk, ahead of the process that writes the chunks to the database."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

from django.core.files.storage import default_storage

from campaigns.recipients import imports, sheets
from campaigns.recipients.sheets import Budget, Sheet, SheetRow
from campaigns.tag_sizes import TagMeasurer

CHUNK = 20_000  # rows of a background import that are committed at once
CHUNK_CHARACTERS = 8 * 2**20  # or fewer that are long
CHUNK_SECONDS = 2.0  # of processor time without a row, after which what was skipped is written down


class StorageUnavailable(Exception):
    """The stored sheet cannot be found or read from here; from another machine, or later, it may be."""


@dataclass
class Chunk:
    """Rows of a sheet up to and including `row`. `errors` are the first rows that were skipped since the reading began."""

    lines: list[str]
    columns: list[str]
    sizes: TagMeasurer
    row: int
    errors: list[dict[str, Any]]
    is_last: bool


class SheetReader(threading.Thread):
    """Offers one chunk after the other; while nobody takes it, it has one ready and waits.

    `changed` is notified whenever a chunk or an error is there to be taken. A thread, so that the database stores rows
    while the next ones are read, and so that of several sheets none waits for another one's processor time.
    """

    def __init__(self, file: str, *, number_column: str, after: int, changed: threading.Condition) -> None:
        super().__init__(name=f"sheet-{file}", daemon=True)
        self.touched_at = time.monotonic()  # when it last offered something, or was told to go on
        self._file = file
        self._number_column = number_column
        self._after = after
        self._changed = changed
        self._ready: Chunk | BaseException | None = None
        self._closed = False

    def run(self) -> None:
        try:
            self._read()
        except BaseException as e:
            self._offer(e)

    def is_ready(self) -> bool:
        return self._ready is not None

    def take(self) -> Chunk:
        """The chunk that is ready. Raises what ended the reading: NotASheet, SheetTooLarge, StorageUnavailable, or a bug."""
        with self._changed:
            ready, self._ready = self._ready, None
            self.touched_at = time.monotonic()
            self._changed.notify_all()
        assert ready is not None
        if isinstance(ready, BaseException):
            raise ready
        return ready

    def close(self) -> None:
        """Have the thread end at its next chunk; it is not waited for."""
        with self._changed:
            self._closed = True
            self._ready = None
            self._changed.notify_all()

    def _offer(self, item: Chunk | BaseException) -> bool:
        """Wait until the last one was taken; False when nobody wants any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._ready is None)
            if self._closed:
                return False
            self._ready = item
            self.touched_at = time.monotonic()
            self._changed.notify_all()
        return True

    def _read(self) -> None:
        budget = sheets.in_background()
        with (
            _opened(self._file) as file,
            closing(sheets.open_sheet(file, budget, number_column=self._number_column)) as sheet,
        ):
            for chunk in _chunks(sheet, budget, after=self._after):
                if self._closed or not self._offer(chunk):
                    return


def _chunks(sheet: Sheet, budget: Budget, *, after: int) -> Iterator[Chunk]:
    rows = _Rows(sheet.steps(after=after))
    while not rows.is_at_end:
        sizes = TagMeasurer(sheet.columns)
        lines: list[str] = []
        characters = 0
        for line in imports.lines_of(imports.measured(rows, sizes), budget):
            lines.append(line)
            characters += len(line)
            # A cell may have several numbers: an import that is interrupted goes on behind whole rows.
            if (len(lines) >= CHUNK or characters > CHUNK_CHARACTERS) and not sheet.is_within_row:
                break
        yield Chunk(lines, sheet.columns, sizes, max(after, sheet.row), list(sheet.errors), rows.is_at_end)


class _Rows:
    """The next rows of a sheet at each iteration, which ends when a chunk's seconds are over, too."""

    def __init__(self, steps: Iterator[SheetRow | None]) -> None:
        self._steps = steps
        self.is_at_end = False

    def __iter__(self) -> Iterator[SheetRow]:
        end = time.thread_time() + CHUNK_SECONDS
        for row in self._steps:
            if row is not None:
                yield row
            elif time.thread_time() > end:
                return
        self.is_at_end = True


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    try:
        file = default_storage.open(name)
    except Exception as e:  # each storage has errors of its own
        raise StorageUnavailable(str(e)) from e
    with file, io.BufferedReader(_Stored(cast(BinaryIO, file)), 1 << 16) as buffered:
        yield cast(BinaryIO, buffered)


class _Stored(io.RawIOBase):
    """A stored file whose faults are told from those of its content: readers take an OSError for damage."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._file.read(len(buffer))
        except Exception as e:
            raise StorageUnavailable(str(e)) from e
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        try:
            return self._file.seek(offset, whence)
        except Exception as e:
            raise StorageUnavailable(str(e)) from e
