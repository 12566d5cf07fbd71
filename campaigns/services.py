"""The verbs of a campaign and of its numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts.models import User
from campaigns import imports, lifecycle, runs
from campaigns.messages import MAX_VALUE_CHARACTERS
from campaigns.models import Campaign, Recipient, Service
from campaigns.tagsizes import Sizes, sizes_of
from iris.errors import Conflict, InvalidInput
from telephony import numbering

NAME_LENGTH = 200
ERRORS_SHOWN = 100


def create_campaign(
    *,
    owner: User,
    name: str,
    service: Service,
    description: str = "",
    numbers: Iterable[object] | None = None,
    sheet: BinaryIO | None = None,
) -> tuple[Campaign, list[dict[str, Any]]]:
    """Make a campaign from single numbers or from a sheet; the second value lists the rows that were skipped.

    A very large sheet is imported in the background (`imports`). Raises InvalidInput when no number is valid; then
    there is no campaign.
    """
    if (numbers is None) == (sheet is None):
        raise InvalidInput("A campaign needs either individual_number or send_to_number_file.")
    with transaction.atomic():
        campaign = Campaign.objects.create(owner=owner, name=name, service=service, description=description)
        errors = (
            imports.add_numbers(campaign, numbers) if sheet is None else imports.add_sheet(campaign, sheet)
        )
    return campaign, errors


def update_campaign(
    *,
    campaign: Campaign,
    name: str | None = None,
    service: Service | None = None,
    description: str | None = None,
) -> Campaign:
    """Change what is given. The service cannot change while a run is live (Conflict)."""
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)
        if service is not None and service != campaign.service:
            _refuse_while_live(campaign)
            campaign.service = service
        if name is not None:
            campaign.name = name
        if description is not None:
            campaign.description = description
        campaign.save(update_fields=["name", "service", "description"])
    return campaign


def delete_campaign(*, campaign: Campaign) -> None:
    """Stop the campaign if it runs, and hide it: its deliveries and what they cost stay on the books."""
    if lifecycle.live_run(campaign.pk) is not None:
        runs.stop(campaign=campaign)
    campaign.deleted_at = timezone.now()
    campaign.save(update_fields=["deleted_at"])


def add_recipient(*, campaign: Campaign, number: object, tags: Mapping[str, Any] | None = None) -> Recipient:
    """Add one number; while a run is live it waits for the next one. Raises InvalidInput."""
    parsed = numbering.parse(number)
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)
        values = dict.fromkeys(campaign.tags, "") | _checked(campaign, tags or {})
        recipient = Recipient.objects.create(
            campaign=campaign, number=parsed.number, to=parsed.to, tags=values
        )
        campaign.number_count = F("number_count") + 1
        _grow(campaign, values)
    return recipient


def edit_recipient(
    *, recipient: Recipient, number: object | None = None, tags: Mapping[str, Any] | None = None
) -> Recipient:
    """Change a number, its tags, or both; tags that are not given stay. Raises InvalidInput, Conflict (live run)."""
    parsed = None if number is None else numbering.parse(number)
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=recipient.campaign_id)
        _refuse_while_live(campaign)
        recipient = Recipient.objects.select_for_update(of=("self",)).get(pk=recipient.pk)
        if parsed is not None:
            recipient.number, recipient.to = parsed.number, parsed.to
        values = _checked(campaign, tags or {})
        recipient.tags = {**recipient.tags, **values}
        recipient.save(update_fields=["number", "to", "tags"])
        recipient.campaign = campaign
        _grow(campaign, values)
    return recipient


def delete_recipient(*, recipient: Recipient) -> None:
    """Take a number out of its campaign. Its past deliveries stay on the books. Raises Conflict (live run)."""
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=recipient.campaign_id)
        _refuse_while_live(campaign)
        deleted, _ = Recipient.objects.filter(pk=recipient.pk).delete()
        Campaign.objects.filter(pk=campaign.pk).update(number_count=F("number_count") - deleted)


def _checked(campaign: Campaign, tags: Mapping[str, Any]) -> dict[str, str | int | float]:
    unknown = sorted(set(tags) - set(campaign.tags))
    if unknown:
        usable = f"Its usable tags are: {', '.join(campaign.tags)}." if campaign.tags else "It has no tags."
        raise InvalidInput(f"This campaign has no tag {', '.join(unknown)}. {usable}", code="unknown_tag")
    checked: dict[str, str | int | float] = {}
    for tag, value in tags.items():
        if value is None:
            value = ""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise InvalidInput(f"The value of {tag} must be a text or a number.")
        if len(str(value)) > MAX_VALUE_CHARACTERS:
            raise InvalidInput(f"The value of {tag} is longer than {MAX_VALUE_CHARACTERS} characters.")
        checked[tag] = value
    return checked


def _grow(campaign: Campaign, values: Mapping[str, Any]) -> None:
    sizes = Sizes(campaign.tags, known=sizes_of(campaign))
    sizes.see(values)
    campaign.tag_sizes = sizes.as_json()
    campaign.save(update_fields=["number_count", "tag_sizes"])
    campaign.refresh_from_db(fields=["number_count"])


def _refuse_while_live(campaign: Campaign) -> None:
    if lifecycle.live_run(campaign.pk) is not None:
        raise Conflict(
            "This campaign is running or scheduled. Wait until it has completed, or stop it, before you change this.",
            code="campaign_live",
        )
