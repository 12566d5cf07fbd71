"""What the settings of an account are called, and how their values are shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models.accounts import Language
from console.numerals import in_digits
from console.vocabulary import SERVICES
from console.words_of_rules import TITLES, sentence_of_rule
from iris.errors import IrisError
from telephony import speech

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

SETTINGS: dict[str, StrPromise] = {
    "name": gettext_lazy("Name of the account"),
    "time_zone": gettext_lazy("Time zone"),
    "language": gettext_lazy("Language of the voice, if a campaign names no voice"),
    "default_services": gettext_lazy("How new campaigns reach people"),
    "default_voice": gettext_lazy("Voice of new campaigns"),
    "default_caller": gettext_lazy("Number from which new campaigns call"),
    "default_spending_limit": gettext_lazy("The most credits that a new campaign may cost"),
    "low_credit_level": gettext_lazy("Credits below which people get an e-mail"),
    "approval_above": gettext_lazy("Campaigns for more people than this need approval"),
    "approval_hours": gettext_lazy("Hours within which a campaign must be approved"),
    "retry": TITLES["retry"],
    "calling_hours": TITLES["calling_hours"],
    "duplicates": TITLES["duplicates"],
    "frequency_cap": TITLES["frequency_cap"],
    "waves": TITLES["waves"],
    "opt_out_words": gettext_lazy("Words with which people opt out"),
    "opt_out_key": gettext_lazy("People opt out with the key 9 during a call"),
    "alerts_past_opt_outs": gettext_lazy("Urgent campaigns can reach people who have opted out"),
    "announce_recording": gettext_lazy("Calls say that answers are recorded"),
    "keep_messages_days": gettext_lazy("Days for which calls and messages are kept"),
    "keep_recordings_days": gettext_lazy("Days for which recorded answers are kept"),
    "keep_recipients_days": gettext_lazy("Days for which the people of campaigns are kept"),
}

# Settings with several values, which `words_of_rules` says in a sentence.
RULES = ("retry", "calling_hours", "duplicates", "frequency_cap", "waves", "opt_out_words")
LANGUAGES: dict[str, Promise] = {
    Language.NEPALI: gettext_lazy("Nepali"),
    Language.ENGLISH: gettext_lazy("English"),
}


# How the triggers of the audit log write that a setting is off, and true and false.
_OFF, _YES, _NO = (None, "", "off"), (True, "true"), (False, "false")


def shown_setting(name: str, value: Any) -> str:
    """Return the value of a setting as people read it. It comes from the account, or from the audit log as text."""
    if value in _YES:
        return _("yes")
    if value in _NO:
        return _("no")
    if value in _OFF:
        return _("none")
    if name in RULES:
        return _shown_rule(name, value)
    if name == "default_services":
        return str(SERVICES.get(value, value))
    if name == "language":
        return str(LANGUAGES.get(value, value))
    if name == "default_voice":
        voice = speech.catalogue().get(value)
        return str(value) if voice is None else voice.display
    return str(value) if name in ("name", "time_zone", "default_caller") else in_digits(str(value))


def _shown_rule(name: str, value: Any) -> str:
    """Return a rule in words, or as it was written if this release cannot read it."""
    try:
        is_text = isinstance(value, str) and name != "duplicates"
        return sentence_of_rule(name, json.loads(value) if is_text else value)
    except (IrisError, ValueError, TypeError, KeyError, AttributeError):
        return str(value)
