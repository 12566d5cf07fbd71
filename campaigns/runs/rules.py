"""The rules of reaching people: who is contacted, how often, and at which times. The only place that decides this.

An account has rules for all of its campaigns. A campaign can replace each of them, or switch it off. When a run begins, it
stores the rules of that moment; later changes apply only to later runs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any, Final, TypedDict

from accounts.account_settings import zone_of
from campaigns.models import Campaign, Run, Service
from campaigns.runs.calling_hours import CallingHours, Window
from campaigns.runs.limits import KEEP, ONCE, FrequencyCap, WaveRule, parse_duplicates
from campaigns.runs.retries import OF_SMS, RetryRule
from campaigns.runs.urgent import IGNORED, UrgentRule
from iris.errors import InvalidInput
from telephony.engine.lifecycle import Changed
from telephony.models import Channel


class SentRules(TypedDict, total=False):
    """The rules that a client sent (`read_rules`). None switches a rule off."""

    retry: dict[str, Any] | None
    calling_hours: dict[str, Any] | None
    duplicates: str | None
    frequency_cap: dict[str, Any] | None
    waves: dict[str, Any] | None


# Sent instead of a rule, this value removes the campaign's own rule. Then the account's rule applies again.
OF_ACCOUNT: Final[Any] = object()
RULES = tuple(SentRules.__annotations__)
# A run can also store the rule of an urgent run. Campaigns never store it.
URGENT = "urgent"
# A lower value goes first. OTPs have 0.
URGENT_PRIORITY, PRIORITY = 5, 10
PRIORITIES = (URGENT_PRIORITY, PRIORITY)


@dataclass(frozen=True)
class ContactRules:
    """The rules of a run, as they are stored with it. A rule that is missing limits nothing."""

    frozen: Mapping[str, Any]

    @cached_property
    def retry(self) -> RetryRule | None:
        sent = self.frozen.get("retry")
        return None if sent is None else RetryRule.parse(sent)

    @cached_property
    def hours(self) -> CallingHours | None:
        sent = self.frozen.get("calling_hours")
        return None if sent is None else CallingHours.parse(sent)

    @cached_property
    def urgent(self) -> UrgentRule | None:
        sent = self.frozen.get(URGENT)
        return None if sent is None else UrgentRule.parse(sent)

    @property
    def priority(self) -> int:
        return PRIORITY if self.urgent is None else URGENT_PRIORITY

    @property
    def once_per_number(self) -> bool:
        """Whether only the first recipient of several with the same number is contacted."""
        return self.frozen.get("duplicates") == ONCE

    @cached_property
    def frequency_cap(self) -> FrequencyCap | None:
        sent = self.frozen.get("frequency_cap")
        return None if sent is None else FrequencyCap.parse(sent)

    @cached_property
    def waves(self) -> WaveRule | None:
        sent = self.frozen.get("waves")
        return None if sent is None else WaveRule.parse(sent)

    @property
    def paid_tries(self) -> int:
        """How many tries of a call can cost credits."""
        return 1 if self.retry is None else self.retry.paid_tries

    def window(self, channel: Channel, at: datetime) -> Window:
        """Return when a recipient may be reached: from `at` on, or from the next calling hours on."""
        return Window(at, None) if self.hours is None else self.hours.window(channel, at)

    def next_try(self, ended: Changed, at: datetime) -> Window | None:
        """Return when to try a recipient again after the try that ended at `at`; None if that was the last try."""
        delay = None if self.retry is None else self.retry.delay(ended)
        return None if delay is None else self.window(ended.channel, at + delay)


def rules_of(run: Run) -> ContactRules:
    """Return the rules that the run has frozen."""
    return _parsed(json.dumps(run.rules)) if run.rules else _NO_RULES


_NO_RULES = ContactRules({})


@lru_cache(maxsize=100)
def _parsed(frozen: str) -> ContactRules:
    return ContactRules(json.loads(frozen))


def chosen_rules(campaign: Campaign, *, urgent: UrgentRule | None = None) -> dict[str, Any]:
    """Return the rules for a new run of this campaign: the campaign's own, otherwise those of the account.

    An urgent run gets only the rules that it obeys.
    """
    account = campaign.owner
    of_account = {name: getattr(account, name) for name in RULES}
    rules = {
        name: rule
        for name, rule in (of_account | campaign.rules).items()
        if name in RULES and rule not in (None, KEEP)
    }
    if urgent is not None:
        return {name: rule for name, rule in rules.items() if name not in IGNORED} | {URGENT: urgent.json}
    if "calling_hours" in rules:
        rules["calling_hours"] = CallingHours.parse(rules["calling_hours"]).in_zone(zone_of(account))
    return rules


def read_rules(sent: Mapping[str, Any], *, service: Service) -> dict[str, Any]:
    """Return the rules for a campaign as they are stored; None stands for no rule.

    Raises InvalidInput for a wrong rule, and for a rule that can never apply to the calls or SMS of this service.
    """
    rules: dict[str, Any] = {}
    for name, rule in sent.items():
        try:
            rules[name] = None if rule is None else _READ[name](rule)
        except InvalidInput as error:
            raise _wrong(name, error.message, code=error.code) from error
    retry = rules.get("retry")
    if retry is not None and not service.calls and not set(RetryRule.parse(retry).delays) <= OF_SMS:
        raise _wrong(
            "retry",
            f"An SMS is never busy, unanswered or hung up. For this campaign, “on” can only be {', '.join(OF_SMS)}.",
        )
    return rules


def merge_rules(stored: Mapping[str, Any], sent: Mapping[str, Any], *, service: Service) -> dict[str, Any]:
    """Return the `stored` rules of a campaign, changed by the rules that were `sent`. Raises the errors of `read_rules`."""
    kept = {name: rule for name, rule in stored.items() if sent.get(name) is not OF_ACCOUNT}
    read = read_rules({name: rule for name, rule in sent.items() if rule is not OF_ACCOUNT}, service=service)
    return kept | read


def _wrong(name: str, message: str, *, code: str | None = None) -> InvalidInput:
    return InvalidInput(f"{name}: {message}", code=code, errors=[{"field": name, "message": message}])


def read_retry(sent: object) -> dict[str, Any]:
    """Return a rule of retries as it is stored. Raises InvalidInput."""
    return RetryRule.parse(sent).json


def read_calling_hours(sent: object) -> dict[str, Any]:
    """Return calling hours as they are stored. Raises InvalidInput."""
    return dict(CallingHours.parse(sent).json)


def read_duplicates(sent: object) -> str | None:
    """Return the rule of duplicates as a campaign stores it; None if it keeps them. Raises InvalidInput."""
    word = parse_duplicates(sent)
    return None if word == KEEP else word


def read_frequency_cap(sent: object) -> dict[str, Any]:
    """Return a frequency cap as it is stored. Raises InvalidInput."""
    return FrequencyCap.parse(sent).json


def read_waves(sent: object) -> dict[str, Any]:
    """Return a rule of waves as it is stored. Raises InvalidInput."""
    return WaveRule.parse(sent).json


_READ: dict[str, Callable[[object], Any]] = {
    "retry": read_retry,
    "calling_hours": read_calling_hours,
    "duplicates": read_duplicates,
    "frequency_cap": read_frequency_cap,
    "waves": read_waves,
}
