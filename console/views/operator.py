"""The operator area: the state of the server, its trunks, the accounts and the senders that wait for a decision."""

from __future__ import annotations

import math
import uuid
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import credits
from accounts.models import MONEY_DIGITS, MONEY_PLACES, Account, CreditEntry, Member
from console import support
from console.access import operator_page
from console.errors import sentence_of
from console.forms import FROM_DEVANAGARI
from console.numerals import grouped
from console.render import render_operator_page
from console.words_of_operator import PARTS, decided, said, shown_trunks
from iris import health
from iris.errors import IrisError, NotFound
from iris.storable import storable
from telephony.engine import circuit_breaker, restore_hold, stalls, workers
from telephony.engine.trunk_summary import summarize_trunks
from telephony.models import Sender, SenderStatus
from telephony.senders import decisions

PAGE_SIZE = 50
SHOWN_ENTRIES = 10
SHOWN_SENDERS = 200
VIEW_ACCOUNTS, CHANGE_ACCOUNTS = "accounts.view_account", "accounts.change_account"
VIEW_TRUNKS, CHANGE_TRUNKS = "telephony.view_trunk", "telephony.change_trunk"
CHANGE_SENDERS = "telephony.change_sender"


class TopUpForm(forms.Form):
    """Credits to add. `cause` comes from the page, so that sending the form twice tops up once."""

    amount = forms.DecimalField(
        label=gettext_lazy("Credits to add"),
        min_value=Decimal("0.01"),
        max_digits=MONEY_DIGITS,
        decimal_places=MONEY_PLACES,
    )
    note = forms.CharField(
        label=gettext_lazy("Note"),
        max_length=200,
        required=False,
        help_text=gettext_lazy("The account sees it, such as the number of the invoice."),
    )
    cause = forms.UUIDField(widget=forms.HiddenInput)


@operator_page(VIEW_TRUNKS)
def overview(request: HttpRequest) -> HttpResponse:
    """Show whether the parts of the server work, and each trunk. Keeps itself up to date."""
    parts = health.check_parts()
    context = {
        "parts": [(PARTS.get(name, name), state == health.OK, said(state)) for name, state in parts.items()],
        "workers": workers.living(),
        "held": restore_hold.hold(),
        "stalled": [said(sentence) for sentence in stalls.stalled()],
        "trunks": shown_trunks(summarize_trunks()),
        "may_change": request.user.has_perm(CHANGE_TRUNKS),
        "requested": Sender.objects.filter(status=SenderStatus.REQUESTED).count(),
    }
    if request.headers.get("HX-Request"):
        return render_operator_page(request, "console/operator_live.html", context)
    return render_operator_page(request, "console/operator.html", context)


@operator_page(CHANGE_TRUNKS, methods=("POST",))
def change_trunk(request: HttpRequest, alias: str) -> HttpResponse:
    """Pause or resume a trunk, or set its pace. All processes obey within a second."""
    sent = request.POST
    if "pause" in sent:
        circuit_breaker.pause(alias, reason=storable(sent.get("reason", "")))
        messages.success(
            request, _("The trunk %(name)s is paused. Its queue uses other trunks.") % {"name": alias}
        )
    elif "resume" in sent:
        circuit_breaker.resume(alias)
        messages.success(request, _("The trunk %(name)s is resumed.") % {"name": alias})
    elif "pace" in sent:
        circuit_breaker.set_pace(alias, _pace(sent.get("cps", "")))
        messages.success(request, _("The pace of the trunk %(name)s is changed.") % {"name": alias})
    return redirect("console:operator")


def _pace(text: str) -> float | None:
    """Return the pace that was typed; None, which is the pace of the carriers file, if nothing was. Raises InvalidInput."""
    text = text.strip().translate(FROM_DEVANAGARI).replace(",", ".")
    if not text:
        return None
    try:
        pace = float(text)
    except ValueError:
        pace = 0.0
    return pace if math.isfinite(pace) else 0.0


@operator_page(VIEW_ACCOUNTS)
def accounts(request: HttpRequest) -> HttpResponse:
    """List the accounts. `q` is an id, a part of the name, or the e-mail address of a member; `after` begins a page."""
    words = storable(request.GET.get("q", ""))[:200].strip()
    found = Account.objects.select_related("parent", "twin_of").order_by("pk")
    if words:
        matches = Q(name__icontains=words) | Q(
            pk__in=Member.objects.filter(user__email__iexact=words).values("account")
        )
        if _is_id(words):
            matches |= Q(pk=int(words))
        found = found.filter(matches)
    after = request.GET.get("after", "")
    if _is_id(after):
        found = found.filter(pk__gt=int(after))
    rows = list(found[: PAGE_SIZE + 1])
    context = {
        "listed": rows[:PAGE_SIZE],
        "words": words,
        "after": rows[PAGE_SIZE - 1].pk if len(rows) > PAGE_SIZE else None,
    }
    return render_operator_page(request, "console/operator_accounts.html", context)


@operator_page(VIEW_ACCOUNTS)
def account(request: HttpRequest, pk: int) -> HttpResponse:
    return _account_page(request, _account(pk), TopUpForm(initial={"cause": uuid.uuid4()}))


@operator_page(CHANGE_ACCOUNTS, methods=("POST",))
def top_up(request: HttpRequest, pk: int) -> HttpResponse:
    found = _account(pk)
    form = TopUpForm(request.POST)
    if found.is_twin:
        raise NotFound("A test account has no top-ups. Its members fill it up themselves.")
    if form.is_valid():
        sent = form.cleaned_data
        try:
            credits.top_up(
                account=found,
                amount=sent["amount"],
                cause=f"topup:operator:{sent['cause']}",
                note=sent["note"],
            )
        except IrisError as error:
            form.add_error("amount", ValidationError(sentence_of(error)))
        else:
            messages.success(request, _("%(count)s credits were added.") % {"count": grouped(sent["amount"])})
            return redirect("console:operator-account", found.pk)
    return _account_page(request, found, form)


@operator_page(VIEW_ACCOUNTS, methods=("POST",))
def look(request: HttpRequest, pk: int) -> HttpResponse:
    """Begin to look at the pages of an account as its members see them."""
    found = _account(pk)
    support.begin(request, account=found, reason=storable(request.POST.get("reason", "")))
    return redirect("console:home", found.pk)


@operator_page(methods=("POST",))
def stop_looking(request: HttpRequest) -> HttpResponse:
    support.end(request)
    messages.success(request, _("You no longer look at the account."))
    return redirect("console:operator-accounts")


@operator_page(CHANGE_SENDERS)
def senders(request: HttpRequest) -> HttpResponse:
    """List the senders that accounts have asked for, the oldest request first."""
    waiting = Sender.objects.filter(status=SenderStatus.REQUESTED).select_related("owner")
    context = {"waiting": list(waiting.order_by("requested_at", "pk")[:SHOWN_SENDERS])}
    return render_operator_page(request, "console/operator_senders.html", context)


@operator_page(CHANGE_SENDERS, methods=("POST",))
def decide_sender(request: HttpRequest, pk: int) -> HttpResponse:
    """Approve a sender, or refuse it with a reason that the account sees."""
    if "approve" in request.POST:
        count = decisions.approve([pk])
    else:
        count = decisions.refuse([pk], reason=storable(request.POST.get("reason", ""))[:300].strip())
    messages.success(request, decided(count, approved="approve" in request.POST))
    return redirect("console:operator-senders")


def _account(pk: int) -> Account:
    found = Account.objects.select_related("parent", "twin_of").filter(pk=pk).first() if pk < 2**63 else None
    if found is None:
        raise NotFound("There is no account with this number.")
    return found


def _account_page(request: HttpRequest, found: Account, form: TopUpForm) -> HttpResponse:
    entries = CreditEntry.objects.filter(account=found, kind=CreditEntry.Kind.TOPUP).order_by("-pk")
    context: dict[str, Any] = {
        "found": found,
        "form": form,
        "members": list(Member.objects.filter(account=found).select_related("user").order_by("pk")),
        "below": list(Account.objects.filter(Q(parent=found) | Q(twin_of=found)).order_by("pk")),
        "entries": list(entries[:SHOWN_ENTRIES]),
        "minutes": support.MINUTES,
        "max_reason": support.MAX_REASON,
        "may_change": request.user.has_perm(CHANGE_ACCOUNTS),
    }
    return render_operator_page(request, "console/operator_account.html", context)


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19
