"""The numbers that want no messages of an account."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.permissions import Permission
from console.access import page
from console.errors import sentence_of
from console.numerals import grouped
from console.render import render_page
from console.visits import ConsoleRequest
from console.vocabulary import CHANNELS, EVERYTHING, WAYS
from iris.errors import InvalidInput
from iris.storable import storable
from telephony import numbering
from telephony.models import OptOut
from telephony.optouts import editing

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
        "listed": [
            (one, CHANNELS[one.channel] if one.channel else EVERYTHING, WAYS.get(one.way, ""))
            for one in shown[:PAGE_SIZE]
        ],
        "channels": [("all", EVERYTHING), *((channel.value, name) for channel, name in CHANNELS.items())],
        "words": words,
        "problem": problem,
        "before": shown[PAGE_SIZE - 1].pk if len(shown) > PAGE_SIZE else None,
        "is_later_page": bool(before),
    }
    return render_page(request, "console/opt_outs.html", context)


@page(Permission.PREPARE, methods=("POST",))
def add(request: ConsoleRequest) -> HttpResponse:
    """Add one number with its reason, or those of a CSV file."""
    account = request.visit.account
    file = request.FILES.get("file")
    try:
        if file is not None:
            listed = editing.import_numbers(account=account, file=file, name=file.name or "")
        else:
            sent = request.POST
            listed = editing.list_numbers(
                account=account,
                numbers=[storable(sent.get("number", ""))[:50]],
                channel=editing.CHANNELS.get(sent.get("channel", "")),
                reason=storable(sent.get("reason", ""))[: editing.MAX_REASON_CHARACTERS],
            )
    except InvalidInput as error:
        messages.error(request, sentence_of(error))
    else:
        messages.success(
            request,
            ngettext("%(count)s number was added.", "%(count)s numbers were added.", listed.added)
            % {"count": grouped(listed.added)},
        )
    return redirect("console:opt-outs", account.pk)


@page(Permission.PREPARE, methods=("POST",))
def remove(request: ConsoleRequest) -> HttpResponse:
    """Take a number off the list, because the person wants messages again."""
    account = request.visit.account
    number = editing.unlist(account=account, number=storable(request.POST.get("number", ""))[:50])
    messages.success(request, _("%(number)s is no longer on the list.") % {"number": number})
    return redirect("console:opt-outs", account.pk)
