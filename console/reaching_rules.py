"""The rules of reaching people that a page shows together: those of an account, or those of a campaign."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import QueryDict

from accounts.models import Account
from campaigns.models import Campaign, Service
from campaigns.runs.rules import OF_ACCOUNT
from console.hours_form import HoursForm
from console.rule_forms import CapForm, DuplicatesForm, RetryForm, RuleForm, WavesForm

FORMS: tuple[type[RuleForm], ...] = (HoursForm, RetryForm, DuplicatesForm, CapForm, WavesForm)


class ReachingRules:
    """The forms of several rules."""

    def __init__(self, forms: Sequence[RuleForm]) -> None:
        self.forms = forms

    def is_valid(self) -> bool:
        valid = [form.is_valid() for form in self.forms]  # each of them, so that all errors are shown at once
        return all(valid)

    def changes(self) -> dict[str, Any]:
        """Return the rules that a person has changed."""
        return {name: rule for form in self.forms for name, rule in form.changes().items()}

    @property
    def are_wrong(self) -> bool:
        return any(form.is_bound and form.errors for form in self.forms)


def account_rules(sent: QueryDict | None, *, account: Account) -> ReachingRules:
    """Return the forms of the rules that hold for all campaigns of an account."""
    return ReachingRules([form(sent, stored=getattr(account, form.name)) for form in FORMS])


def campaign_rules(sent: QueryDict | None, *, campaign: Campaign) -> ReachingRules:
    """Return the forms of the rules of a campaign, each of which can be that of its account."""
    return ReachingRules(
        [
            form(
                sent,
                stored=campaign.rules.get(form.name, OF_ACCOUNT),
                of_account=getattr(campaign.owner, form.name),
                service=Service(campaign.service),
            )
            for form in FORMS
        ]
    )
