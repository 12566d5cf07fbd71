"""The settings of an account: what new campaigns begin with, who approves large ones, and how long data is kept."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import actors
from accounts.account_settings import KEPT_DAYS, MAX_DAYS, MAX_RECIPIENTS, change_settings, settings_of
from accounts.models import Account
from accounts.models.accounts import MAX_APPROVAL_HOURS
from accounts.permissions import Permission
from campaigns.models import Service
from console import vocabulary
from console.access import page
from console.errors import sentence_of
from console.opt_out_words_form import OptOutWordsForm
from console.reaching_rules import account_rules
from console.render import render_page
from console.visits import ConsoleRequest
from console.words_of_settings import LANGUAGES, SETTINGS
from iris.errors import InvalidInput
from telephony import speech
from telephony.models import PhoneNumber

MAX_LISTED_NUMBERS = 500
NOTHING = ("", gettext_lazy("none"))
KEPT_HELP = gettext_lazy("Leave it empty to keep them.")


class SettingsForm(forms.Form):
    """All settings. An empty field switches its setting off."""

    time_zone = forms.ChoiceField(
        label=SETTINGS["time_zone"],
        widget=forms.Select(attrs={"lang": "en"}),
        help_text=gettext_lazy("The pages and the API show times in this zone."),
    )
    language = forms.ChoiceField(label=SETTINGS["language"], choices=list(LANGUAGES.items()))
    default_services = forms.ChoiceField(label=SETTINGS["default_services"], required=False)
    default_voice = forms.ChoiceField(label=SETTINGS["default_voice"], required=False)
    default_caller = forms.ChoiceField(label=SETTINGS["default_caller"], required=False)
    default_spending_limit = forms.DecimalField(
        label=SETTINGS["default_spending_limit"],
        required=False,
        min_value=Decimal("0.01"),
        max_digits=10,
        decimal_places=2,
        help_text=gettext_lazy("Leave it empty for no limit."),
    )
    approval_above = forms.IntegerField(
        label=SETTINGS["approval_above"],
        required=False,
        min_value=0,
        max_value=MAX_RECIPIENTS,
        help_text=gettext_lazy(
            "A second person must approve such a campaign before it starts. Leave it empty if nobody has to."
        ),
    )
    approval_hours = forms.IntegerField(
        label=SETTINGS["approval_hours"],
        min_value=1,
        max_value=MAX_APPROVAL_HOURS,
        help_text=gettext_lazy("After that it ends without having started, and its credits are free again."),
    )
    opt_out_key = forms.BooleanField(label=SETTINGS["opt_out_key"], required=False)
    alerts_past_opt_outs = forms.BooleanField(label=SETTINGS["alerts_past_opt_outs"], required=False)
    announce_recording = forms.BooleanField(label=SETTINGS["announce_recording"], required=False)
    keep_messages_days = forms.IntegerField(
        label=SETTINGS["keep_messages_days"],
        required=False,
        min_value=1,
        max_value=MAX_DAYS,
        help_text=KEPT_HELP,
    )
    keep_recordings_days = forms.IntegerField(
        label=SETTINGS["keep_recordings_days"],
        required=False,
        min_value=1,
        max_value=MAX_DAYS,
        help_text=KEPT_HELP,
    )
    keep_recipients_days = forms.IntegerField(
        label=SETTINGS["keep_recipients_days"],
        required=False,
        min_value=1,
        max_value=MAX_DAYS,
        help_text=KEPT_HELP,
    )

    def __init__(self, *args: Any, account: Account, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        stored = settings_of(account)
        self.initial = {**stored, **self.initial}
        numbers = PhoneNumber.objects.filter(owner=account).order_by("pk")
        self._offer("time_zone", [(zone, zone.replace("_", " ")) for zone in _zones()], stored)
        services = [(one.value, vocabulary.SERVICES[one]) for one in Service if one is not Service.SURVEY]
        self._offer("default_services", [NOTHING, *services], stored)
        voices = [(name, voice.display) for name, voice in speech.catalogue().items()]
        self._offer("default_voice", [NOTHING, *voices], stored)
        owned = [(one, one) for one in numbers.values_list("number", flat=True)[:MAX_LISTED_NUMBERS]]
        self._offer("default_caller", [NOTHING, *owned], stored)

    def _offer(self, name: str, choices: list[tuple[Any, Any]], stored: dict[str, Any]) -> None:
        """Offer these choices, and the stored one even if it exists no more."""
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        if stored[name] not in dict(choices):
            choices = [*choices, (stored[name], stored[name])]
        field.choices = choices

    @property
    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        """Return the fields in the groups in which the page shows them."""
        chosen = [
            (_("Time and language"), ("time_zone", "language")),
            (
                _("New campaigns"),
                ("default_services", "default_voice", "default_caller", "default_spending_limit"),
            ),
            (_("Opting out"), ("opt_out_key", "alerts_past_opt_outs")),
            (_("Approval of large campaigns"), ("approval_above", "approval_hours")),
            (_("Recordings, and how long data is kept"), ("announce_recording", *KEPT_DAYS)),
        ]
        return [(title, [self[name] for name in names]) for title, names in chosen]


@page(Permission.MANAGE_ACCOUNT, methods=("GET", "HEAD", "POST"))
def settings(request: ConsoleRequest) -> HttpResponse:
    account = request.visit.account
    form = SettingsForm(request.POST or None, account=account)
    rules = account_rules(request.POST or None, account=account)
    words = OptOutWordsForm(request.POST or None, stored=account.opt_out_words)
    are_valid = [one.is_valid() for one in (form, rules, words)]
    if request.method == "POST" and all(are_valid):
        stored = settings_of(account)
        changes = {name: value for name, value in form.cleaned_data.items() if value != stored[name]}
        changes |= rules.changes() | words.changes()
        try:
            change_settings(account=account, by=actors.current(), **changes)
        except InvalidInput as error:
            fields = [one.get("field") for one in error.errors]
            form.add_error(next((name for name in fields if name in form.fields), None), sentence_of(error))
        else:
            messages.success(
                request, _("The settings are saved. Campaigns that were sent before are not affected.")
            )
            return redirect("console:settings", account.pk)
    context = {"form": form, "rules": rules, "words": words, "is_wrong": request.method == "POST"}
    return render_page(request, "console/settings.html", context)


def _zones() -> list[str]:
    """Return the names of time zones, without the old ones and those of machines."""
    places = (name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "US/")))
    return ["Asia/Kathmandu", "UTC", *sorted(set(places) - {"Asia/Kathmandu"})]
