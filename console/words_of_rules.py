"""The rules of reaching people in words: trying again, hours, duplicates, caps, waves, and urgent campaigns."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from campaigns.runs.limits import KEEP, ONCE
from campaigns.runs.retries import Backoff, Outcome, RetryRule
from campaigns.runs.urgent import UrgentRule
from console.numerals import grouped, in_digits

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

TITLES: dict[str, StrPromise] = {
    "retry": gettext_lazy("Trying again"),
    "calling_hours": gettext_lazy("Hours in which people are contacted"),
    "duplicates": gettext_lazy("If a campaign has a number several times"),
    "frequency_cap": gettext_lazy("How often a number may be contacted"),
    "waves": gettext_lazy("Waves"),
    "urgent": gettext_lazy("Urgent"),
}
DUPLICATES: dict[str, Promise] = {
    KEEP: gettext_lazy("contact everyone, even if a number repeats"),
    ONCE: gettext_lazy("contact each number once"),
}
# The week begins on Sunday in Nepal.
WEEKDAYS: dict[str, Promise] = {
    "sun": pgettext_lazy("weekday", "Sun"),
    "mon": pgettext_lazy("weekday", "Mon"),
    "tue": pgettext_lazy("weekday", "Tue"),
    "wed": pgettext_lazy("weekday", "Wed"),
    "thu": pgettext_lazy("weekday", "Thu"),
    "fri": pgettext_lazy("weekday", "Fri"),
    "sat": pgettext_lazy("weekday", "Sat"),
}
OUTCOMES: dict[Outcome, StrPromise] = {
    Outcome.BUSY: gettext_lazy("The line was busy"),
    Outcome.UNANSWERED: gettext_lazy("Nobody answered"),
    Outcome.FAILED: gettext_lazy("It failed"),
    Outcome.HUNGUP: gettext_lazy("The person hung up early"),
}
_HOURS_OF = {"calls": gettext_lazy("Calls: %(hours)s."), "sms": gettext_lazy("Text messages: %(hours)s.")}


def sentences_of(rules: Mapping[str, Any]) -> list[tuple[Promise, str]]:
    """Return the titles and sentences of the rules that hold, as a campaign or a run stores them."""
    return [(TITLES[name], sentence_of_rule(name, rules[name])) for name in TITLES if rules.get(name)]


def sentence_of_rule(name: str, rule: Any) -> str:
    """Return a rule in words. Without a rule, say that there is none."""
    if not rule or (name == "duplicates" and rule == KEEP):
        return str(DUPLICATES[KEEP]) if name == "duplicates" else _("no such rule")
    match name:
        case "retry":
            return _of_retry(RetryRule.parse(rule))
        case "calling_hours":
            return _of_hours(rule)
        case "duplicates":
            return str(DUPLICATES.get(rule, rule))
        case "frequency_cap":
            return _("At most %(contacts)s contacts with a number in %(days)s days.") % {
                "contacts": grouped(rule["contacts"]),
                "days": grouped(rule["days"]),
            }
        case "waves":
            return _of_waves(rule)
        case "opt_out_words":
            return ", ".join(word for lists in rule.values() for words in lists.values() for word in words)
    return _of_urgent(UrgentRule.parse(rule))


def minutes_of(seconds: int) -> Decimal:
    """Return seconds as minutes with at most two decimal places."""
    minutes = (Decimal(seconds) / 60).quantize(Decimal("0.01"))
    return minutes.quantize(Decimal(1)) if minutes == minutes.to_integral_value() else minutes


def _of_retry(rule: RetryRule) -> str:
    after = ", ".join(
        _("%(outcome)s (%(minutes)s min)")
        % {"outcome": OUTCOMES[outcome], "minutes": grouped(minutes_of(seconds))}
        for outcome, seconds in rule.delays.items()
    )
    said = _("At most %(tries)s tries. Another one after: %(outcomes)s.") % {
        "tries": grouped(rule.tries),
        "outcomes": after,
    }
    if rule.backoff is Backoff.EXPONENTIAL:
        said = f"{said} {_('The time doubles with each try.')}"
    return said


def _of_hours(rule: Mapping[str, Any]) -> str:
    said = [
        str(sentence) % {"hours": ", ".join(_of_entry(entry) for entry in rule[name])}
        for name, sentence in _HOURS_OF.items()
        if name in rule
    ]
    if holidays := rule.get("holidays"):
        said.append(_("Not on: %(days)s.") % {"days": in_digits(", ".join(holidays))})
    return " ".join(said)


def _of_entry(entry: Mapping[str, Any]) -> str:
    days = entry.get("days")
    named = (
        _("every day") if days is None else " ".join(str(WEEKDAYS[day]) for day in WEEKDAYS if day in days)
    )
    return f"{named} {in_digits(entry['from'])}–{in_digits(entry['to'])}"


def _of_waves(rule: Mapping[str, Any]) -> str:
    said = _("First %(sizes)s people, then the others.") % {
        "sizes": " + ".join(grouped(size) for size in rule["sizes"])
    }
    percent = rule.get("success_percent")
    if percent is None:
        return f"{said} {_('Each wave waits until somebody sends the next one.')}"
    by_itself = _("The next wave begins by itself when %(percent)s%% were reached.")
    return f"{said} {by_itself % {'percent': grouped(percent)}}"


def _of_urgent(rule: UrgentRule) -> str:
    said = [f"“{rule.reason}”"]
    if rule.past_opt_outs:
        said.append(_("It also reaches people who have opted out."))
    if rule.heard is not None:
        said.append(_("Calls ask people to press 1 when they have heard it."))
    return " ".join(said)
