"""Add, change and delete the recipients of a campaign: single recipients, lists and sheets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from accounts import audit
from campaigns import duplicates
from campaigns.guards import refuse_while_importing, refuse_while_live
from campaigns.messages import MAX_NAME_CHARACTERS, MAX_VALUE_CHARACTERS, PREFIX, to_tag_name
from campaigns.models import Audience, Campaign, Recipient
from campaigns.recipients import imports, sheets
from campaigns.runs.reschedule import include_added_recipients
from campaigns.tag_sizes import FIELDS, TagMeasurer, note_measured, tag_sizes_of
from iris.errors import InvalidInput
from telephony import numbering

ERRORS_SHOWN = 100
MAX_TAGS = 256
TAGS_LISTED = 20  # number of tags that an error message lists


def add_recipient(
    *, campaign: Campaign, number: object, tags: Mapping[str, Any] | None = None, new_tags: bool = False
) -> Recipient:
    """Add one number. A scheduled run includes it; a running run does not.

    With `new_tags`, the campaign gets the tags that it does not have yet. Raises InvalidInput, InsufficientCredits.
    """
    parsed = numbering.parse(number)
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)
        refuse_while_importing(campaign)
        if new_tags:
            _add_tags(campaign, tags or {})
        values = dict.fromkeys(campaign.tags, "") | _check_tags(campaign, tags or {})
        last = imports.last_row(campaign)
        recipient = Recipient.objects.create(
            campaign=campaign, number=parsed.number, to=parsed.to, tags=values
        )
        note_measured(campaign, before=last, after=recipient.pk)
        campaign.number_count = F("number_count") + 1
        _store_tag_sizes(campaign, values)
        include_added_recipients(campaign)
    return recipient


@dataclass(frozen=True, slots=True)
class Added:
    """The added recipients, in the order of their rows, and the skipped rows."""

    recipients: list[Recipient]
    errors: list[dict[str, Any]]


def add_recipients(*, campaign: Campaign, rows: Sequence[tuple[object, Mapping[str, Any]]]) -> Added:
    """Add many numbers with their tags in a few statements. The campaign gets the tags that it does not have yet.

    Each recipient stores only the tags that were sent with it, because the campaign may have hundreds. Invalid numbers are
    skipped. Raises InvalidInput if no number is valid, or if a tag is invalid.
    """
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)
        refuse_while_importing(campaign)
        last = imports.last_row(campaign)
        copied, errors = copy_valid_rows(campaign, rows)
        duplicates.mark_added(campaign, added=copied)
        include_added_recipients(campaign)
        # Every process that adds recipients locks the campaign first, so all new rows are from this call.
        added = Recipient.objects.filter(campaign=campaign, pk__gt=last).order_by("pk")
        return Added(list(added), errors)


def copy_valid_rows(
    audience: Audience, rows: Sequence[tuple[object, Mapping[str, Any]]]
) -> tuple[int, list[dict[str, Any]]]:
    """Add numbers with their tags to a locked campaign or list. Return how many were added, and the skipped rows.

    Raises InvalidInput as `add_recipients` does.
    """
    errors: list[dict[str, Any]] = []
    parse = numbering.parser()
    _add_tags(audience, (tag for _, tags in rows for tag in tags))
    sizes = TagMeasurer(audience.tags, known=tag_sizes_of(audience))
    good: list[imports.Row] = []
    for position, (number, tags) in enumerate(rows, start=1):
        values = _check_tags(audience, tags)
        try:
            parsed = parse(number)
        except InvalidInput as e:
            errors.append({"row": position, "message": str(e)})
        else:
            sizes.add(values)
            good.append((parsed.number, parsed.to, values))
    if not good:
        raise InvalidInput(
            "None of the numbers is a phone number.", errors=errors[:ERRORS_SHOWN], code="no_valid_number"
        )
    copied = imports.copy_rows(audience, good)
    sizes.store_in(audience)
    audience.save(update_fields=FIELDS)
    return copied, errors


@dataclass(frozen=True, slots=True)
class ImportedSheet:
    """The result of an upload. `rows` is the number of added recipients; a background import will add more."""

    rows: int
    errors: list[dict[str, Any]]
    columns: list[str]
    sample: list[sheets.SheetRow]
    in_background: bool


def import_sheet(*, campaign: Campaign, file: BinaryIO, number_column: str = "") -> ImportedSheet:
    """Add the numbers of a sheet.

    Raises NotASheet, SheetTooLarge, InvalidInput if no row is valid, and Conflict while another sheet is being imported.
    """
    refuse_while_importing(campaign)  # early, to save the work of reading; checked again under the lock
    with imports.read_sheet(file, number_column=number_column) as read, transaction.atomic():
        campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)
        refuse_while_importing(campaign)
        before = campaign.number_count
        errors = imports.add_sheet(campaign, read)
        if not read.file:
            include_added_recipients(campaign)
    return ImportedSheet(
        rows=campaign.number_count - before,
        errors=errors,
        columns=[read.number_heading, *read.columns],
        sample=read.sample,
        in_background=bool(read.file),
    )


def edit_recipient(
    *,
    recipient: Recipient,
    number: object | None = None,
    tags: Mapping[str, Any] | None = None,
    new_tags: bool = False,
) -> Recipient:
    """Change a recipient's number, tags, or both. Tags that are not given do not change. `new_tags` as in `add_recipient`.

    Raises InvalidInput, Conflict while a run is live, and Recipient.DoesNotExist if it was deleted in the meantime.
    """
    parsed = None if number is None else numbering.parse(number)
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=recipient.campaign_id)
        refuse_while_live(campaign)
        recipient = Recipient.objects.select_for_update(of=("self",)).get(pk=recipient.pk)
        before = recipient.number, recipient.tags
        if parsed is not None and parsed.to != recipient.to:
            duplicates.forget_marks(campaign, since=recipient.pk)
        if parsed is not None:
            recipient.number, recipient.to = parsed.number, parsed.to
        if new_tags:
            _add_tags(campaign, tags or {})
        values = _check_tags(campaign, tags or {})
        recipient.tags = {**recipient.tags, **values}
        recipient.updated_at = timezone.now()
        recipient.save(update_fields=["number", "to", "tags", "updated_at"])
        recipient.campaign = campaign
        _store_tag_sizes(campaign, values)
        if (recipient.number, recipient.tags) != before:
            audit.note(
                account_id=campaign.owner_id,
                action="recipient_changed",
                kind="recipient",
                object_id=recipient.pk,
                name=campaign.name,
                campaign_id=campaign.pk,
            )
    return recipient


def delete_recipient(*, recipient: Recipient) -> None:
    """Delete a recipient from its campaign. Its past deliveries are kept. Raises Conflict while a run is live."""
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=recipient.campaign_id)
        refuse_while_live(campaign)
        duplicates.forget_marks_without(campaign, recipient)
        _, deleted = Recipient.objects.filter(pk=recipient.pk).delete()
        # The total of `delete` also counts the survey responses that are deleted with the recipient.
        deleted_recipients = deleted.get(Recipient._meta.label, 0)
        Campaign.objects.filter(pk=campaign.pk).update(number_count=F("number_count") - deleted_recipients)


def _add_tags(audience: Audience, tags: Iterable[str]) -> None:
    """Add the tags that the campaign or list does not have yet. Raises InvalidInput for an invalid tag or too many."""
    known, new = set(audience.tags), dict[str, None]()
    for tag in tags:
        if tag not in known and tag not in new:
            new[tag] = None
            if len(known) + len(new) > MAX_TAGS:
                raise InvalidInput(too_many_tags(audience), code="too_many_tags")
    for tag in new:
        if len(tag) > MAX_NAME_CHARACTERS + len(PREFIX) or tag != to_tag_name(tag):
            raise InvalidInput(
                f"“{tag[:40]}” cannot be the name of a tag. Use letters, digits and _.",
                code="invalid_tag_name",
            )
    audience.tags = [*audience.tags, *new]
    if new:
        audience.save(update_fields=["tags"])


def too_many_tags(audience: Audience) -> str:
    kind = "campaign" if isinstance(audience, Campaign) else "list"
    return f"A {kind} can have {MAX_TAGS} tags: there are too many different ones here."


def _check_tags(audience: Audience, tags: Mapping[str, Any]) -> dict[str, str | int | float]:
    unknown = sorted(set(tags).difference(audience.tags))
    if unknown:
        usable = f"Its usable tags are: {_list_some(audience.tags)}." if audience.tags else "It has no tags."
        raise InvalidInput(f"This campaign has no tag {_list_some(unknown)}. {usable}", code="unknown_tag")
    checked: dict[str, str | int | float] = {}
    for tag, value in tags.items():
        if value is None:
            value = ""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise InvalidInput(f"The value of {tag} must be a text or a number.", code="invalid_tag_value")
        if len(str(value)) > MAX_VALUE_CHARACTERS:
            raise InvalidInput(
                f"The value of {tag} is longer than {MAX_VALUE_CHARACTERS} characters.",
                code="invalid_tag_value",
            )
        checked[tag] = value
    return checked


def _list_some(tags: Sequence[str]) -> str:
    listed = ", ".join(tag[: MAX_NAME_CHARACTERS + len(PREFIX)] for tag in tags[:TAGS_LISTED])
    return listed + (" and others" if len(tags) > TAGS_LISTED else "")


def _store_tag_sizes(campaign: Campaign, values: Mapping[str, Any]) -> None:
    sizes = TagMeasurer(campaign.tags, known=tag_sizes_of(campaign))
    sizes.add(values)
    sizes.store_in(campaign)
    campaign.save(update_fields=["number_count", "measured_to", *FIELDS])
    campaign.refresh_from_db(fields=["number_count"])
