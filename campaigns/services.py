"""The verbs of a campaign and of its numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any, BinaryIO, TypedDict, Unpack

from django.db import transaction
from django.db.models import F, Max
from django.utils import timezone

from accounts.models import User
from campaigns import imports, lifecycle, runs, sheets
from campaigns.messages import MAX_VALUE_CHARACTERS, parse_message, tag_called
from campaigns.models import Campaign, ImportStatus, Recipient, Service, Source
from campaigns.tagsizes import Sizes, sizes_of
from iris.errors import Conflict, InvalidInput
from telephony import numbering, voices
from telephony.models import Audio, DeliveryStatus, PhoneNumber

NAME_LENGTH = 200
ERRORS_SHOWN = 100
MAX_TAGS = 256


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


def create_campaign(
    *,
    owner: User,
    name: str,
    service: Service,
    description: str = "",
    numbers: Iterable[object] | None = None,
    sheet: BinaryIO | None = None,
    **plan: Unpack[Plan],
) -> tuple[Campaign, list[dict[str, Any]]]:
    """Make a campaign, empty or from single numbers or a sheet; the second value lists the rows that were skipped.

    A very large sheet is imported in the background (`imports`). Raises InvalidInput when no number is valid; then
    there is no campaign.
    """
    _check(plan, owner=owner)
    errors: list[dict[str, Any]] = []
    with transaction.atomic():
        campaign = Campaign.objects.create(
            owner=owner, name=name, service=service, description=description, **plan
        )
        if sheet is not None:
            errors = imports.add_sheet(campaign, sheet)
        elif numbers is not None:
            errors = imports.add_numbers(campaign, numbers)
    return campaign, errors


def update_campaign(
    *,
    campaign: Campaign,
    name: str | None = None,
    service: Service | None = None,
    description: str | None = None,
    **plan: Unpack[Plan],
) -> Campaign:
    """Change what is given. The service cannot change while a run is live (Conflict).

    A run that waits for its time is begun anew with a changed plan, and taken back when the plan has no time any more.
    A running one goes on as it was begun.
    """
    _check(plan, owner=campaign.owner)
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)
        if service is not None and service != campaign.service:
            _refuse_while_live(campaign)
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
            plan_anew(campaign, source="source" in changed)
    return campaign


def plan_anew(campaign: Campaign, *, source: bool = False) -> None:
    """Begin a run that waits for its time anew, as the campaign is now; with `source`, whether message or audio, too."""
    run = runs.withdraw(campaign=campaign)
    if run is not None and campaign.schedule_at is not None:
        runs.begin(
            campaign=campaign,
            starts_at=campaign.schedule_at,
            statuses=None if run.statuses is None else [DeliveryStatus(status) for status in run.statuses],
            individual=run.individual,
            source=None if source else Source(run.source),
        )


def _check(plan: Plan, *, owner: User) -> None:
    for text in (plan.get("message", ""), plan.get("sms_message", "")):
        parse_message(text)
    if not voices.SLOWEST <= plan.get("speed", 1) <= voices.FASTEST:
        raise InvalidInput(
            f"The speed of a voice must be from {voices.SLOWEST:g} to {voices.FASTEST:g}.",
            code="invalid_speed",
        )
    if plan.get("caller_ids"):
        _check_callers(plan["caller_ids"], owner=owner)


def _check_callers(ids: Sequence[int], *, owner: User) -> None:
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
    if lifecycle.live_run(campaign.pk) is not None:
        runs.stop(campaign=campaign)


def add_recipient(
    *, campaign: Campaign, number: object, tags: Mapping[str, Any] | None = None, new_tags: bool = False
) -> Recipient:
    """Add one number; while a run is live it waits for the next one. With `new_tags` the campaign gets those of its
    tags that it has not. Raises InvalidInput.
    """
    parsed = numbering.parse(number)
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)
        imports.refuse_while_importing(campaign)
        if new_tags:
            _widen(campaign, tags or {})
        values = dict.fromkeys(campaign.tags, "") | _checked(campaign, tags or {})
        recipient = Recipient.objects.create(
            campaign=campaign, number=parsed.number, to=parsed.to, tags=values
        )
        campaign.number_count = F("number_count") + 1
        _grow(campaign, values)
    return recipient


@dataclass(frozen=True, slots=True)
class Added:
    """The recipients that were added, in the order of their rows, and the rows that were skipped."""

    recipients: list[Recipient]
    errors: list[dict[str, Any]]


def add_recipients(*, campaign: Campaign, rows: Sequence[tuple[object, Mapping[str, Any]]]) -> Added:
    """Add many numbers with their tags, those included that the campaign has not yet, in a few statements.

    Numbers that are none are skipped. Raises InvalidInput when none is left, or when a tag is wrong.
    """
    errors: list[dict[str, Any]] = []
    parse = numbering.parser()
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)
        imports.refuse_while_importing(campaign)
        _widen(campaign, {tag: None for _, tags in rows for tag in tags})
        empty = dict.fromkeys(campaign.tags, "")
        sizes = Sizes(campaign.tags, known=sizes_of(campaign))
        good: list[imports.Row] = []
        for position, (number, tags) in enumerate(rows, start=1):
            values = empty | _checked(campaign, tags)
            try:
                parsed = parse(number)
            except InvalidInput as e:
                errors.append({"row": position, "message": str(e)})
            else:
                sizes.see(values)
                good.append((parsed.number, parsed.to, values))
        if not good:
            raise InvalidInput("None of the numbers is a phone number.", errors=errors[:ERRORS_SHOWN])
        last = _last_recipient(campaign)
        imports.copy_rows(campaign, good)
        campaign.tag_sizes = sizes.as_json()
        campaign.save(update_fields=["tag_sizes"])
        # Whoever adds to this campaign locks it first, so the rows that are new are ours.
        added = Recipient.objects.filter(campaign=campaign, pk__gt=last).order_by("pk")
        return Added(list(added), errors)


@dataclass(frozen=True, slots=True)
class ImportedSheet:
    """What came of a sheet. `rows` is how many numbers it added so far: in the background there will be more."""

    rows: int
    errors: list[dict[str, Any]]
    columns: list[str]
    sample: list[sheets.SheetRow]
    in_background: bool


SAMPLE = 3  # rows


def import_sheet(*, campaign: Campaign, file: BinaryIO) -> ImportedSheet:
    """Add the numbers of a sheet. Raises NotASheet, SheetTooLarge, InvalidInput (no valid row), Conflict (another is
    being imported).
    """
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)
        imports.refuse_while_importing(campaign)
        before = campaign.number_count
        errors = imports.add_sheet(campaign, file)
        in_background = campaign.imports.filter(status=ImportStatus.IMPORTING).exists()
    file.seek(0)
    sheet = sheets.open_sheet(file)
    return ImportedSheet(
        rows=campaign.number_count - before,
        errors=errors,
        columns=[sheet.number_heading, *sheet.columns],
        sample=list(islice(sheet, SAMPLE)),
        in_background=in_background,
    )


def edit_recipient(
    *,
    recipient: Recipient,
    number: object | None = None,
    tags: Mapping[str, Any] | None = None,
    new_tags: bool = False,
) -> Recipient:
    """Change a number, its tags, or both; tags that are not given stay. `new_tags` as in `add_recipient`.

    Raises InvalidInput, Conflict (live run).
    """
    parsed = None if number is None else numbering.parse(number)
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=recipient.campaign_id)
        _refuse_while_live(campaign)
        recipient = Recipient.objects.select_for_update(of=("self",)).get(pk=recipient.pk)
        if parsed is not None:
            recipient.number, recipient.to = parsed.number, parsed.to
        if new_tags:
            _widen(campaign, tags or {})
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


def _widen(campaign: Campaign, tags: Iterable[str]) -> None:
    """Give a campaign the tags that it has not."""
    new = [tag for tag in dict.fromkeys(tags) if tag not in campaign.tags]
    for tag in new:
        if tag != tag_called(tag):
            raise InvalidInput(f"“{tag[:40]}” cannot be the name of a tag. Use letters, digits and _.")
    if len(campaign.tags) + len(new) > MAX_TAGS:
        raise InvalidInput(f"A campaign can have {MAX_TAGS} tags: there are too many different ones here.")
    campaign.tags = [*campaign.tags, *new]
    if new:
        campaign.save(update_fields=["tags"])


def _last_recipient(campaign: Campaign) -> int:
    last: int | None = Recipient.objects.filter(campaign=campaign).aggregate(last=Max("pk"))["last"]
    return last or 0


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
