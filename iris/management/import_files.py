"""Open the file that a command imports."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from django.core.management import CommandError

from iris.progress import read_with_progress


@contextmanager
def opened(file: str) -> Iterator[BinaryIO]:
    """Open the file with this path; - is standard input. On a terminal, show how much of it has been read.

    Raises CommandError if it cannot be opened.
    """
    with ExitStack() as stack:
        try:
            yield (
                sys.stdin.buffer
                if file == "-"
                else stack.enter_context(read_with_progress(Path(file), label="Reading"))
            )
        except OSError as error:
            raise CommandError(f"{file} cannot be read: {error.strerror}") from error
