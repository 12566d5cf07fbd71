"""The one-time passwords that an account has sent. The passwords themselves are not shown."""

from __future__ import annotations

from django.http import HttpResponse

from accounts.permissions import Permission
from console import vocabulary
from console.access import page
from console.render import render_page
from console.visits import ConsoleRequest
from otp.models import Otp

PAGE_SIZE = 50


@page(Permission.SEND)
def otps(request: ConsoleRequest) -> HttpResponse:
    """List OTPs, newest first. `before` is the id at which a page begins."""
    rows = Otp.objects.owned_by(request.visit.account).select_related("delivery", "hold").order_by("-pk")
    before = request.GET.get("before", "")
    if before.isascii() and before.isdecimal() and len(before) < 19:
        rows = rows.filter(pk__lt=int(before))
    shown = list(rows.defer("code", "message")[: PAGE_SIZE + 1])
    more = len(shown) > PAGE_SIZE
    shown = shown[:PAGE_SIZE]
    context = {
        "otps": [
            {
                "otp": otp,
                "channel": vocabulary.CHANNELS[otp.channel],
                "word": None if otp.delivery is None else vocabulary.RECIPIENT[otp.delivery.status],
                "cause": None if otp.delivery is None else vocabulary.CAUSES.get(otp.delivery.cause, ""),
            }
            for otp in shown
        ],
        "before": shown[-1].pk if more else None,
        "is_later_page": bool(before),
    }
    return render_page(request, "console/otps.html", context)
