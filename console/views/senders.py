"""The names and numbers that the text messages of an account come from: ask for one, and remove one."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from accounts.permissions import Permission
from console.access import page
from console.errors import sentence_of
from console.render import render_page
from console.sender_form import SenderForm
from console.views import numbers
from console.visits import ConsoleRequest
from iris.errors import IrisError, NotFound
from telephony.models import Sender, SenderOperator
from telephony.senders import decisions


@page(Permission.MANAGE_ACCOUNT, methods=("POST",))
def ask(request: ConsoleRequest) -> HttpResponse:
    account = request.visit.account
    form = SenderForm(request.POST)
    if form.is_valid():
        sent = form.cleaned_data
        try:
            decisions.request_senders(
                account=account,
                address=sent["address"],
                operators=[SenderOperator(one) for one in sent["operators"]] or [SenderOperator.EVERY],
                note=sent["note"],
            )
        except IrisError as error:
            form.add_error("address", sentence_of(error))
        else:
            messages.success(
                request,
                _("The sender is approved, because the text messages of a test account reach nobody.")
                if account.is_twin
                else _(
                    "You have asked for the sender. Your text messages come from it when the operator has approved it."
                ),
            )
            return redirect("console:numbers", account.pk)
    return numbers.show(request, form)


@page(Permission.MANAGE_ACCOUNT, methods=("GET", "HEAD", "POST"))
def remove(request: ConsoleRequest, sender_id: int) -> HttpResponse:
    """Ask once more, and remove a sender or a request."""
    account = request.visit.account
    if request.method != "POST":
        sender = Sender.objects.filter(owner=account, pk=sender_id).first() if sender_id < 2**63 else None
        if sender is None:
            raise NotFound("You have no sender with this id.")
        return render_page(request, "console/sender_remove.html", {"sender": sender})
    sender = decisions.remove_sender(account=account, sender_id=sender_id)
    messages.success(request, _("The sender %(name)s is removed.") % {"name": sender.address})
    return redirect("console:numbers", account.pk)
