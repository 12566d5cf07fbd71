"""Create, update and delete campaigns. `campaigns.recipients` changes their numbers, `campaigns.runs` runs them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import nullcontext
from datetime import datetime
from decimal import Decimal
from typing import Any, BinaryIO, NamedTuple, TypedDict, Unpack

from django.db import transaction
from django.utils import timezone

from accounts.models import Account
from campaigns import runs
from campaigns.guards import refuse_while_live
from campaigns.messages import parse_message, spell_tags
from campaigns.models import Campaign, ContactList, Service, Source, TextVersion
from campaigns.recipients import imports, lists
from campaigns.runs import run_statuses
from campaigns.runs.reschedule import reschedule
from campaigns.runs.rules import RULES, merge_rules
from iris.errors import InvalidInput
from telephony import speech
from telephony.models import Audio, DeliveryStatus, PhoneNumber


class CampaignFields(TypedDict, total=False):
    """The fields of `Campaign` that say how its runs begin. Callers can pass any of them."""

    message: str
    sms_message: str
    text_version: TextVersion | None
    voice: str
    speed: Decimal
    audio: Audio | None
    source: Source
    failover_statuses: list[DeliveryStatus]
    spending_limit: Decimal | None
    caller_ids: list[int]
    schedule_at: datetime | None
    draft: bool
    retry: dict[str, Any] | None
    calling_hours: dict[str, Any] | None
    duplicates: str | None
    frequency_cap: dict[str, Any] | None
    waves: dict[str, Any] | None


class Created(NamedTuple):
    """A new campaign. `skipped` lists the rows that were skipped, `number_heading` names the column with the numbers."""

    campaign: Campaign
    skipped: list[dict[str, Any]]
    number_heading: str


def create_campaign(
    *,
    account: Account,
    name: str,
    service: Service,
    description: str = "",
    numbers: Iterable[object] | None = None,
    sheet: BinaryIO | None = None,
    number_column: str = "",
    contact_list: ContactList | None = None,
    **fields: Unpack[CampaignFields],
) -> Created:
    """Create a campaign: empty, from single numbers, from a sheet, or from a contact list.

    If the voice, the caller or the spending limit is omitted, the account's default is used. A limit of None is not an
    omitted limit. `number_column` is the heading or letter of the sheet's column with the numbers; with "" iris finds it. A
    large sheet is imported in the background (`imports`). Raises InvalidInput if no number is valid, and the
    errors of `lists.add_list`; then it creates nothing.
    """
    _add_defaults(fields, account=account)
    _check(fields, account=account)
    rules = merge_rules({}, _pop_rules(fields), service=service)
    errors: list[dict[str, Any]] = []
    # A sheet is read before the transaction begins.
    reading = nullcontext() if sheet is None else imports.read_sheet(sheet, number_column=number_column)
    with reading as read, transaction.atomic():
        campaign = Campaign.objects.create(
            owner=account, name=name, service=service, description=description, rules=rules, **fields
        )
        if read is not None:
            errors = imports.add_sheet(campaign, read)
        elif numbers is not None:
            errors = imports.add_numbers(campaign, numbers)
        elif contact_list is not None:
            lists.add_list(campaign=campaign, contact_list=contact_list)
            campaign.refresh_from_db()
    return Created(campaign, errors, "" if read is None else read.number_heading)


def _pop_rules(fields: CampaignFields) -> dict[str, Any]:
    """Take the rules of reaching people out of the fields, and return them."""
    return {name: fields.pop(name) for name in RULES if name in fields}  # type: ignore[misc]


def _add_defaults(fields: CampaignFields, *, account: Account) -> None:
    if not fields.get("voice"):
        fields["voice"] = account.default_voice
    fields.setdefault("spending_limit", account.default_spending_limit)
    if account.default_caller and "caller_ids" not in fields:
        owned = PhoneNumber.objects.filter(owner=account, number=account.default_caller)
        fields["caller_ids"] = list(owned.values_list("pk", flat=True))


def update_campaign(
    *,
    campaign: Campaign,
    name: str | None = None,
    service: Service | None = None,
    description: str | None = None,
    **fields: Unpack[CampaignFields],
) -> Campaign:
    """Change the given fields of a campaign. Raises Conflict if the service changes while a run is live.

    A run that has not started is replaced by a run with the changed fields. If it needs approval, the new run waits for
    approval again. If `schedule_at` is removed, the run is withdrawn instead. A running run continues unchanged. Raises
    Conflict, and changes nothing, if the start time arrives while the new text is being synthesized.
    """
    _check(fields, account=campaign.owner, has_callers=campaign.caller_ids)
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)
        if service is not None and service != campaign.service:
            refuse_while_live(campaign)
            campaign.service = service
        if name is not None:
            campaign.name = name
        if description is not None:
            campaign.description = description
        rules = merge_rules(campaign.rules, _pop_rules(fields), service=Service(campaign.service))
        asked: dict[str, Any] = {**fields, "rules": rules}
        changed = {field: value for field, value in asked.items() if getattr(campaign, field) != value}
        for field, value in changed.items():
            setattr(campaign, field, value)
        campaign.save(update_fields=["name", "service", "description", "updated_at", *changed])
        if changed:
            reschedule(campaign, source="source" in changed)
    return campaign


def spell_tags_as_columns(*, campaign: Campaign) -> Campaign:
    """Spell the tags in the texts of a campaign as its columns, where they differ only in capitals.

    People write {name} before they upload a sheet with the heading Name. Raises the errors of `update_campaign`.
    """
    message = spell_tags(campaign.message, campaign.tags)
    sms_message = spell_tags(campaign.sms_message or "", campaign.tags)
    if message != campaign.message:
        campaign = update_campaign(campaign=campaign, message=message)
    if sms_message != (campaign.sms_message or ""):
        campaign = update_campaign(campaign=campaign, sms_message=sms_message)
    return campaign


def _check(fields: CampaignFields, *, account: Account, has_callers: Sequence[int] = ()) -> None:
    for text in (fields.get("message", ""), fields.get("sms_message", "")):
        parse_message(text)
    if not speech.MIN_SPEED <= fields.get("speed", 1) <= speech.MAX_SPEED:
        raise InvalidInput(
            f"The speed of a voice must be from {speech.MIN_SPEED:g} to {speech.MAX_SPEED:g}.",
            code="invalid_speed",
        )
    if fields.get("caller_ids"):
        # Caller ids that the campaign already has are not checked: clients send back what they received, even numbers that
        # the account has released.
        _check_callers(set(fields["caller_ids"]) - set(has_callers), account=account)


def _check_callers(ids: Collection[int], *, account: Account) -> None:
    owned = set(PhoneNumber.objects.filter(owner=account).values_list("pk", flat=True))
    missing = sorted(set(ids) - owned)
    # If the account has no numbers, the ids are ignored: existing clients send a fixed id.
    if owned and missing:
        raise InvalidInput(
            f"You have no phone number with the id {missing[0]}. The list of your phone numbers has their ids.",
            code="unknown_caller",
        )


def delete_campaign(*, campaign: Campaign) -> None:
    """Hide a campaign and stop its live run. Its deliveries and their cost stay in the ledger."""
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)
        campaign.deleted_at = timezone.now()
        campaign.save(update_fields=["deleted_at"])
        # Stop the run in the same transaction, because nobody can stop the run of a deleted campaign.
        run = run_statuses.live_run(campaign.pk)
        first = run is not None and runs.request_stop(run)
    if run is not None:
        runs.finish_stop(run, first=first)
