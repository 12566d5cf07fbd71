"""Text messages that people have sent to an account, and the conversation with one number."""

from __future__ import annotations

from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.permissions import Permission
from campaigns import runs, services
from campaigns.messages import MAX_CHARACTERS
from campaigns.models import RunStatus, Service
from console import vocabulary
from console.access import page
from console.errors import sentence_of
from console.render import render_page
from console.visits import ConsoleRequest
from iris.errors import IrisError
from iris.storable import storable
from telephony import inbox as inbound
from telephony.numbering import to_e164

PAGE_SIZE = 50


class ReplyForm(forms.Form):
    text = forms.CharField(
        label=gettext_lazy("Your reply"),
        max_length=MAX_CHARACTERS,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("It is sent as a text message and costs as much as one of a campaign."),
    )


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
    """Show what the account sent to a number and what came back, oldest first, and a form to reply."""
    return _conversation(request)


@page(Permission.SEND, methods=("POST",))
def reply(request: ConsoleRequest) -> HttpResponse:
    """Send a text message to the number. It is a campaign for one person, so it has its price, its rules and its report."""
    form = ReplyForm(request.POST)
    number = _number(request)
    if not form.is_valid() or not number:
        return _conversation(request, form)
    try:
        # If it cannot begin, there is no campaign either.
        with transaction.atomic():
            made = services.create_campaign(
                account=request.visit.account,
                name=_("Reply to %(number)s") % {"number": number},
                service=Service.SMS,
                numbers=[number],
                message=form.cleaned_data["text"],
            )
            run = runs.begin(campaign=made.campaign)
    except IrisError as error:
        form.add_error("text", sentence_of(error))
        return _conversation(request, form)
    if run.status == RunStatus.AWAITING:
        messages.success(request, _("A second person must approve the message before it is sent."))
    else:
        messages.success(request, _("The message is on its way."))
    query = urlencode({"with": number})
    return redirect(f"{reverse('console:conversation', args=[request.visit.account.pk])}?{query}")


def _conversation(request: ConsoleRequest, form: ReplyForm | None = None) -> HttpResponse:
    number = _number(request)
    if not number:
        return redirect("console:inbox", request.visit.account.pk)
    opt_out = inbound.opt_out_of(request.visit.account, number)
    may_reply = request.visit.may_send and opt_out is None and to_e164(number)
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
        "opt_out": opt_out,
        "form": (form or ReplyForm()) if may_reply else None,
    }
    return render_page(request, "console/conversation.html", context)


def _number(request: ConsoleRequest) -> str:
    number = storable(request.GET.get("with", ""))[:32].strip()
    if number[:1] != "+" and number.isdecimal() and "+" in request.META.get("QUERY_STRING", ""):
        return f"+{number}"  # a plus that nobody has encoded arrives as a space
    return number
