"""The forms of the steps of a campaign. They only read what a person typed; the verbs of the domain check it."""

from __future__ import annotations

import datetime as dt
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import nepali_datetime
from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from campaigns.messages import MAX_CHARACTERS
from campaigns.models import Campaign, Service
from console import vocabulary
from telephony import speech
from telephony.models import DeliveryStatus

FROM_DEVANAGARI = str.maketrans("०१२३४५६७८९", "0123456789")
AS_TEMPLATE = "as_template"  # the button that also saves the words as a template
SPEEDS = (("0.8", _("Slow")), ("1", pgettext_lazy("speed", "Normal")), ("1.2", _("Fast")))


class WhatForm(forms.Form):
    """What the campaign is, and what only people of the account see of it."""

    name = forms.CharField(
        label=_("Name"),
        max_length=200,
        help_text=_("Only you see it, in lists and reports."),
        widget=forms.TextInput(attrs={"autofocus": True}),
    )
    service = forms.ChoiceField(
        label=_("How do you reach people?"),
        choices=list(vocabulary.SERVICES.items()),
        widget=forms.RadioSelect,
    )
    description = forms.CharField(
        label=_("Note"),
        required=False,
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("You can leave it empty. It is not sent to anybody."),
    )


class MessageForm(forms.Form):
    """The texts of a campaign, and the voice that speaks them."""

    message = forms.CharField(
        label=_("Message"),
        required=False,
        max_length=MAX_CHARACTERS,
        strip=True,
        widget=forms.Textarea(attrs={"rows": 5}),
    )
    sms_message = forms.CharField(
        label=_("Text message"),
        required=False,
        max_length=MAX_CHARACTERS,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("Leave it empty to send the same words that are spoken."),
    )
    voice = forms.ChoiceField(label=_("Voice"))
    speed = forms.ChoiceField(label=_("Speed"), choices=SPEEDS)
    recording = forms.FileField(
        label=_("Recording"),
        required=False,
        help_text=_("A sound file to play instead of the words, such as WAV or MP3."),
    )
    source = forms.ChoiceField(
        label=_("What do people hear?"),
        required=False,
        choices=(("message", _("The words, spoken by the voice")), ("audio", _("The recording"))),
        widget=forms.RadioSelect,
    )

    new_template = forms.CharField(label=_("Name of the template"), required=False, max_length=200)

    def __init__(self, *args: Any, campaign: Campaign, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        service = Service(campaign.service)
        voices = speech.catalogue()
        voice = self.fields["voice"]
        assert isinstance(voice, forms.ChoiceField)
        voice.choices = [(name, one.display) for name, one in voices.items()]
        speeds = self.fields["speed"]
        assert isinstance(speeds, forms.ChoiceField)
        stored = f"{campaign.speed.normalize():f}"
        if stored not in dict(SPEEDS):
            speeds.choices = [*SPEEDS, (stored, f"{campaign.speed.normalize():f}×")]
        if service is not Service.BOTH:
            del self.fields["sms_message"]
        if not service.calls:
            for name in ("voice", "speed", "recording", "source"):
                del self.fields[name]
        elif campaign.audio is None:
            del self.fields["source"]

    def clean_new_template(self) -> str:
        name: str = self.cleaned_data["new_template"]
        if AS_TEMPLATE in self.data and not name:
            raise forms.ValidationError(_("Write what the template is called."))
        return name

    def clean_speed(self) -> Decimal:
        return Decimal(self.cleaned_data["speed"])


class ListForm(forms.Form):
    """What a saved list is called."""

    name = forms.CharField(
        label=_("Name"), max_length=200, help_text=_("Such as the people whom it has, or where they live.")
    )
    description = forms.CharField(
        label=_("Note"), required=False, max_length=10_000, widget=forms.Textarea(attrs={"rows": 2})
    )


class TemplateForm(forms.Form):
    """The name and the words of a template."""

    name = forms.CharField(
        label=_("Name"), max_length=200, help_text=_("Only you see it, where you choose a template.")
    )
    message = forms.CharField(
        label=_("Message"),
        max_length=MAX_CHARACTERS,
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text=_(
            "You can write {name} where each person's name belongs. The list of people then needs a column with that"
            " heading."
        ),
    )
    sms_message = forms.CharField(
        label=_("Text message"),
        required=False,
        max_length=MAX_CHARACTERS,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_(
            "For campaigns that call and send a text message. Leave it empty to send the same words."
        ),
    )
    voice = forms.ChoiceField(label=_("Voice"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        voice = self.fields["voice"]
        assert isinstance(voice, forms.ChoiceField)
        named = [(name, one.display) for name, one in speech.catalogue().items()]
        voice.choices = [("", _("The voice of the campaign")), *named]


class WhenForm(forms.Form):
    """When a campaign begins, what follows a missed call, and the most that it may cost."""

    begin = forms.ChoiceField(
        label=_("When does it begin?"),
        choices=(("now", _("As soon as I send it")), ("later", _("At a date and time"))),
        widget=forms.RadioSelect,
    )
    day = forms.DateField(
        label=_("Date (AD)"), required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    nepali_day = forms.CharField(
        label=_("Date (BS)"),
        required=False,
        max_length=20,
        help_text=_("Year, month and day, such as 2083-08-15. It is used if you fill in no other date."),
    )
    time = forms.TimeField(label=_("Time"), required=False, widget=forms.TimeInput(attrs={"type": "time"}))
    follow_up = forms.MultipleChoiceField(
        label=_("Send the words as a text message to those whom the call did not reach"),
        required=False,
        choices=[
            (str(int(status)), vocabulary.RECIPIENT[status].label)
            for status in (DeliveryStatus.UNANSWERED, DeliveryStatus.HUNGUP, DeliveryStatus.FAILED)
        ],
        widget=forms.CheckboxSelectMultiple,
    )
    spending_limit = forms.DecimalField(
        label=_("The most credits that it may cost"),
        required=False,
        min_value=Decimal("0.01"),
        max_digits=10,
        decimal_places=2,
        help_text=_("The campaign ends when these credits are used up. Leave it empty if you need no limit."),
    )

    def __init__(self, *args: Any, campaign: Campaign, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if Service(campaign.service) not in (Service.CALL, Service.SURVEY):
            del self.fields["follow_up"]

    def clean_nepali_day(self) -> date | None:
        text = self.cleaned_data["nepali_day"].translate(FROM_DEVANAGARI).replace("/", "-").strip()
        if not text:
            return None
        try:
            year, month, day = (int(part) for part in text.split("-"))
            converted: date = nepali_datetime.date(year, month, day).to_datetime_date()
        except (ValueError, TypeError, OverflowError, IndexError) as error:
            raise forms.ValidationError(_("Write a Nepali date as 2083-08-15.")) from error
        return converted

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        cleaned["schedule_at"] = None
        if cleaned.get("begin") == "later":
            day = cleaned.get("day") or cleaned.get("nepali_day")
            if day is None and not self.errors:
                self.add_error("day", _("Choose the day."))
            if cleaned.get("time") is None and "time" not in self.errors:
                self.add_error("time", _("Choose the time."))
            if day is not None and not self.errors:
                cleaned["schedule_at"] = self._moment(day, cleaned["time"])
        return cleaned

    def _moment(self, day: date, at: dt.time) -> datetime | None:
        moment = timezone.make_aware(datetime.combine(day, at))
        if moment <= timezone.now():
            self.add_error("day", _("This time is in the past. Choose a later one."))
            return None
        return moment
