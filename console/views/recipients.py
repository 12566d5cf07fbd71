"""The people of a campaign: search them, and see everything about one of them."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from accounts.permissions import Permission
from campaigns.models import Campaign, Recipient
from campaigns.reports import attempts, why
from campaigns.reports.recipient_search import Criteria
from campaigns.reports.recipient_search import search as search_recipients
from campaigns.reports.states import RecipientState, states_of
from console import explanations, vocabulary
from console.access import page
from console.campaign_state import campaign_of
from console.errors import sentence_of
from console.render import render_page
from console.visits import ConsoleRequest
from iris.errors import InvalidInput, NotFound
from iris.storable import storable
from telephony import inbox, numbering
from telephony.models import DeliveryStatus
from telephony.optouts import editing

PAGE_SIZE = 50
SHOWN_TAGS = 4
MAX_STRETCHES = 5  # one page examines at most so many times 10,000 recipients
# What the filter offers, and the states that each choice means.
FILTERS: dict[str, frozenset[DeliveryStatus | None]] = {
    **{status.name.lower(): frozenset({status}) for status in vocabulary.OUTCOMES},
    "not_reached": frozenset(vocabulary.OUTCOMES) - {DeliveryStatus.COMPLETED},
    "under_way": frozenset(vocabulary.UNDER_WAY),
    "left": frozenset({None, DeliveryStatus.QUEUED}),
}


@page(Permission.VIEW)
def search(request: ConsoleRequest, campaign_id: int) -> HttpResponse:
    """List people, newest first. `q` is a number or the value of the tag `by`, `outcome` one of FILTERS."""
    campaign = campaign_of(request.visit, campaign_id)
    words, by, outcome, before = (
        request.GET.get(name, "").strip() for name in ("q", "by", "outcome", "before")
    )
    words = storable(words[:200])
    problem = ""
    rows: list[Recipient] = []
    next_before: int | None = None
    try:
        criteria = _criteria(campaign, words=words, by=by, outcome=outcome)
        rows, next_before = _find(campaign, criteria, before=_id(before))
    except InvalidInput as error:
        problem = sentence_of(error)
    context = {
        "campaign": campaign,
        "people": _lines(campaign, states_of(campaign, rows)),
        "tags": campaign.tags[:SHOWN_TAGS],
        "words": words,
        "by": by if by in campaign.tags else "",
        "outcome": outcome if outcome in FILTERS else "",
        "choices": [
            (name, vocabulary.RECIPIENT[status].label)
            for name, status in zip(FILTERS, vocabulary.OUTCOMES, strict=False)
        ],
        "problem": problem,
        "next_before": next_before,
        "is_later_page": bool(before),
        "is_search": bool(words or outcome in FILTERS),
    }
    return render_page(request, "console/recipients.html", context)


@page(Permission.VIEW)
def show(request: ConsoleRequest, campaign_id: int, recipient_id: int) -> HttpResponse:
    """Show a person: the tags, every attempt with the carrier's words, the answers, and other contacts."""
    campaign = campaign_of(request.visit, campaign_id)
    recipient = _recipient_of(campaign, recipient_id)
    state = states_of(campaign, [recipient])[0]
    listed = inbox.opt_out_of(request.visit.account, recipient.to)
    context = {
        "campaign": campaign,
        "recipient": recipient,
        "tags": [(tag, recipient.tags[tag]) for tag in campaign.tags if tag in recipient.tags],
        "state": state,
        "word": vocabulary.RECIPIENT[state.status],
        "explanations": explanations.of_recipient(why.reasons(why.Situation(campaign, recipient=recipient))),
        "operator": numbering.operator_of(recipient.to),
        "attempts": [_attempt(one) for one in attempts.attempts_of(recipient)],
        "responses": attempts.responses_of(recipient),
        "contacts": [
            (one, vocabulary.RECIPIENT[one.delivery.status], vocabulary.CHANNELS[one.delivery.channel])
            for one in attempts.other_contacts(request.visit.account, recipient)
        ],
        "opt_out": listed,
        "opt_out_channel": "" if listed is None else vocabulary.CHANNELS.get(listed.channel or "", ""),
        "channels": [("all", vocabulary.EVERYTHING), *vocabulary.CHANNELS.items()],
    }
    return render_page(request, "console/recipient.html", context)


@page(Permission.PREPARE, methods=("POST",))
def opt_out(request: ConsoleRequest, campaign_id: int, recipient_id: int) -> HttpResponse:
    """Put a person on the opt-out list, because the person has asked for that."""
    campaign = campaign_of(request.visit, campaign_id)
    recipient = _recipient_of(campaign, recipient_id)
    editing.list_numbers(
        account=request.visit.account,
        numbers=[recipient.to],
        channel=editing.CHANNELS.get(request.POST.get("channel", "")),
        reason=storable(request.POST.get("reason", ""))[: editing.MAX_REASON_CHARACTERS],
        campaign=campaign.pk,
        recipient=recipient.pk,
    )
    messages.success(request, _("%(number)s is on the opt-out list now.") % {"number": recipient.number})
    return redirect("console:recipient", request.visit.account.pk, campaign.pk, recipient.pk)


def _recipient_of(campaign: Campaign, recipient_id: int) -> Recipient:
    found = Recipient.objects.filter(campaign=campaign, pk=recipient_id) if recipient_id < 2**63 else None
    recipient = None if found is None else found.first()
    if recipient is None:
        raise NotFound("This campaign has no such recipient.")
    return recipient


def _criteria(campaign: Campaign, *, words: str, by: str, outcome: str) -> Criteria:
    tags, number = dict[str, str](), None
    if words and by in campaign.tags:
        tags[by] = words
    elif words:
        number = numbering.parse(words)
    return Criteria(statuses=FILTERS.get(outcome), number=number, tags=tags)


def _find(
    campaign: Campaign, criteria: Criteria, *, before: int | None
) -> tuple[list[Recipient], int | None]:
    """Return a page of matches, and the id at which the next page begins, or None at the end."""
    found: list[Recipient] = []
    for _stretch in range(MAX_STRETCHES):
        stretch = search_recipients(campaign, criteria, before=before)
        wanted = PAGE_SIZE - len(found)
        rows = list(stretch.rows[: wanted + 1])
        found += rows[:wanted]
        if len(rows) > wanted:
            return found, found[-1].pk
        before = stretch.ends_at
        if before is None or len(found) == PAGE_SIZE:
            break
    return found, before


def _lines(campaign: Campaign, states: list[RecipientState]) -> list[dict[str, Any]]:
    tags = campaign.tags[:SHOWN_TAGS]
    return [
        {
            "state": state,
            "recipient": state.recipient,
            "word": vocabulary.RECIPIENT[state.status],
            "values": [state.recipient.tags.get(tag, "") for tag in tags],
        }
        for state in states
    ]


def _attempt(one: attempts.Attempt) -> dict[str, Any]:
    delivery = one.delivery
    return {
        "delivery": delivery,
        "run": one.run,
        "word": vocabulary.RECIPIENT[delivery.status],
        "channel": vocabulary.CHANNELS[delivery.channel],
        "cause": vocabulary.CAUSES.get(delivery.cause, ""),
    }


def _id(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None
