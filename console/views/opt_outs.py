"""The numbers that want no messages of an account."""

from __future__ import annotations

from django.http import HttpResponse

from accounts.permissions import Permission
from console.access import page
from console.errors import sentence_of
from console.render import render_page
from console.visits import ConsoleRequest
from iris.errors import InvalidInput
from iris.storable import storable
from telephony import numbering
from telephony.models import OptOut

PAGE_SIZE = 50


@page(Permission.VIEW)
def opt_outs(request: ConsoleRequest) -> HttpResponse:
    """List them, newest first. `q` is a number; `before` is the id at which a page begins."""
    words, before = (request.GET.get(name, "").strip() for name in ("q", "before"))
    words, problem = storable(words[:50]), ""
    rows = OptOut.objects.filter(owner=request.visit.account).order_by("-pk")
    if words:
        try:
            rows = rows.filter(number=numbering.parse(words).to)
        except InvalidInput as error:
            rows, problem = rows.none(), sentence_of(error)
    if before.isascii() and before.isdecimal() and len(before) < 19:
        rows = rows.filter(pk__lt=int(before))
    shown = list(rows[: PAGE_SIZE + 1])
    context = {
        "listed": shown[:PAGE_SIZE],
        "words": words,
        "problem": problem,
        "before": shown[PAGE_SIZE - 1].pk if len(shown) > PAGE_SIZE else None,
        "is_later_page": bool(before),
    }
    return render_page(request, "console/opt_outs.html", context)
