"""The contacts of campaigns in the v1 dialect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

from django.http import StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.amounts import credits_json
from accounts.api.permissions import needs
from accounts.permissions import Permission
from campaigns import runs
from campaigns.api.recipient_filters import RecipientFilter
from campaigns.api.v1.fields import Variables
from campaigns.api.v1.lookups import campaign_of, contact_of
from campaigns.api.v1.responses import answers_json
from campaigns.api.v1.serializers import (
    ContactChanges,
    NewContact,
    NewContacts,
    Sheet,
    added_contacts_json,
    attributes_json,
    contact_json,
)
from campaigns.api.v1.views import source_to_play
from campaigns.api.v1.words import CARRIERS
from campaigns.messages import PREFIX
from campaigns.models import Campaign, Recipient, Service, Survey
from campaigns.recipients import editing
from campaigns.reports import progress, states, totals
from campaigns.surveys import responses
from campaigns.tag_sizes import rows_at_once
from iris.api import parsers
from iris.api.fields import validated
from iris.api.pagination import paginate_in_v1
from iris.api.streaming import loaded, streamed
from iris.api.viewsets import V1ViewSet, reads
from telephony.numbering import Operator

PAGE, LARGEST_PAGE = 100, 1_000


class ContactViewSet(V1ViewSet):
    @needs(Permission.VIEW)
    def list(self, request: Request, campaign_id: int) -> Response | StreamingHttpResponse:
        """Return a page of contacts. The totals are for the whole campaign, even if filters select some of its contacts."""
        campaign = campaign_of(request, campaign_id)
        sums = {
            "total_credits_consumed": credits_json(totals.credits_of(campaign)),
            "carrier_summary": _by_carrier(totals.operators_of(campaign)),
        }
        return _page(request, campaign, sums)

    @reads(parsers.LIST)
    @needs(Permission.PREPARE)
    def add(self, request: Request, campaign_id: int) -> Response:
        """Add one contact, or a list of contacts."""
        campaign = campaign_of(request, campaign_id)
        if "contacts" in request.data:
            return _add_many(request, campaign)
        contact = editing.add_recipient(
            campaign=campaign, new_tags=True, **validated(NewContact(data=request.data))
        )
        attributes = attributes_json(contact, campaign=contact.campaign)
        # The documentation only has the message. The published client also needs the contact.
        return Response(
            {
                "message": "New Contact added",
                **_shown(contact.campaign, [contact])[0],
                "attributes": attributes,
                "other_variables": attributes,
            },
            status=201,
        )

    @reads(parsers.LIST_AND_FILES)
    @needs(Permission.PREPARE)
    def add_sheet(self, request: Request, campaign_id: int) -> Response:
        campaign = campaign_of(request, campaign_id)
        imported = editing.import_sheet(campaign=campaign, **validated(Sheet(data=request.data)))
        number_column, *tags = imported.columns
        answer: dict[str, Any] = {
            "error_list": imported.errors,
            "samples": _samples(imported),
            "total_validated_rows": imported.rows,
        }
        if imported.in_background:
            answer["message"] = "This sheet is large. Its contacts will be added within a few minutes."
        return Response(answer)

    @reads(parsers.TAGS)
    @needs(Permission.VIEW)
    def attributes(self, request: Request, contact_id: int) -> Response:
        """Return the attributes of a contact. The URL says "campaign", but the id is that of a contact.

        The published client also requests them with GET at the URL that deletes contacts.
        """
        contact = contact_of(request, contact_id)
        return Response(attributes_json(contact, campaign=contact.campaign))

    @reads(parsers.TAGS)
    @needs(Permission.PREPARE)
    def update_attributes(self, request: Request, contact_id: int) -> Response:
        contact = contact_of(request, contact_id)
        tags = Variables().run_validation(dict(cast(Any, request.data).items()))
        contact = editing.edit_recipient(recipient=contact, tags=tags, new_tags=True)
        return Response(attributes_json(contact, campaign=contact.campaign))

    @reads(parsers.TAGS)
    @needs(Permission.PREPARE)
    def update(self, request: Request, contact_id: int) -> Response:
        contact = contact_of(request, contact_id)
        changes = validated(ContactChanges(data=request.data))
        contact = editing.edit_recipient(recipient=contact, new_tags=True, **changes)
        return Response(_shown(contact.campaign, [contact])[0])

    @reads(parsers.TAGS)
    @needs(Permission.PREPARE)
    def destroy(self, request: Request, contact_id: int) -> Response:
        editing.delete_recipient(recipient=contact_of(request, contact_id))
        return Response({"message": "Successfully Deleted."})

    @reads(parsers.TEXTS)
    @needs(Permission.SEND)
    def demo_call(self, request: Request, contact_id: int) -> Response:
        contact = contact_of(request, contact_id)
        source = source_to_play(contact.campaign)
        runs.begin(campaign=contact.campaign, source=source, individual=[contact.pk], trial=True)
        return Response({"message": f"A try is on its way to {contact.number}."})


def _page(request: Request, campaign: Campaign, sums: dict[str, Any]) -> Response | StreamingHttpResponse:
    """Return a page of the contacts, filtered if the request has filters, with the keys around the list.

    The page is streamed in batches if the contacts have long tags.
    """
    at_once = rows_at_once(campaign)
    left_out = ["tags"] if at_once < LARGEST_PAGE else []
    filters = RecipientFilter.of(request, campaign)
    if filters is None:
        newest_first, more, known = (
            campaign.recipients.order_by("-pk").defer(*left_out),
            sums,
            campaign.number_count,
        )
        page = paginate_in_v1(request, newest_first, default_size=PAGE, max_size=LARGEST_PAGE, count=known)
    else:
        stretch = filters.search()
        found, ends_at = stretch.rows.defer(*left_out), stretch.ends_at
        more = {"before": ends_at, **sums}
        page = paginate_in_v1(request, found, default_size=PAGE, max_size=LARGEST_PAGE, next_before=ends_at)

    def shown(contacts: Sequence[Recipient]) -> list[dict[str, Any]]:
        return _with_answers(campaign, _shown(campaign, contacts), contacts, request)

    if not left_out:
        return Response({**page.around(shown(page.items)), **more})
    batches = loaded(page.items, campaign.recipients.all(), at_once=at_once)
    return streamed(lambda results: {**page.around(results), **more}, map(shown, batches))


def _add_many(request: Request, campaign: Campaign) -> Response:
    sent = validated(NewContacts(data=request.data))["contacts"]
    added = editing.add_recipients(
        campaign=campaign, rows=[(contact["number"], contact.get("tags", {})) for contact in sent]
    )
    campaign.refresh_from_db(fields=["tags"])
    return Response(
        {
            "created": len(added.recipients),
            "skipped": len(added.errors),
            "contacts": added_contacts_json(added.recipients, campaign=campaign),
            "errors": added.errors[: editing.ERRORS_SHOWN] or None,
        },
        status=201,
    )


def _samples(imported: editing.ImportedSheet) -> list[dict[str, Any]]:
    """Return sample values of each column of a sheet."""
    number_column, *tags = imported.columns
    numbers: dict[str, Any] = {"column": number_column, "sample": [row.number for row in imported.sample]}
    return [
        numbers,
        *(
            {"column": tag.removeprefix(PREFIX), "sample": [row.tags.get(tag, "") for row in imported.sample]}
            for tag in tags
        ),
    ]


def _shown(campaign: Campaign, listed: Sequence[Recipient]) -> list[dict[str, Any]]:
    changed = progress.changed_at(campaign, listed)
    return [
        contact_json(state, changed_at=changed[state.recipient.pk])
        for state in states.states_of(campaign, listed)
    ]


def _with_answers(
    campaign: Campaign, shown: list[dict[str, Any]], contacts: Sequence[Recipient], request: Request
) -> list[dict[str, Any]]:
    """Add the responses to contacts in JSON if the campaign is a survey."""
    survey = Survey.objects.filter(campaign=campaign).first() if campaign.service == Service.SURVEY else None
    if survey is None:
        return shown
    named = responses.columns(survey)
    replies = responses.responses_of(states.states_of(campaign, contacts))
    return [
        {**one, "answers": answers_json(named, reply, request)}
        for one, reply in zip(shown, replies, strict=True)
    ]


def _by_carrier(counts: Mapping[Operator, int]) -> dict[str, int]:
    """Return the counts by v1's words, in the order of these words."""
    by_word: Counter[str] = Counter()
    for operator, n in counts.items():
        by_word[CARRIERS[operator]] += n
    return dict(sorted(by_word.items()))
