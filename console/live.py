"""Parts of pages that update themselves: htmx asks for the page again, and gets only the part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse

from console.render import render_part
from console.visits import ConsoleRequest

POLL_SECONDS = 2


def is_update(request: ConsoleRequest) -> bool:
    """Return whether htmx asks for the live part of the page. A page that is restored from the history is whole."""
    return bool(request.htmx) and not request.htmx.history_restore_request


def part(request: ConsoleRequest, template: str, context: Mapping[str, Any]) -> HttpResponse:
    return render_part(request, template, context)
