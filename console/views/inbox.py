"""Text messages that people have sent to an account, and the conversation with one number."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import redirect

from accounts.permissions import Permission
from console import vocabulary
from console.access import page
from console.render import render_page
from console.visits import ConsoleRequest
from iris.storable import storable
from telephony import inbox as inbound

PAGE_SIZE = 50


@page(Permission.VIEW)
def inbox(request: ConsoleRequest) -> HttpResponse:
    """List the received messages, newest first. `before` is the id at which a page begins."""
    before = request.GET.get("before", "")
    is_id = before.isascii() and before.isdecimal() and len(before) < 19
    rows = inbound.latest(request.visit.account, before=int(before) if is_id else None)
    shown = list(rows[: PAGE_SIZE + 1])
    context = {
        "received": shown[:PAGE_SIZE],
        "before": shown[PAGE_SIZE - 1].pk if len(shown) > PAGE_SIZE else None,
        "is_later_page": bool(before),
    }
    return render_page(request, "console/inbox.html", context)


@page(Permission.VIEW)
def conversation(request: ConsoleRequest) -> HttpResponse:
    """Show what the account sent to a number and what came back, oldest first."""
    number = storable(request.GET.get("with", ""))[:32].strip()
    if not number:
        return redirect("console:inbox", request.visit.account.pk)
    if number[:1] != "+" and number.isdecimal() and "+" in request.META.get("QUERY_STRING", ""):
        number = f"+{number}"  # a plus that nobody has encoded arrives as a space
    found = inbound.conversation(request.visit.account, number)
    context = {
        "number": number,
        "messages_of_both": [
            {
                "at": one.at,
                "received": one.received,
                "sent": one.sent,
                "word": None if one.sent is None else vocabulary.RECIPIENT[one.sent.status],
                "channel": None if one.sent is None else vocabulary.CHANNELS[one.sent.channel],
            }
            for one in found
        ],
        "opt_out": inbound.opt_out_of(request.visit.account, number),
    }
    return render_page(request, "console/conversation.html", context)
