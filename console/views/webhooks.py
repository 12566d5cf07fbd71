"""Webhooks: the addresses of programs that are told what happens, and what was sent to them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.permissions import Permission
from console.access import page
from console.errors import sentence_of
from console.numerals import grouped
from console.paging import page_of
from console.render import render_page
from console.visits import ConsoleRequest
from iris.errors import IrisError
from iris.storable import storable
from webhooks import endpoints
from webhooks.events import TEST, Event
from webhooks.models import MAX_URL_CHARACTERS, Endpoint, MessageState, OutboxMessage

EVENTS: dict[str, Promise] = {
    Event.DELIVERY_FINISHED: gettext_lazy("A call or a text message of a campaign is over"),
    Event.RUN_FINISHED: gettext_lazy("A campaign is done"),
    Event.OTP_FINISHED: gettext_lazy("A one-time password has arrived, or not"),
    Event.SMS_RECEIVED: gettext_lazy("A text message was received"),
    Event.OPT_OUT_ADDED: gettext_lazy("Somebody has opted out"),
    Event.CREDITS_LOW: gettext_lazy("The credits are running low"),
    Event.TRUNK_PAUSED: gettext_lazy("A line that you use was paused"),
    TEST: gettext_lazy("A test"),
}
STATES: dict[str, Promise] = {
    MessageState.PENDING: gettext_lazy("waits"),
    MessageState.DELIVERED: gettext_lazy("delivered"),
    MessageState.GIVEN_UP: gettext_lazy("given up"),
}
BOTH = ("GET", "HEAD", "POST")


class EndpointForm(forms.Form):
    url = forms.CharField(
        label=gettext_lazy("Address"),
        max_length=MAX_URL_CHARACTERS,
        widget=forms.URLInput,
        help_text=gettext_lazy("An address on the internet where your program listens."),
    )
    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=endpoints.MAX_NAME_CHARACTERS, required=False
    )
    events = forms.MultipleChoiceField(
        label=gettext_lazy("What it is told"),
        choices=[(event.value, EVENTS[event]) for event in Event],
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("Choose nothing to tell it everything."),
    )
    is_enabled = forms.BooleanField(label=gettext_lazy("Switched on"), required=False)


class ReplayForm(forms.Form):
    since = forms.DateTimeField(
        label=gettext_lazy("From"), widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )
    until = forms.DateTimeField(
        label=gettext_lazy("Until"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}),
    )


@page(Permission.MANAGE_ACCOUNT, methods=BOTH)
def index(request: ConsoleRequest) -> HttpResponse:
    """List the endpoints, and create one. The secret of a new one is shown by this answer and never again."""
    form = EndpointForm(request.POST or None)
    del form.fields["is_enabled"]
    created = None
    if request.method == "POST" and form.is_valid():
        try:
            created = endpoints.create(account=request.visit.account, **_fields(form))
        except IrisError as error:
            form.add_error(None, sentence_of(error))
        else:
            form = EndpointForm()
            del form.fields["is_enabled"]
    context = {"form": form, "created": created, "webhooks": endpoints.endpoints_of(request.visit.account)}
    return render_page(request, "console/webhooks.html", context)


@page(Permission.MANAGE_ACCOUNT, methods=BOTH)
def show(request: ConsoleRequest, webhook_id: int) -> HttpResponse:
    """Show an endpoint and the events that it was sent, newest first, and change it. `before` is where a page begins."""
    endpoint = endpoints.find(account=request.visit.account, endpoint_id=webhook_id)
    form = EndpointForm(
        request.POST or None,
        initial={name: getattr(endpoint, name) for name in EndpointForm.base_fields},
    )
    if request.method == "POST" and form.is_valid():
        try:
            endpoints.change(account=request.visit.account, endpoint_id=webhook_id, **_fields(form))
        except IrisError as error:
            form.add_error(None, sentence_of(error))
        else:
            messages.success(request, _("The webhook is saved."))
            return redirect("console:webhook", request.visit.account.pk, webhook_id)
    return _render(request, endpoint, form=form)


@page(Permission.MANAGE_ACCOUNT, methods=("POST",))
def rotate(request: ConsoleRequest, webhook_id: int) -> HttpResponse:
    """Make a new secret, and show it in this answer only."""
    endpoint = endpoints.rotate(account=request.visit.account, endpoint_id=webhook_id)
    return _render(request, endpoint, secret=endpoint.secret)


@page(Permission.MANAGE_ACCOUNT, methods=("POST",))
def test(request: ConsoleRequest, webhook_id: int) -> HttpResponse:
    endpoints.send_test(account=request.visit.account, endpoint_id=webhook_id)
    messages.success(request, _("A test is being sent. Load this page again to see what became of it."))
    return redirect("console:webhook", request.visit.account.pk, webhook_id)


@page(Permission.MANAGE_ACCOUNT, methods=("POST",))
def replay(request: ConsoleRequest, webhook_id: int) -> HttpResponse:
    """Send one event again, or those of a time."""
    account = request.visit.account
    chosen: dict[str, Any] = {"webhook_id": storable(request.POST.get("event", ""))[:60]}
    form = ReplayForm(request.POST)
    if not chosen["webhook_id"]:
        if not form.is_valid():
            endpoint = endpoints.find(account=account, endpoint_id=webhook_id)
            return _render(request, endpoint, replay_form=form)
        chosen = {"since": form.cleaned_data["since"], "until": form.cleaned_data["until"]}
    count = endpoints.replay(account=account, endpoint_id=webhook_id, **chosen)
    messages.success(
        request,
        ngettext("%(count)s event is sent again.", "%(count)s events are sent again.", count)
        % {"count": grouped(count)},
    )
    return redirect("console:webhook", account.pk, webhook_id)


@page(Permission.MANAGE_ACCOUNT, methods=BOTH)
def delete(request: ConsoleRequest, webhook_id: int) -> HttpResponse:
    """Ask once more, and delete an endpoint."""
    account = request.visit.account
    if request.method != "POST":
        endpoint = endpoints.find(account=account, endpoint_id=webhook_id)
        return render_page(request, "console/webhook_delete.html", {"webhook": endpoint})
    endpoints.delete(account=account, endpoint_id=webhook_id)
    messages.success(request, _("The webhook is deleted."))
    return redirect("console:webhooks", account.pk)


def _render(
    request: ConsoleRequest,
    endpoint: Endpoint,
    *,
    form: EndpointForm | None = None,
    replay_form: ReplayForm | None = None,
    secret: str = "",
) -> HttpResponse:
    before = request.GET.get("before", "")
    shown, more = page_of(endpoints.messages_of(endpoint), before)
    context = {
        "webhook": endpoint,
        "form": form
        or EndpointForm(initial={name: getattr(endpoint, name) for name in EndpointForm.base_fields}),
        "replay_form": replay_form or ReplayForm(),
        "secret": secret,
        "signs_with_old": endpoint.old_secret_until is not None
        and endpoint.old_secret_until > timezone.now(),
        "messages_sent": [_shown(one) for one in shown],
        "before": more,
        "is_later_page": bool(before),
    }
    return render_page(request, "console/webhook.html", context)


def _shown(message: OutboxMessage) -> dict[str, Any]:
    last = message.attempts[-1] if message.attempts else None
    return {
        "message": message,
        "title": EVENTS.get(message.event, message.event),
        "state": STATES[message.state],
        "attempts": len(message.attempts),
        "code": last and last["code"],
        "error": last and last["error"],
        "last_at": last and datetime.fromisoformat(last["at"]),
        "can_replay": message.state != MessageState.PENDING,
    }


def _fields(form: EndpointForm) -> dict[str, Any]:
    """Return what the form sends, as `endpoints.create` and `endpoints.change` take it."""
    cleaned = form.cleaned_data
    return {**cleaned, "events": [Event(value) for value in cleaned["events"]]}
