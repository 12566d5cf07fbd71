"""Seed numbers: phones of the account that get the text messages of large campaigns, too, and what arrived at them."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from accounts.permissions import Permission
from console.access import page
from console.errors import sentence_of
from console.paging import PAGE_SIZE, id_or_none
from console.render import render_page
from console.visits import ConsoleRequest
from console.vocabulary import RECIPIENT
from iris.errors import InvalidInput
from iris.storable import storable
from telephony.models import Delivery
from telephony.seeds import numbers as seed_numbers

POST = ("POST",)
MAX_WRITTEN = 1_000  # characters


@page(Permission.VIEW)
def seeds(request: ConsoleRequest) -> HttpResponse:
    return _show(request)


@page(Permission.MANAGE_ACCOUNT, methods=POST)
def change(request: ConsoleRequest) -> HttpResponse:
    """Replace the seed numbers by those that were written, one in each line."""
    written = storable(request.POST.get("numbers", "")[:MAX_WRITTEN])
    numbers = [part.strip() for part in written.replace(",", "\n").splitlines() if part.strip()]
    try:
        seed_numbers.set_numbers(account=request.visit.account, numbers=numbers)
    except InvalidInput as error:
        return _show(request, problem=sentence_of(error), written=written)
    messages.success(request, _("The seed numbers are saved."))
    return redirect("console:seeds", request.visit.account.pk)


@page(Permission.PREPARE, methods=POST)
def tell(request: ConsoleRequest) -> HttpResponse:
    """Store whether a text message has arrived at its seed number."""
    seed_numbers.tell(
        account=request.visit.account,
        delivery_id=id_or_none(request.POST.get("sms", "")) or 0,
        arrived=request.POST.get("arrived") == "yes",
    )
    messages.success(
        request, _("Thank you. The operator of this server sees it beside the carrier's reports.")
    )
    return redirect("console:seeds", request.visit.account.pk)


def _show(request: ConsoleRequest, *, problem: str = "", written: str | None = None) -> HttpResponse:
    """Show the numbers, and the text messages to them, newest first. `before` is where a page begins."""
    account = request.visit.account
    before = id_or_none(request.GET.get("before", ""))
    rows = seed_numbers.sent_to_seeds(account)
    shown = list((rows if before is None else rows.filter(delivery__lt=before))[: PAGE_SIZE + 1])
    deliveries = Delivery.objects.in_bulk([row.delivery for row in shown])
    numbers = seed_numbers.numbers_of(account.pk)
    context: dict[str, Any] = {
        "numbers": numbers,
        "written": "\n".join(numbers) if written is None else written,
        "problem": problem,
        "most": seed_numbers.MAX_NUMBERS,
        "above": settings.IRIS_SEEDS_ABOVE,
        "results": [_line(row, deliveries.get(row.delivery)) for row in shown[:PAGE_SIZE]],
        "before": shown[PAGE_SIZE - 1].delivery if len(shown) > PAGE_SIZE else None,
        "is_later_page": before is not None,
    }
    return render_page(request, "console/seeds.html", context)


def _line(row: Any, delivery: Delivery | None) -> dict[str, Any]:
    return {
        "row": row,
        "delivery": delivery,
        "word": None if delivery is None else RECIPIENT[delivery.status],
        "is_sent": delivery is not None and delivery.submitted_at is not None,
    }
