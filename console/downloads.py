"""Files that a person downloads: CSV in the language of the page, streamed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import tzinfo
from itertools import chain, islice

from django.http import StreamingHttpResponse
from django.utils import timezone, translation


def csv_file(rows: Iterable[str], *, name: str) -> StreamingHttpResponse:
    """Return lines of CSV as a download. They are made in the current language and the current time zone.

    The first lines are made before the response starts, so that an early failure still becomes a page.
    """
    lines = _as_now(iter(rows))
    first = list(islice(lines, 2))
    return StreamingHttpResponse(
        chain(["\ufeff"], first, lines),  # without the byte order mark, Excel assumes another encoding
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _as_now(rows: Iterator[str]) -> Iterator[str]:
    """Make each line in the language and the time zone of this moment: both are reset when the view returns."""
    return _in(rows, translation.get_language(), timezone.get_current_timezone())


def _in(rows: Iterator[str], language: str | None, zone: tzinfo) -> Iterator[str]:
    while True:
        with translation.override(language), timezone.override(zone):
            row = next(rows, None)
        if row is None:
            return
        yield row
