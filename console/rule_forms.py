"""The forms of the rules of reaching people: those of an account, and those that a campaign has instead.

They only read what a person typed. The domain reads each rule, and its errors stand beside the field. A rule that was not
changed is not sent, so it stays exactly as it is stored.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.http import QueryDict
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from campaigns.models import Service
from campaigns.runs.limits import KEEP, MAX_CONTACTS, MAX_DAYS, MAX_WAVES, ONCE
from campaigns.runs.retries import MAX_DELAY_SECONDS, MAX_TRIES, OF_SMS, Backoff, Outcome, RetryRule
from campaigns.runs.rules import OF_ACCOUNT, read_rules
from console.errors import sentence_of
from console.forms import FROM_DEVANAGARI
from console.numerals import in_digits
from console.words_of_rules import DUPLICATES, OUTCOMES, TITLES, minutes_of, sentence_of_rule
from iris.errors import InvalidInput

ON, OFF, ACCOUNT = "on", "off", "account"


class RuleForm(forms.Form):
    """One rule, and the choice whether it holds. A campaign can also have the rule of its account.

    `stored` is the rule of the account or of the campaign, `of_account` what holds for a campaign without a rule of its own.
    """

    name: ClassVar[str]
    template: ClassVar[str] = "console/rule_fields.html"
    on_label: ClassVar[Promise] = gettext_lazy("This rule:")
    off_label: ClassVar[Promise] = gettext_lazy("No such rule")
    off: ClassVar[Any] = None  # how it is stored that there is no such rule
    default: ClassVar[dict[str, Any]] = {}  # what the fields show at first

    use_required_attribute = False  # browsers could not ask for fields that are hidden

    mode = forms.ChoiceField(label="", required=False, widget=forms.RadioSelect)

    def __init__(
        self, sent: QueryDict | None, *, stored: Any, service: Service = Service.BOTH, **options: Any
    ) -> None:
        has_account = "of_account" in options
        of_account = options.pop("of_account", None)
        self.stored, self.service = stored, service
        if has_account and stored is OF_ACCOUNT:
            mode, shown = ACCOUNT, of_account
        else:
            mode, shown = (OFF if stored in (None, self.off) else ON), stored
        values = self.default if shown in (None, self.off) else self.values_of(shown)
        super().__init__(sent, prefix=self.name, initial={**values, "mode": mode})
        self.label = TITLES[self.name]
        choices: list[tuple[str, Any]] = [(OFF, self.off_label), (ON, self.on_label)]
        if has_account:
            said = sentence_of_rule(self.name, of_account)
            choices.insert(0, (ACCOUNT, _("As in the settings: %(rule)s") % {"rule": said}))
        field = self.fields["mode"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    def values_of(self, rule: Any) -> dict[str, Any]:
        """Return what the fields show for a stored rule."""
        raise NotImplementedError

    def rule(self, cleaned: dict[str, Any]) -> Any:
        """Return the rule that a person typed, for the domain to read. Raises InvalidInput."""
        raise NotImplementedError

    @property
    def main_field(self) -> str:
        """The field beside which errors of the whole rule stand."""
        return next(name for name in self.fields if name != "mode")

    @property
    def rule_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in self.fields if name != "mode"]

    def full_clean(self) -> None:
        """Read the fields. What stands in the fields of a rule that does not hold is not looked at."""
        super().full_clean()
        if self.is_bound and self.data.get(self.add_prefix("mode")) != ON:
            for name in set(self.errors) - {"mode"}:
                del self.errors[name]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("mode") == ON and not self.errors:
            try:
                cleaned["rule"] = read_rules({self.name: self.rule(cleaned)}, service=self.service)[self.name]
            except InvalidInput as error:
                message = sentence_of(error).removeprefix(f"{self.name}: ")
                self.add_error(self.main_field, message)
        return cleaned

    def changes(self) -> dict[str, Any]:
        """Return the rule by its name if it was changed, otherwise nothing."""
        if not self.has_changed():
            return {}
        match self.cleaned_data.get("mode"):
            case "on":
                chosen = self.cleaned_data["rule"]
            case "off":
                chosen = self.off
            case "account":
                chosen = OF_ACCOUNT
            case _:
                return {}  # the form did not have this rule
        return {} if chosen == self.stored else {self.name: chosen}


def _minutes(outcome: Outcome) -> forms.DecimalField:
    return forms.DecimalField(
        label=OUTCOMES[outcome],
        required=False,
        min_value=minutes_of(1),
        max_value=minutes_of(MAX_DELAY_SECONDS),
        max_digits=7,
        decimal_places=2,
    )


class RetryForm(RuleForm):
    """After which outcomes people are tried again. The delay of an outcome is empty if it is not tried again."""

    name = "retry"
    template = "console/rule_retry.html"
    on_label = gettext_lazy("Try again after these outcomes:")
    off_label = gettext_lazy("Do not try again")
    default: ClassVar = {"tries": 3, "busy": 10, "unanswered": 30, "backoff": Backoff.FIXED.value}

    tries = forms.TypedChoiceField(
        label=gettext_lazy("Tries at most, with the first one"),
        coerce=int,
    )
    busy = _minutes(Outcome.BUSY)
    unanswered = _minutes(Outcome.UNANSWERED)
    hungup = _minutes(Outcome.HUNGUP)
    failed = _minutes(Outcome.FAILED)
    backoff = forms.ChoiceField(
        label=gettext_lazy("Later tries"),
        choices=(
            (Backoff.FIXED.value, gettext_lazy("wait as long as the second one")),
            (Backoff.EXPONENTIAL.value, gettext_lazy("wait twice as long each time")),
        ),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        tries = self.fields["tries"]
        assert isinstance(tries, forms.ChoiceField)
        tries.choices = [(count, in_digits(str(count))) for count in range(2, MAX_TRIES + 1)]
        if not self.service.calls:
            for outcome in set(Outcome) - OF_SMS:
                del self.fields[outcome.value]

    def values_of(self, rule: Any) -> dict[str, Any]:
        read = RetryRule.parse(rule)
        delays = {outcome.value: minutes_of(seconds) for outcome, seconds in read.delays.items()}
        return {"tries": read.tries, "backoff": read.backoff.value, **delays}

    def rule(self, cleaned: dict[str, Any]) -> Any:
        delays = {
            one.value: round(cleaned[one.value] * 60) for one in Outcome if cleaned.get(one.value) is not None
        }
        if not delays:
            raise InvalidInput("Fill in the minutes of at least one outcome.", code="no_outcome")
        return {"tries": cleaned["tries"], "on": delays, "backoff": cleaned["backoff"]}

    @property
    def main_field(self) -> str:
        return Outcome.BUSY.value if Outcome.BUSY.value in self.fields else Outcome.FAILED.value

    @property
    def delays(self) -> list[forms.BoundField]:
        return [self[outcome.value] for outcome in Outcome if outcome.value in self.fields]


class DuplicatesForm(RuleForm):
    name = "duplicates"
    on_label = DUPLICATES[ONCE]
    off_label = DUPLICATES[KEEP]
    off = KEEP

    def values_of(self, rule: Any) -> dict[str, Any]:
        return {}

    def rule(self, cleaned: dict[str, Any]) -> Any:
        return ONCE


class CapForm(RuleForm):
    name = "frequency_cap"
    on_label = gettext_lazy("At most as often as this, over all campaigns:")
    off_label = gettext_lazy("As often as campaigns need it")
    default: ClassVar = {"contacts": 3, "days": 7}

    contacts = forms.IntegerField(
        label=gettext_lazy("Contacts with a number"), min_value=1, max_value=MAX_CONTACTS
    )
    days = forms.IntegerField(label=gettext_lazy("within this many days"), min_value=1, max_value=MAX_DAYS)

    def values_of(self, rule: Any) -> dict[str, Any]:
        return dict(rule)

    def rule(self, cleaned: dict[str, Any]) -> Any:
        return {"contacts": cleaned["contacts"], "days": cleaned["days"]}


class WavesForm(RuleForm):
    name = "waves"
    on_label = gettext_lazy("The first people at first:")
    off_label = gettext_lazy("Everybody at once")
    default: ClassVar = {"sizes": "100"}

    sizes = forms.CharField(
        label=gettext_lazy("People in the first wave"),
        max_length=120,
        widget=forms.TextInput(attrs={"inputmode": "numeric"}),
        help_text=gettext_lazy(
            "For several waves write, for example, 100, 1000. All others follow after the last of them."
        ),
    )
    percent = forms.IntegerField(
        label=gettext_lazy("Next wave by itself when so many per cent were reached"),
        required=False,
        min_value=1,
        max_value=100,
        help_text=gettext_lazy("Leave it empty if somebody has to send each next wave."),
    )

    def values_of(self, rule: Any) -> dict[str, Any]:
        return {"sizes": ", ".join(map(str, rule["sizes"])), "percent": rule.get("success_percent")}

    def rule(self, cleaned: dict[str, Any]) -> Any:
        parts = cleaned["sizes"].translate(FROM_DEVANAGARI).replace(",", " ").split()
        if not 1 <= len(parts) <= MAX_WAVES or not all(part.isascii() and part.isdecimal() for part in parts):
            raise InvalidInput("Write the number of people of each wave, such as 100, 1000.", code="no_waves")
        percent = cleaned["percent"]
        rule = {"sizes": [int(part[:12]) for part in parts]}
        return rule if percent is None else {**rule, "success_percent": percent}
