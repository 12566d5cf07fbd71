"""The form of the hours in which people are contacted: lines of weekdays and times, and holidays."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _

from campaigns.runs.calling_hours import MAX_ENTRIES, CallingHours
from console.errors import sentence_of
from console.forms import FROM_DEVANAGARI
from console.rule_forms import ON, RuleForm
from console.words_of_rules import WEEKDAYS
from iris.errors import InvalidInput

EMPTY_ROWS = 2
MAX_ROWS = 2 * MAX_ENTRIES
BOTH = "both"
CHANNELS = (
    (BOTH, _("Calls and text messages")),
    ("calls", _("Only calls")),
    ("sms", _("Only text messages")),
)
WORKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri"]


class HoursForm(RuleForm):
    """Each row is a channel with weekdays, and the time from which and until which people are contacted on these days.

    The time zone of a stored rule is kept.
    """

    name = "calling_hours"
    template = "console/rule_hours.html"
    on_label = _("Only at these times:")
    off_label = _("At any time")
    default: ClassVar = {"channel_0": BOTH, "days_0": WORKDAYS, "from_0": "09:00", "to_0": "18:00"}

    rows = forms.CharField(widget=forms.HiddenInput, required=False)
    holidays = forms.CharField(
        label=_("Never on these days"),
        required=False,
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("One date in each line, such as 2083-07-22 (BS) or 2026-11-08 (AD)."),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        given = self.data.get(self.add_prefix("rows"), "") if self.is_bound else ""
        used = sum(name.startswith("from_") for name in self.initial)
        self.initial["rows"] = used + EMPTY_ROWS
        count = int(given) if given.isascii() and given.isdecimal() and len(given) < 4 else used + EMPTY_ROWS
        for place in range(min(count, MAX_ROWS)):
            self.fields |= {
                f"channel_{place}": forms.ChoiceField(
                    label=_("For"), choices=CHANNELS, initial=BOTH, required=False
                ),
                f"days_{place}": forms.MultipleChoiceField(
                    label=_("Weekdays"),
                    choices=list(WEEKDAYS.items()),
                    widget=forms.CheckboxSelectMultiple,
                    required=False,
                ),
                f"from_{place}": _time(_("From")),
                f"to_{place}": _time(_("Until")),
            }
        self.row_count = min(count, MAX_ROWS)

    @property
    def row_fields(self) -> list[list[forms.BoundField]]:
        """Return the fields of each row: the channel, the weekdays, and both times."""
        names = ("channel", "days", "from", "to")
        return [[self[f"{name}_{place}"] for name in names] for place in range(self.row_count)]

    @property
    def main_field(self) -> str:
        return "from_0"

    def values_of(self, rule: Any) -> dict[str, Any]:
        calls, sms = rule.get("calls", []), rule.get("sms", [])
        entries = [(BOTH if entry in sms else "calls", entry) for entry in calls]
        entries += [("sms", entry) for entry in sms if entry not in calls]
        values: dict[str, Any] = {"holidays": "\n".join(rule.get("holidays", ()))}
        for place, (channel, entry) in enumerate(entries):
            values |= {
                f"channel_{place}": channel,
                f"days_{place}": entry.get("days", list(WEEKDAYS)),
                f"from_{place}": entry["from"],
                f"to_{place}": entry["to"],
            }
        return values

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if cleaned.get("mode") == ON:
            for place in range(self.row_count):
                self._check_row(place, cleaned)
            for day in cleaned.get("holidays", "").split():
                self._check(
                    {"calls": [{"from": "09:00", "to": "18:00"}], "holidays": [_plain(day)]}, "holidays"
                )
        return super().clean()

    def rule(self, cleaned: dict[str, Any]) -> Any:
        rule: dict[str, Any] = {}
        for place in range(self.row_count):
            if cleaned[f"from_{place}"]:
                for name in ("calls", "sms"):
                    if cleaned[f"channel_{place}"] in (name, BOTH, ""):
                        rule.setdefault(name, []).append(_entry(place, cleaned))
        if not rule:
            raise InvalidInput("Fill in at least one line.", code="no_hours")
        if days := cleaned["holidays"].split():
            rule["holidays"] = [_plain(day) for day in days]
        if isinstance(self.stored, dict) and "time_zone" in self.stored:
            rule["time_zone"] = self.stored["time_zone"]
        return rule

    def _check_row(self, place: int, cleaned: dict[str, Any]) -> None:
        begin, end = cleaned.get(f"from_{place}"), cleaned.get(f"to_{place}")
        if bool(begin) is not bool(end):
            self.add_error(
                f"to_{place}" if begin else f"from_{place}", _("Fill in both times, or none of them.")
            )
        elif begin and not cleaned.get(f"days_{place}"):
            self.add_error(f"days_{place}", _("Choose at least one weekday."))
        elif begin:
            self._check({"calls": [_entry(place, cleaned)]}, f"from_{place}")

    def _check(self, rule: dict[str, Any], field: str) -> None:
        try:
            CallingHours.parse(rule)
        except InvalidInput as error:
            self.add_error(field, sentence_of(error))


def _entry(place: int, cleaned: dict[str, Any]) -> dict[str, Any]:
    days = cleaned[f"days_{place}"]
    limits = {"from": _plain(cleaned[f"from_{place}"]), "to": _plain(cleaned[f"to_{place}"])}
    return limits if set(days) == set(WEEKDAYS) else {"days": days, **limits}


def _plain(text: str) -> str:
    return text.translate(FROM_DEVANAGARI).replace("/", "-").strip(",")


def _time(label: Any) -> forms.CharField:
    widget = forms.TextInput(attrs={"placeholder": "--:--", "size": 5})
    return forms.CharField(label=label, required=False, max_length=5, widget=widget)
