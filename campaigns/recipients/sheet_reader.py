"""Read a stored sheet in a thread, one chunk ahead of the thread that writes the chunks to the database."""

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

CHUNK = 20_000  # rows of a background import that are committed together
CHUNK_CHARACTERS = 8 * 2**20  # a chunk of long rows has fewer rows than CHUNK
# Processor time after which a chunk ends even if it has no valid row, so that progress is stored.
CHUNK_SECONDS = 2.0


class StorageUnavailable(Exception):
    """The stored sheet cannot be found or read. A retry, or a worker on another machine, may succeed."""


@dataclass
class Chunk:
    """Rows of a sheet up to and including `row`. `errors` are the first rows that were skipped since this reader began."""

    lines: list[str]
    columns: list[str]
    sizes: TagMeasurer
    row: int
    errors: list[dict[str, Any]]
    is_last: bool


class SheetReader(threading.Thread):
    """Reads a sheet in a thread. Keeps one chunk ready, and waits until this chunk is taken before it offers the next one.

    `changed` is notified whenever a chunk or an error can be taken. Because of the thread, the next rows are read while the
    database stores the last rows, and several sheets are read concurrently.
    """

    def __init__(self, file: str, *, number_column: str, after: int, changed: threading.Condition) -> None:
        super().__init__(name=f"sheet-{file}", daemon=True)
        self.touched_at = time.monotonic()  # when a chunk was last offered or taken
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
        """Return the chunk that is ready, or raise the error that ended the reading.

        The error is NotASheet, SheetTooLarge, StorageUnavailable or an unexpected exception.
        """
        with self._changed:
            ready, self._ready = self._ready, None
            self.touched_at = time.monotonic()
            self._changed.notify_all()
        assert ready is not None
        if isinstance(ready, BaseException):
            raise ready
        return ready

    def close(self) -> None:
        """Let the thread end at its next chunk, without waiting for it."""
        with self._changed:
            self._closed = True
            self._ready = None
            self._changed.notify_all()

    def _offer(self, item: Chunk | BaseException) -> bool:
        """Wait until the last chunk was taken, then offer this one. Return False if the reader was closed."""
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
            # A chunk ends only after a whole row, because an interrupted import resumes at a row. A row can have several
            # numbers.
            if (len(lines) >= CHUNK or characters > CHUNK_CHARACTERS) and not sheet.is_within_row:
                break
        yield Chunk(lines, sheet.columns, sizes, max(after, sheet.row), list(sheet.errors), rows.is_at_end)


class _Rows:
    """Iterates over the next rows of a sheet. Each iteration also ends after CHUNK_SECONDS; the next iteration continues."""

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
    except Exception as e:  # each storage raises errors of its own
        raise StorageUnavailable(str(e)) from e
    with file, io.BufferedReader(_Stored(cast(BinaryIO, file)), 1 << 16) as buffered:
        yield cast(BinaryIO, buffered)


class _Stored(io.RawIOBase):
    """A stored file whose errors are raised as StorageUnavailable.

    Readers would treat an OSError of the storage as a damaged sheet.
    """

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
