"""The days that a person chose for a page, in its address."""

from __future__ import annotations

from datetime import date, timedelta

from django.http import HttpRequest
from django.utils import timezone

DAYS = 30  # if the address names none


def chosen_days(request: HttpRequest, *, days: int = DAYS) -> tuple[date, date]:
    """Return the first and the last day that the address names; by default the last `days` days."""
    last = _day(request.GET.get("last", "")) or timezone.localdate()
    before = timedelta(days=days - 1)
    first = _day(request.GET.get("first", "")) or max(last, date.min + before) - before
    return first, last


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
