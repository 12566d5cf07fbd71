"""Pages of long lists, newest first: each begins where the one before it ended, so every page takes the same time."""

from __future__ import annotations

from typing import Any

PAGE_SIZE = 50


def page_of(rows: Any, before: str) -> tuple[list[Any], int | None]:
    """Return the page of rows with ids below `before`, and where the next page begins, or None at the end."""
    start = id_or_none(before)
    shown = list((rows if start is None else rows.filter(pk__lt=start))[: PAGE_SIZE + 1])
    return shown[:PAGE_SIZE], shown[PAGE_SIZE - 1].pk if len(shown) > PAGE_SIZE else None


def id_or_none(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None
