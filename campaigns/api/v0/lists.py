"""Contact lists in the v0 dialect. TingTing's API has none in this dialect; this is an addition of iris."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.account import account_of
from accounts.api.permissions import needs
from accounts.permissions import Permission
from campaigns.api.v0.known_fields import KnownFields
from campaigns.api.v0.lookups import campaign_of
from campaigns.api.v0.serializers import number_as_sent
from campaigns.models import Contact, ContactList, SheetImport
from campaigns.recipients import lists
from campaigns.tag_sizes import rows_at_once
from iris.api import parsers
from iris.api.envelope import envelope, success
from iris.api.fields import Id, Tags, Text, Upload, quoted, validated
from iris.api.filters import FilterSet, SentFilter
from iris.api.lists import Many
from iris.api.pagination import MAX_PAGE_SIZE, paginate
from iris.api.viewsets import V0ViewSet, reads
from telephony import numbering
from telephony.api.fields import Number


class Contacts(Many):
    """A list of contacts: each a phone number, or an object with a number and tags."""

    json_schema = {
        "type": "array",
        "items": {
            "anyOf": [
                Number.json_schema,
                {
                    "type": "object",
                    "properties": {"number": Number.json_schema, "available_tags": Tags.json_schema},
                    "required": ["number"],
                },
            ]
        },
        "minItems": 1,
    }
    default_error_messages = {
        "no_number": '{value} has no number: send a phone number, or an object such as {{"number": "9841000001"}}.',
    }
    advice = "Send the others in further requests, or upload a sheet."

    def to_internal_value(self, data: Any) -> list[Any]:
        # One object is a list of one contact.
        return [
            self._row(item)
            for item in super().to_internal_value([data] if isinstance(data, Mapping) else data)
        ]

    def _row(self, item: Any) -> tuple[object, Mapping[str, Any]]:
        if not isinstance(item, Mapping):
            return item, {}
        if "number" not in item:
            self.fail("no_number", value=quoted(item))
        tags = item.get("available_tags")
        return item["number"], {} if tags is None else Tags().run_validation(tags)


class ListFields(KnownFields):
    """The fields of a list that can be changed. A request can contain any of them."""

    refuses_empty = ("name",)

    name = Text(required=False, max_length=200)
    description = Text(required=False, allow_blank=True, max_length=10_000)


class Additions(KnownFields):
    """Contacts for a list: in the request or in a sheet."""

    contacts = Contacts(required=False, source="rows")
    file = Upload(required=False, source="sheet")
    number_column = Text(required=False, max_length=200)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("rows" in attrs) == ("sheet" in attrs):
            raise serializers.ValidationError(
                "Send either contacts, a list, or file, an .xlsx or .csv file uploaded as multipart/form-data"
                + (", not both." if "sheet" in attrs else ".")
            )
        return attrs


class NewList(ListFields, Additions):
    """A new list, with or without contacts."""

    name = Text(
        max_length=200, error_messages={"required": "Give the list a name, such as “Parents of class 8”."}
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        return super().validate(attrs) if "rows" in attrs or "sheet" in attrs else attrs


class ChosenList(KnownFields):
    list = Id()


class ListFilter(FilterSet):
    search = SentFilter(Text(max_length=200), field_name="name", lookup_expr="icontains")


class ContactFilter(FilterSet):
    number = SentFilter(Number(), method="with_number")

    def with_number(self, rows: QuerySet[Contact], name: str, number: object) -> QuerySet[Contact]:
        return rows.filter(to=numbering.parse(number).to)


class ListViewSet(V0ViewSet):
    filterset_class = ListFilter

    def get_queryset(self) -> QuerySet[Any]:
        return ContactList.objects.owned_by(account_of(self.request)).with_uses().order_by("-id")

    @needs(Permission.VIEW)
    def list(self, request: Request) -> Response:
        page = paginate(request, self.filter_queryset(self.get_queryset()))
        shown = [list_json(one, uses=one.uses) for one in page.items]
        return success({"pagination": page.pagination, "lists": shown})

    @reads(parsers.LIST_AND_FILES)
    @needs(Permission.PREPARE)
    def create(self, request: Request) -> Response:
        sent = validated(NewList(data=request.data))
        return _filled(lists.create_list(account=account_of(request), **sent), "List created.", uses=0)

    @needs(Permission.VIEW)
    def retrieve(self, request: Request, list_id: int) -> Response:
        found: Any = lists.find_list(account=account_of(request), pk=list_id)
        latest = found.imports.order_by("-pk").first()
        return success({"list": list_json(found, uses=found.uses) | _import_json(latest)})

    @reads(parsers.TEXTS)
    @needs(Permission.PREPARE)
    def update(self, request: Request, list_id: int) -> Response:
        found: Any = lists.find_list(account=account_of(request), pk=list_id)
        changed = lists.update_list(contact_list=found, **validated(ListFields(data=request.data)))
        return success({"list": list_json(changed, uses=found.uses)}, message="List changed.")

    @needs(Permission.PREPARE)
    def destroy(self, request: Request, list_id: int) -> Response:
        lists.delete_list(contact_list=lists.find_list(account=account_of(request), pk=list_id))
        return success(message="List deleted. Campaigns that have used it keep their numbers.")

    @reads(parsers.TEXTS)
    @needs(Permission.PREPARE)
    def use(self, request: Request, campaign_id: int) -> Response:
        """Give the contacts of a list to a campaign."""
        campaign = campaign_of(request, campaign_id)
        sent = validated(ChosenList(data=request.data))
        chosen = lists.find_list(account=account_of(request), pk=sent["list"])
        added = lists.add_list(campaign=campaign, contact_list=chosen)
        return success(
            {"campaign": campaign.pk, "list": chosen.pk, "added": added},
            message=f"{added:,} numbers added to the campaign.",
        )


class ContactViewSet(V0ViewSet):
    filterset_class = ContactFilter

    @needs(Permission.VIEW)
    def list(self, request: Request, list_id: int) -> Response:
        """List the contacts, newest first, in pages."""
        found = lists.find_list(account=account_of(request), pk=list_id)
        rows = self.filter_queryset(Contact.objects.filter(contact_list=found).order_by("-id"))
        page = paginate(
            request,
            rows,
            max_size=min(MAX_PAGE_SIZE, rows_at_once(found)),
            count=None if ContactFilter.is_named_by(request) else found.number_count,
        )
        shown = [contact_json(one, contact_list=found) for one in page.items]
        return success({"pagination": page.pagination, "contacts": shown})

    @reads(parsers.LIST_AND_FILES)
    @needs(Permission.PREPARE)
    def create(self, request: Request, list_id: int) -> Response:
        found: Any = lists.find_list(account=account_of(request), pk=list_id)
        sent = validated(Additions(data=request.data))
        if "sheet" in sent:
            filled = lists.import_sheet(contact_list=found, **sent)
        else:
            filled = lists.add_contacts(contact_list=found, rows=sent["rows"])
        message = (
            "The sheet is being imported." if filled.in_background else f"{filled.added:,} contacts added."
        )
        return _filled(filled, message, uses=found.uses)

    @needs(Permission.PREPARE)
    def destroy(self, request: Request, list_id: int, list_contact_id: int) -> Response:
        found = lists.find_list(account=account_of(request), pk=list_id)
        lists.remove_contact(contact_list=found, pk=list_contact_id)
        return success(message="Contact removed from the list.")


def list_json(one: ContactList, *, uses: int) -> dict[str, Any]:
    return {
        "id": one.pk,
        "name": one.name,
        "description": one.description,
        "usable_tags": one.tags,
        "number_count": one.number_count,
        "campaigns": uses,
        "created_at": timezone.localtime(one.created_at).isoformat(),
        "updated_at": timezone.localtime(one.updated_at).isoformat(),
    }


def contact_json(one: Contact, *, contact_list: ContactList) -> dict[str, Any]:
    return {
        "id": one.pk,
        "number": number_as_sent(one.number),
        "available_tags": {tag: one.tags[tag] for tag in contact_list.tags if tag in one.tags},
    }


def _import_json(latest: SheetImport | None) -> dict[str, Any]:
    if latest is None:
        return {}
    shown = {"status": latest.status, "imported": latest.imported, "message": latest.message or None}
    return {"import": {**shown, "errors": latest.errors}}


def _filled(filled: lists.Filled, message: str, *, uses: int) -> Response:
    one = filled.contact_list
    one.refresh_from_db()
    shown = {"list": list_json(one, uses=uses), "added": filled.added, "in_background": filled.in_background}
    if filled.columns:
        shown["number_column"] = filled.columns[0]
    body = envelope(status=201, success=True, message=message, errors=filled.skipped[:100], data=shown)
    return Response(body, status=201)
