"""The phone numbers of an account, and those that it can buy."""

from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from accounts.permissions import Permission
from console.access import page
from console.render import render_page
from console.visits import ConsoleRequest
from iris.storable import storable
from telephony import phone_numbers
from telephony.models import PhoneNumber

PAGE_SIZE = 50


@page(Permission.VIEW)
def numbers(request: ConsoleRequest) -> HttpResponse:
    account = request.visit.account
    owned = PhoneNumber.objects.filter(owner=account).order_by("pk")
    for_sale = Paginator(PhoneNumber.objects.for_sale_to(account).order_by("pk"), PAGE_SIZE)
    context = {
        "owned": owned[:500],
        "for_sale": for_sale.get_page(request.GET.get("page")),
    }
    return render_page(request, "console/numbers.html", context)


@page(Permission.MANAGE_CREDITS, methods=("POST",))
def buy(request: ConsoleRequest) -> HttpResponse:
    number = phone_numbers.buy_number(account=request.visit.account, sid=_sid(request))
    messages.success(request, _("%(number)s is yours now.") % {"number": number.number})
    return redirect("console:numbers", request.visit.account.pk)


@page(Permission.MANAGE_CREDITS, methods=("GET", "HEAD", "POST"))
def release(request: ConsoleRequest) -> HttpResponse:
    """Ask once more, and release a number."""
    account = request.visit.account
    if request.method != "POST":
        number = PhoneNumber.objects.filter(owner=account, sid=request.GET.get("sid", "")[:32]).first()
        if number is None:
            return redirect("console:numbers", account.pk)
        return render_page(request, "console/number_release.html", {"number": number})
    number = phone_numbers.release_number(account=account, sid=_sid(request))
    messages.success(request, _("%(number)s is no longer yours.") % {"number": number.number})
    return redirect("console:numbers", account.pk)


def _sid(request: ConsoleRequest) -> str:
    return storable(request.POST.get("sid", ""))[:32]
