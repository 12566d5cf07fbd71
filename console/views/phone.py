"""The sandbox's phone: the calls and text messages of a test account as they arrive, answered by hand.

Test accounts have it on every server, and all accounts where the sandbox's inbox is open.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import twins
from accounts.permissions import Permission
from console import live
from console.access import page
from console.errors import sentence_of
from console.navigation import has_phone
from console.paging import id_or_none
from console.phone_screen import screen_of
from console.render import render_page
from console.visits import ConsoleRequest
from iris.errors import IrisError, NotFound
from iris.storable import storable
from telephony import sandbox_phone
from telephony.carriers.sandbox import fates, inbox
from telephony.models import SandboxMessage

POST = ("POST",)


class FaultsForm(forms.Form):
    """The faults of the sandbox, as shares in per cent."""

    busy = forms.IntegerField(
        label=gettext_lazy("Calls that find the line busy, in per cent"), min_value=0, max_value=100
    )
    lost = forms.IntegerField(
        label=gettext_lazy("Without any report, in per cent"), min_value=0, max_value=100
    )
    throttled = forms.IntegerField(
        label=gettext_lazy("Refused at first and accepted later, in per cent"), min_value=0, max_value=100
    )
    latency_seconds = forms.IntegerField(
        label=gettext_lazy("Reports come later by this many seconds"),
        min_value=0,
        max_value=fates.MAX_LATENCY_SECONDS,
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if sum(cleaned.get(name, 0) for name in ("busy", "lost", "throttled")) > 100:
            self.add_error("busy", _("The first three together can be at most 100 per cent."))
        return cleaned


@page(Permission.VIEW)
def phone(request: ConsoleRequest) -> HttpResponse:
    account = request.visit.account
    if not has_phone(account):
        return render_page(request, "console/phone.html", {"twin": twins.find(account=account)})
    if live.is_update(request):
        return _live(request)
    faults = asdict(fates.faults_of(account.pk))
    return render_page(request, "console/phone.html", _context(request, form=FaultsForm(initial=faults)))


@page(Permission.SEND, methods=POST)
def reply(request: ConsoleRequest) -> HttpResponse:
    """Answer an SMS as its recipient."""
    text = storable(request.POST.get("text", ""))
    return _act(request, lambda message: sandbox_phone.reply(message=message, text=text))


@page(Permission.SEND, methods=POST)
def press(request: ConsoleRequest) -> HttpResponse:
    """Press a key in a call as its recipient."""
    keys = request.POST.get("keys", "")
    return _act(request, lambda message: sandbox_phone.press(message=message, keys=keys))


@page(Permission.SEND, methods=POST)
def set_faults(request: ConsoleRequest) -> HttpResponse:
    account = _account_with_phone(request)
    form = FaultsForm(request.POST)
    if not form.is_valid():
        return render_page(request, "console/phone.html", _context(request, form=form))
    fates.set_faults(account.pk, fates.Faults(**form.cleaned_data))
    messages.success(request, _("This holds for what is sent from now on."))
    return redirect("console:phone", account.pk)


@page(Permission.SEND, methods=POST)
def empty(request: ConsoleRequest) -> HttpResponse:
    account = _account_with_phone(request)
    inbox.hide(account.pk)
    messages.success(request, _("The phone is empty."))
    return redirect("console:phone", account.pk)


def _act(request: ConsoleRequest, act: Any) -> HttpResponse:
    """Do something with a message as its recipient, and show the phone again. Errors stand above the messages."""
    account = _account_with_phone(request)
    problem = ""
    try:
        message: SandboxMessage = sandbox_phone.find_message(
            id_or_none(request.POST.get("message", "")) or 0, owner_id=account.pk
        )
        act(message)
    except IrisError as error:
        if not live.is_update(request):
            raise
        problem = sentence_of(error)
    if live.is_update(request):
        return _live(request, problem=problem)
    chosen = request.POST.get("to", "")
    query = f"?{urlencode({'to': chosen})}" if chosen else ""
    return redirect(f"{reverse('console:phone', args=[account.pk])}{query}")


def _account_with_phone(request: ConsoleRequest) -> Any:
    if not has_phone(request.visit.account):
        raise NotFound("Only test accounts have this phone.", code="no_phone")
    return request.visit.account


def _live(request: ConsoleRequest, *, problem: str = "") -> HttpResponse:
    return live.part(request, "console/phone_live.html", {**_context(request), "problem": problem})


def _context(request: ConsoleRequest, *, form: FaultsForm | None = None) -> dict[str, Any]:
    chosen = request.POST.get("to", "") or request.GET.get("to", "")
    return {"screen": screen_of(request.visit.account, to=storable(chosen)[:32]), "form": form}
