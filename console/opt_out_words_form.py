"""The form of an account's own words for opting out and in again, by language."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from console.errors import sentence_of
from iris.errors import InvalidInput
from telephony.optouts.keywords import read_own_keywords

LANGUAGES: dict[str, Promise] = {
    "ne": _("Nepali"),
    "mai": _("Maithili"),
    "bho": _("Bhojpuri"),
    "new": _("Nepal Bhasa"),
    "en": _("English"),
}
_SEPARATORS = re.compile(r"[,\n]")


class OptOutWordsForm(forms.Form):
    """Two fields for each language: the words with which people opt out, and those with which they want messages again."""

    def __init__(self, sent: QueryDict | None, *, stored: dict[str, Any] | None) -> None:
        self.stored = stored or {}
        languages = [*LANGUAGES, *(one for one in self.stored if one not in LANGUAGES)]
        initial = {
            f"{list_name}_{language}": ", ".join(self.stored.get(language, {}).get(list_name, ()))
            for language in languages
            for list_name in ("stop", "start")
        }
        super().__init__(sent, prefix="opt_out_words", initial=initial)
        self.languages = languages
        for language in languages:
            for list_name in ("stop", "start"):
                self.fields[f"{list_name}_{language}"] = forms.CharField(
                    label=_("Opting out") if list_name == "stop" else _("Opting in again"),
                    required=False,
                    max_length=5_000,
                )

    @property
    def rows(self) -> list[tuple[Any, forms.BoundField, forms.BoundField]]:
        return [
            (LANGUAGES.get(language, language), self[f"stop_{language}"], self[f"start_{language}"])
            for language in self.languages
        ]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        words: dict[str, Any] = {}
        for language in self.languages:
            lists = {
                name: found for name in ("stop", "start") if (found := _words(cleaned, f"{name}_{language}"))
            }
            if lists:
                words[language] = lists
                try:  # together with the languages before it, because a word must not mean both
                    read_own_keywords(words)
                except InvalidInput as error:
                    self.add_error(f"stop_{language}", sentence_of(error))
                    del words[language]
        cleaned["words"] = words or None
        return cleaned

    def changes(self) -> dict[str, Any]:
        """Return the words by the name of their setting if they were changed, otherwise nothing."""
        is_sent = any(self.add_prefix(name) in self.data for name in self.fields)
        return {"opt_out_words": self.cleaned_data["words"]} if is_sent and self.has_changed() else {}


def _words(cleaned: dict[str, Any], name: str) -> list[str]:
    return [word.strip() for word in _SEPARATORS.split(cleaned.get(name, "")) if word.strip()]
