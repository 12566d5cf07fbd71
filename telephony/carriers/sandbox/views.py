"""Show the sandbox's inbox: every call and SMS that would have reached a phone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_safe

from iris.storable import storable
from telephony.carriers.sandbox.inbox import MAX_WAIT_SECONDS, status_of, visible, wait_until
from telephony.media import audio_url
from telephony.models import Audio, Channel, SandboxMessage

MAX_ROWS = 1000
PARAMETERS = ("to", "channel", "since", "limit", "wait")


def listed(request: HttpRequest, *, owner_id: int | None = None) -> list[dict[str, Any]]:
    """Return the messages that the query parameters select, of one account or of all, newest first. Raises ValueError.

    `to`, `channel` and `since` filter; `limit` is at most MAX_ROWS. With `wait`, wait so many seconds until there is one.
    """
    rows = _filtered(request, owner_id=owner_id)
    found = wait_until(lambda: list(rows.all()), seconds=_seconds_to_wait(request))
    now = timezone.now()
    return [_as_json(row, now, request) for row in found]


@require_safe
def inbox(request: HttpRequest) -> HttpResponse:
    """Show the same messages as a web page, with playable recordings."""
    require_open_inbox()
    now = timezone.now()
    try:
        rows = [_as_json(row, now, request) for row in _filtered(request)[:100]]
    except ValueError as e:
        return render(request, "telephony/sandbox_inbox.html", {"messages": [], "fault": str(e)}, status=400)
    return render(request, "telephony/sandbox_inbox.html", {"messages": rows})


def _filtered(request: HttpRequest, *, owner_id: int | None = None) -> QuerySet[SandboxMessage]:
    if unknown := sorted(set(request.GET) - set(PARAMETERS)):
        # Without its misspelt filter, a test would get the message of another recipient.
        raise ValueError(f"{unknown[0][:50]} is not known here. The parameters are {', '.join(PARAMETERS)}.")
    rows = visible(owner_id).order_by("-id")
    if to := storable(request.GET.get("to", "")):
        # A "+" in a query string reads as a space.
        rows = rows.filter(to__endswith=to.strip().lstrip("+"))
    if channel := request.GET.get("channel", "").lower():
        if channel not in Channel.values:
            raise ValueError(f"channel must be one of {', '.join(Channel.values)}.")
        rows = rows.filter(channel=channel)
    if since := request.GET.get("since"):
        if since.isdecimal() and len(since) < 19:
            rows = rows.filter(pk__gt=int(since))
        else:
            rows = rows.filter(created_at__gte=_parse_time(since))
    limit = request.GET.get("limit", str(MAX_ROWS))
    if not limit.isdecimal() or len(limit) > 9:
        raise ValueError("limit must be a whole number.")
    return rows[: min(int(limit), MAX_ROWS)]


def _seconds_to_wait(request: HttpRequest) -> int:
    wait = request.GET.get("wait", "0")
    if not wait.isascii() or not wait.isdecimal() or len(wait) > 2 or int(wait) > MAX_WAIT_SECONDS:
        raise ValueError(f"wait must be a whole number of seconds from 0 to {MAX_WAIT_SECONDS}.")
    return int(wait)


def _parse_time(text: str) -> datetime:
    moment = parse_datetime(text.replace(" ", "+") if " " in text[10:][1:] else text)
    if moment is None:
        raise ValueError(
            "since must be an ISO time such as 2026-01-31T12:00:00+05:45, or the id of a message."
        )
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)


def _as_json(row: SandboxMessage, now: datetime, request: HttpRequest) -> dict[str, Any]:
    return {
        "id": row.pk,
        "channel": row.channel,
        "to": row.to,
        "from": row.caller,
        "text": row.text,
        "audio_url": audio_url(Audio(name=row.audio_name), request) if row.audio_name else None,
        "status": status_of(row, now),
        "created_at": timezone.localtime(row.created_at).isoformat(),
    }


def require_open_inbox() -> None:
    """Raise Http404 unless the inbox is enabled. It shows OTPs without a token, so it must stay off in production."""
    if not settings.IRIS_SANDBOX_INBOX:
        raise Http404("There is no sandbox inbox here.")
