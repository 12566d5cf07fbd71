"""The API keys of an account: create one and see it once, see which are used, revoke them."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import apikeys, twins
from accounts.permissions import KEY_SCOPES, Permission
from console.access import page
from console.errors import sentence_of
from console.render import render_page
from console.visits import ConsoleRequest
from console.words_of_people import PERMISSIONS
from iris.errors import IrisError

SHOWN_KEYS = 200


class KeyForm(forms.Form):
    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        help_text=gettext_lazy("Where the key is used, such as the name of a program."),
    )
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("What the key may do"),
        choices=[(scope.value, PERMISSIONS[scope]) for scope in KEY_SCOPES],
        widget=forms.CheckboxSelectMultiple,
    )
    expires = forms.DateField(
        label=gettext_lazy("Valid until the end of (AD)"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text=gettext_lazy("Leave it empty for a key that stays valid."),
    )
    test = forms.BooleanField(
        label=gettext_lazy("A test key, whose calls and text messages reach no phone"), required=False
    )


@page(Permission.MANAGE_ACCOUNT, methods=("GET", "HEAD", "POST"))
def keys(request: ConsoleRequest) -> HttpResponse:
    """List the keys that were not revoked, and create one. A new key is shown by this answer and never again."""
    account = request.visit.account
    form = KeyForm(request.POST or None, initial={"scopes": [Permission.VIEW.value]})
    if account.is_twin:
        del form.fields["test"]
    created = ""
    if request.method == "POST" and form.is_valid():
        try:
            created = _create(request, form.cleaned_data)
        except IrisError as error:
            form.add_error(None, sentence_of(error))
        else:
            form = KeyForm(initial={"scopes": [Permission.VIEW.value]})
    rows = apikeys.keys_of(account=account).filter(revoked_at=None).select_related("account", "created_by")
    context = {
        "form": form,
        "created": created,
        "keys": [
            (key, [PERMISSIONS[Permission(scope)] for scope in key.scopes])
            for key in rows.order_by("-pk")[:SHOWN_KEYS]
        ],
        "now": timezone.now(),
    }
    return render_page(request, "console/keys.html", context)


@page(Permission.MANAGE_ACCOUNT, methods=("GET", "HEAD", "POST"))
def revoke(request: ConsoleRequest, key_id: int) -> HttpResponse:
    """Ask once more, and revoke a key."""
    account = request.visit.account
    if request.method != "POST":
        key = apikeys.keys_of(account=account).filter(pk=key_id, revoked_at=None).first()
        if key is None:
            return redirect("console:keys", account.pk)
        return render_page(request, "console/key_revoke.html", {"key": key})
    key = apikeys.revoke_key(account=account, key_id=key_id)
    messages.success(request, _("The key “%(name)s” no longer works.") % {"name": key.name or key.beginning})
    return redirect("console:keys", account.pk)


def _create(request: ConsoleRequest, cleaned: dict[str, Any]) -> str:
    """Create a key and return it. Raises the errors of `apikeys.create`, and ExceedsOwnPermissions."""
    visit = request.visit
    scopes = frozenset(Permission(scope) for scope in cleaned["scopes"])
    visit.actor.check_may_grant(is_owner=False, permissions=scopes)
    account = twins.open_twin(account=visit.account) if cleaned.get("test") else visit.account
    day = cleaned["expires"]
    _row, key = apikeys.create(
        account=account,
        created_by=visit.user,
        name=cleaned["name"],
        scopes=scopes,
        expires_at=None if day is None else timezone.make_aware(datetime.combine(day, time(23, 59, 59))),
    )
    return key
