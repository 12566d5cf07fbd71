"""Show the progress of a long command and the time that is left, on a terminal only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

Advance = Callable[[int], object]


@contextmanager
def progress(label: str, *, total: int) -> Iterator[Advance]:
    """Show a bar while the context lasts. Yield a function that is called with the number of further items that are done.

    Nothing is shown if stderr is not a terminal, so that logs and pipes stay clean.
    """
    with click.progressbar(
        length=total,
        label=label,
        file=sys.stderr,
        hidden=not sys.stderr.isatty(),
        show_eta=True,
        show_pos=True,
    ) as bar:
        yield bar.update


def silent(_: int) -> None:
    """Show nothing: the default of functions that report their progress."""
