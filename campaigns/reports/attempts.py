"""List every attempt to reach a recipient, and the other contacts with the same phone number."""

from __future__ import annotations

from dataclasses import dataclass

from accounts.models import Account
from campaigns.models import Campaign, Recipient, Run, SurveyAnswer
from telephony.models import Delivery, Purpose

MAX_CONTACTS = 20


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One call or SMS to a recipient, the run it belongs to, and what the recipient responded to a survey in this run."""

    delivery: Delivery
    run: Run


@dataclass(frozen=True, kw_only=True)
class Contact:
    """A call or an SMS to the same phone number in another campaign."""

    delivery: Delivery
    campaign: Campaign


def attempts_of(recipient: Recipient) -> list[Attempt]:
    """Return all calls and SMS to this recipient, newest first. Takes two queries."""
    runs = {run.pk: run for run in Run.objects.filter(campaign=recipient.campaign_id)}
    deliveries = Delivery.objects.filter(purpose=Purpose.CAMPAIGN, batch__in=list(runs), item=recipient.pk)
    return [
        Attempt(delivery=delivery, run=runs[delivery.batch])
        for delivery in deliveries.select_related("audio").order_by("-pk")
    ]


def responses_of(recipient: Recipient) -> list[SurveyAnswer]:
    """Return what the recipient responded to surveys, newest run first. Takes one query."""
    answers = SurveyAnswer.objects.filter(recipient=recipient).select_related("step", "audio")
    return list(answers.order_by("-run", "step__order"))


def other_contacts(account: Account, recipient: Recipient) -> list[Contact]:
    """Return the account's latest MAX_CONTACTS calls and SMS to this number in other campaigns. Takes two queries."""
    if not recipient.to:
        return []
    deliveries = list(
        Delivery.objects.filter(to=recipient.to, owner=account, purpose=Purpose.CAMPAIGN).order_by("-pk")[
            : 4 * MAX_CONTACTS
        ]
    )
    runs = Run.objects.filter(pk__in={delivery.batch for delivery in deliveries}, trial=False)
    campaigns = {
        run.pk: run.campaign
        for run in runs.exclude(campaign=recipient.campaign_id)
        .filter(campaign__deleted_at=None)
        .select_related("campaign")
    }
    return [
        Contact(delivery=delivery, campaign=campaigns[delivery.batch])
        for delivery in deliveries
        if delivery.batch in campaigns
    ][:MAX_CONTACTS]
