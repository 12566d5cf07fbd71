"""Show the progress of long commands and the time that is left, on a terminal only.

Functions that take long have an argument `advance`, which they call with the number of further items that are done. The
commands pass the function that `progress` yields; everybody else passes nothing.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import click

Advance = Callable[[int], object]


def silent(_: int) -> None:
    """Show nothing: the default of functions that report their progress."""


@contextmanager
def progress(label: str, *, total: int) -> Iterator[Advance]:
    """Show a bar and the time that is left while the context lasts. Yield a function that takes numbers of further items.

    Nothing is shown if stderr is not a terminal, so that logs and pipes stay clean.
    """
    if not sys.stderr.isatty():
        yield silent
        return
    with click.progressbar(
        length=total,
        label=label,
        file=sys.stderr,
        show_eta=True,
        show_pos=True,
        update_min_steps=max(1, total // 1000),
    ) as bar:
        yield bar.update


def shown_as(label: str) -> Callable[[int], AbstractContextManager[Advance]]:
    """Return `progress` with this label, for functions that find out themselves how many items there are."""
    return lambda total: progress(label, total=total)


@contextmanager
def unseen(_: int) -> Iterator[Advance]:
    """Show no progress: the counterpart of `shown_as`."""
    yield silent


@contextmanager
def read_with_progress(file: Path, *, label: str) -> Iterator[BinaryIO]:
    """Open a file for reading, and show how much of it has been read. Raises OSError."""
    with (
        file.open("rb", buffering=0) as raw,
        progress(label, total=file.stat().st_size) as advance,
        io.BufferedReader(_Counted(raw, advance)) as counted,
    ):
        yield counted


class _Counted(io.RawIOBase):
    """A file that tells how many bytes of it have been read."""

    def __init__(self, raw: io.FileIO, advance: Advance) -> None:
        self._raw, self._advance = raw, advance

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        count = self._raw.readinto(buffer)
        self._advance(count or 0)
        return count
