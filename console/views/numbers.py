"""The phone numbers of an account, those that it can buy, and the senders of its text messages."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from accounts.models import Account
from accounts.permissions import Permission
from console import vocabulary
from console.access import page
from console.render import render_page
from console.sender_form import SenderForm
from console.visits import ConsoleRequest
from iris.storable import storable
from telephony import phone_numbers
from telephony.models import PhoneNumber
from telephony.senders import decisions

PAGE_SIZE = 50


@page(Permission.VIEW)
def numbers(request: ConsoleRequest) -> HttpResponse:
    return show(request, SenderForm())


def show(request: ConsoleRequest, sender_form: SenderForm) -> HttpResponse:
    """Show the page, with the form of a sender as it was sent if something is wrong in it."""
    account = request.visit.account
    owned = PhoneNumber.objects.filter(owner=account).order_by("pk")
    for_sale = Paginator(PhoneNumber.objects.for_sale_to(account).order_by("pk"), PAGE_SIZE)
    context: dict[str, Any] = {
        "owned": owned[:500],
        "for_sale": for_sale.get_page(request.GET.get("page")),
    }
    if request.visit.may_manage_account:  # as in the API
        context |= {"senders": _senders(account), "sender_form": sender_form}
    return render_page(request, "console/numbers.html", context)


def _senders(account: Account) -> list[dict[str, Any]]:
    """Return the senders and requests of the account, and the senders that it shares with other accounts."""
    return [
        {"sender": one, "word": vocabulary.SENDER[one.status], "is_own": one.owner_id == account.pk}
        for one in decisions.senders_of(account)
    ]


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
