"""What the settings of an account are called, and how their values are shown."""

from __future__ import annotations

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models.accounts import Language
from console.numerals import in_digits
from console.vocabulary import SERVICES
from telephony import speech

SETTINGS: dict[str, Promise] = {
    "name": gettext_lazy("Name of the account"),
    "time_zone": gettext_lazy("Time zone"),
    "language": gettext_lazy("Language of the voice, if a campaign names no voice"),
    "default_services": gettext_lazy("How new campaigns reach people"),
    "default_voice": gettext_lazy("Voice of new campaigns"),
    "default_caller": gettext_lazy("Number from which new campaigns call"),
    "default_spending_limit": gettext_lazy("The most credits that a new campaign may cost"),
    "approval_above": gettext_lazy("Campaigns for more people than this need approval"),
    "approval_hours": gettext_lazy("Hours in which a campaign must be approved"),
    "announce_recording": gettext_lazy("Calls say that answers are recorded"),
    "keep_messages_days": gettext_lazy("Days for which calls and messages are kept"),
    "keep_recordings_days": gettext_lazy("Days for which recorded answers are kept"),
    "keep_recipients_days": gettext_lazy("Days for which the people of campaigns are kept"),
}

LANGUAGES: dict[str, Promise] = {
    Language.NEPALI: gettext_lazy("Nepali"),
    Language.ENGLISH: gettext_lazy("English"),
}


def shown_setting(name: str, value: Any) -> str:
    """Return the value of a setting as people read it."""
    if value is None or value == "":
        return _("none")
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if name == "default_services":
        return str(SERVICES.get(value, value))
    if name == "language":
        return str(LANGUAGES.get(value, value))
    if name == "default_voice":
        voice = speech.catalogue().get(value)
        return str(value) if voice is None else voice.display
    return str(value) if name in ("name", "time_zone", "default_caller") else in_digits(str(value))
