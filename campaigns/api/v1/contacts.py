"""The contacts of campaigns in the v1 dialect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.amounts import credits_json
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
    valid,
)
from campaigns.api.v1.words import CARRIERS
from campaigns.messages import PREFIX
from campaigns.models import Campaign, Recipient, Service, Survey
from campaigns.recipients import editing
from campaigns.reports import progress, states, totals
from campaigns.surveys import responses
from iris.api import parsers
from iris.api.pagination import window
from iris.api.views import V1View

PAGE, LARGEST_PAGE = 100, 1_000


class AddContact(V1View):
    """One contact, or many in a list."""

    reads = parsers.LIST

    def post(self, request: Request, campaign_id: int) -> Response:
        campaign = campaign_of(request, campaign_id)
        if "contacts" in request.data:
            return self._many(request, campaign)
        contact = editing.add_recipient(
            campaign=campaign, new_tags=True, **valid(NewContact(data=request.data))
        )
        attributes = attributes_json(contact, campaign=contact.campaign)
        # More than the documented message: the published client wants to know the contact.
        return Response(
            {
                "message": "New Contact added",
                **_shown(contact.campaign, [contact])[0],
                "attributes": attributes,
                "other_variables": attributes,
            },
            status=201,
        )

    def _many(self, request: Request, campaign: Campaign) -> Response:
        sent = valid(NewContacts(data=request.data))["contacts"]
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


class AddSheet(V1View):
    reads = parsers.LIST_AND_FILES

    def patch(self, request: Request, campaign_id: int) -> Response:
        campaign = campaign_of(request, campaign_id)
        came = editing.import_sheet(campaign=campaign, **valid(Sheet(data=request.data)))
        number_column, *tags = came.columns
        samples: list[dict[str, Any]] = [
            {"column": number_column, "sample": [row.number for row in came.sample]}
        ]
        samples += [
            {"column": tag.removeprefix(PREFIX), "sample": [row.tags.get(tag, "") for row in came.sample]}
            for tag in tags
        ]
        answer: dict[str, Any] = {
            "error_list": came.errors,
            "samples": samples,
            "total_validated_rows": came.rows,
        }
        if came.in_background:
            answer["message"] = "This sheet is large: its contacts will be there in a few minutes."
        return Response(answer)

    post = patch
    put = patch


class Contacts(V1View):
    def get(self, request: Request, campaign_id: int) -> Response:
        campaign = campaign_of(request, campaign_id)
        page = window(
            request,
            campaign.recipients.order_by("-pk"),
            default_size=PAGE,
            max_size=LARGEST_PAGE,
            count=campaign.number_count,
        )
        answer = page.around(_with_answers(campaign, _shown(campaign, page.items), page.items, request))
        answer["total_credits_consumed"] = credits_json(totals.credits_of(campaign))
        answer["carrier_summary"] = {
            CARRIERS[operator]: n
            for operator, n in sorted(totals.operators_of(campaign).items(), key=_by_name)
        }
        return Response(answer)


class Attributes(V1View):
    """What is known of a contact. The address says campaign, the id is a contact's."""

    reads = parsers.TAGS

    def get(self, request: Request, contact_id: int) -> Response:
        contact = contact_of(request, contact_id)
        return Response(attributes_json(contact, campaign=contact.campaign))

    def patch(self, request: Request, contact_id: int) -> Response:
        contact = contact_of(request, contact_id)
        tags = Variables().run_validation(dict(cast(Any, request.data).items()))
        contact = editing.edit_recipient(recipient=contact, tags=tags, new_tags=True)
        return Response(attributes_json(contact, campaign=contact.campaign))


class UpdateContact(V1View):
    reads = parsers.TAGS

    def patch(self, request: Request, contact_id: int) -> Response:
        contact = contact_of(request, contact_id)
        changes = valid(ContactChanges(data=request.data))
        contact = editing.edit_recipient(recipient=contact, new_tags=True, **changes)
        return Response(_shown(contact.campaign, [contact])[0])

    put = patch
    post = patch


class DeleteContact(V1View):
    reads = parsers.TAGS

    def delete(self, request: Request, contact_id: int) -> Response:
        editing.delete_recipient(recipient=contact_of(request, contact_id))
        return Response({"message": "Successfully Deleted."})

    def get(self, request: Request, contact_id: int) -> Response:
        """The published client looks for a contact's attributes here."""
        contact = contact_of(request, contact_id)
        return Response(attributes_json(contact, campaign=contact.campaign))


def _shown(campaign: Campaign, listed: Sequence[Recipient]) -> list[dict[str, Any]]:
    changed = progress.changed_at(campaign, listed)
    return [
        contact_json(state, changed_at=changed[state.recipient.pk])
        for state in states.states_of(campaign, listed)
    ]


def _with_answers(
    campaign: Campaign, shown: list[dict[str, Any]], contacts: Sequence[Recipient], request: Request
) -> list[dict[str, Any]]:
    """The contacts as they are shown; those of a survey with what they have answered."""
    survey = Survey.objects.filter(campaign=campaign).first() if campaign.service == Service.SURVEY else None
    if survey is None:
        return shown
    named = responses.columns(survey)
    replies = responses.replies_of(states.states_of(campaign, contacts))
    return [
        {**one, "answers": answers_json(named, reply, request)}
        for one, reply in zip(shown, replies, strict=True)
    ]


def _by_name(entry: tuple[Any, int]) -> str:
    return CARRIERS[entry[0]]
