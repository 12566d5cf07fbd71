"""Files that a person downloads: CSV in the language of the page, streamed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice

from django.http import StreamingHttpResponse
from django.utils import translation


def csv_file(rows: Iterable[str], *, name: str) -> StreamingHttpResponse:
    """Return lines of CSV as a download.

    The first lines are made before the response starts, so that an early failure still becomes a page.
    """
    lines = _in_language(iter(rows), translation.get_language())
    first = list(islice(lines, 2))
    return StreamingHttpResponse(
        chain(["\ufeff"], first, lines),  # without the byte order mark, Excel assumes another encoding
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _in_language(rows: Iterator[str], language: str | None) -> Iterator[str]:
    """Make each line in this language: the middleware has ended when most of them are made."""
    while True:
        with translation.override(language):
            row = next(rows, None)
        if row is None:
            return
        yield row
