"""The verbs of a campaign. The verbs of its numbers are in `campaigns.recipients`, those of its runs in `campaigns.runs`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import nullcontext
from datetime import datetime
from decimal import Decimal
from typing import Any, BinaryIO, NamedTuple, TypedDict, Unpack

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from campaigns import runs
from campaigns.guards import refuse_while_live
from campaigns.messages import parse_message
from campaigns.models import Campaign, Service, Source
from campaigns.recipients import imports
from campaigns.runs import lifecycle
from campaigns.runs.reschedule import reschedule
from iris.errors import InvalidInput
from telephony import speech
from telephony.models import Audio, DeliveryStatus, PhoneNumber


class Plan(TypedDict, total=False):
    """What a campaign keeps for its beginnings; each field by itself, as the model has it."""

    message: str
    sms_message: str
    voice: str
    speed: Decimal
    audio: Audio | None
    source: Source
    failover_statuses: list[DeliveryStatus]
    spending_limit: Decimal | None
    caller_ids: list[int]
    schedule_at: datetime | None
    draft: bool


class Created(NamedTuple):
    """A new campaign. `skipped` lists the rows that were skipped, `number_heading` names the column with the numbers."""

    campaign: Campaign
    skipped: list[dict[str, Any]]
    number_heading: str


def create_campaign(
    *,
    owner: User,
    name: str,
    service: Service,
    description: str = "",
    numbers: Iterable[object] | None = None,
    sheet: BinaryIO | None = None,
    number_column: str = "",
    **plan: Unpack[Plan],
) -> Created:
    """Make a campaign, empty or from single numbers or a sheet.

    `number_column` is the heading or letter of the sheet's column with the numbers; "" has it found. A large sheet is
    imported in the background (`imports`). Raises InvalidInput when no number is valid; then there is no campaign.
    """
    _check(plan, owner=owner)
    errors: list[dict[str, Any]] = []
    # A sheet is read before the transaction begins.
    reading = nullcontext() if sheet is None else imports.read_sheet(sheet, number_column=number_column)
    with reading as read, transaction.atomic():
        campaign = Campaign.objects.create(
            owner=owner, name=name, service=service, description=description, **plan
        )
        if read is not None:
            errors = imports.add_sheet(campaign, read)
        elif numbers is not None:
            errors = imports.add_numbers(campaign, numbers)
    return Created(campaign, errors, "" if read is None else read.number_heading)


def update_campaign(
    *,
    campaign: Campaign,
    name: str | None = None,
    service: Service | None = None,
    description: str | None = None,
    **plan: Unpack[Plan],
) -> Campaign:
    """Change what is given. The service cannot change while a run is live (Conflict).

    A run that waits for its time is begun anew with a changed plan, and taken back when the plan has no time any more;
    nothing is changed when its time comes while the new text is being spoken (Conflict). A running one goes on as it was
    begun.
    """
    _check(plan, owner=campaign.owner, has_callers=campaign.caller_ids)
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)
        if service is not None and service != campaign.service:
            refuse_while_live(campaign)
            campaign.service = service
        if name is not None:
            campaign.name = name
        if description is not None:
            campaign.description = description
        changed = {field: value for field, value in plan.items() if getattr(campaign, field) != value}
        for field, value in changed.items():
            setattr(campaign, field, value)
        campaign.save(update_fields=["name", "service", "description", "updated_at", *changed])
        if changed:
            reschedule(campaign, source="source" in changed)
    return campaign


def _check(plan: Plan, *, owner: User, has_callers: Sequence[int] = ()) -> None:
    for text in (plan.get("message", ""), plan.get("sms_message", "")):
        parse_message(text)
    if not speech.MIN_SPEED <= plan.get("speed", 1) <= speech.MAX_SPEED:
        raise InvalidInput(
            f"The speed of a voice must be from {speech.MIN_SPEED:g} to {speech.MAX_SPEED:g}.",
            code="invalid_speed",
        )
    if plan.get("caller_ids"):
        # Those that a campaign has may have been released since: what was received can be sent back all the same.
        _check_callers(set(plan["caller_ids"]) - set(has_callers), owner=owner)


def _check_callers(ids: Collection[int], *, owner: User) -> None:
    owned = set(PhoneNumber.objects.filter(owner=owner).values_list("pk", flat=True))
    missing = sorted(set(ids) - owned)
    # With no number at all there is nothing to choose from, whatever a program has always sent.
    if owned and missing:
        raise InvalidInput(
            f"You have no phone number with the id {missing[0]}. The list of your phone numbers has their ids.",
            code="unknown_caller",
        )


def delete_campaign(*, campaign: Campaign) -> None:
    """Stop the campaign if it runs, and hide it: its deliveries and what they cost stay on the books."""
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)
        campaign.deleted_at = timezone.now()
        campaign.save(update_fields=["deleted_at"])
        # At once with it: nobody could stop what a deleted campaign runs.
        run = lifecycle.live_run(campaign.pk)
        first = run is not None and runs.halt(run)
    if run is not None:
        runs.wind_up(run, first=first)
