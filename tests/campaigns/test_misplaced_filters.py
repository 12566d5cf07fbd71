"""A filter that is misspelt, in the wrong place or sent with a wrong content type never calls all recipients."""

from __future__ import annotations

import json
from typing import Any

import pytest

from campaigns.models import Campaign, Recipient, Run
from telephony.models import DeliveryStatus
from tests.factories import make_account, make_campaign
from tests.v0 import Caller

pytestmark = pytest.mark.django_db

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def campaign() -> Campaign:
    campaign = make_campaign(owner=make_account(credits=1000))
    campaign.message = "old text"
    campaign.save()
    first = campaign.recipients.earliest("pk")
    Recipient.objects.filter(pk=first.pk).update(status=DeliveryStatus.FAILED)
    return campaign


@pytest.fixture
def caller(campaign: Campaign) -> Caller:
    return Caller(campaign.owner)


def begin(campaign: Campaign, query: str = "") -> str:
    return f"/api/system/campaigns/{campaign.pk}/begin/{query}"


def chosen(campaign: Campaign) -> list[int] | None:
    return Run.objects.get().statuses or None


@pytest.mark.parametrize("content_type", [FORM, "text/plain", "text/json", "application/octet-stream"])
def test_json_with_another_content_type_is_read_as_json(
    campaign: Campaign, caller: Caller, content_type: str
) -> None:
    body = json.dumps({"message": "new text", "status": ["failed"]})
    caller.post(begin(campaign), body, content_type=content_type)
    run = Run.objects.get()
    assert (run.sms_message, run.statuses) == ("new text", [DeliveryStatus.FAILED])


@pytest.mark.parametrize(
    "fields",
    [
        {"statuses": "failed"},
        {"Status": "failed"},
        {"STATUS": ["failed"]},
        {"status[a]": "failed"},
        {"statuses[]": "failed"},
    ],
)
@pytest.mark.parametrize("format", ["json", "multipart"])
def test_a_name_that_resembles_a_filter_is_read(
    campaign: Campaign, caller: Caller, fields: dict[str, Any], format: str
) -> None:
    caller.post(begin(campaign), {"message": "new text", **fields}, format=format)
    assert chosen(campaign) == [DeliveryStatus.FAILED]


def test_ids_of_recipients_under_a_plural_are_read(campaign: Campaign, caller: Caller) -> None:
    first = campaign.recipients.earliest("pk")
    caller.post(begin(campaign), {"message": "new text", "individuals[]": first.pk}, format="multipart")
    assert Run.objects.get().individual == [first.pk]


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("?status=failed", {"message": "new text"}),
        ("?message=new", {}),
        ("", {"states": "failed"}),
        ("", {"data[status]": "failed"}),
        ("", {"filter": {"status": ["failed"]}}),
        ("", {"status": ["failed"], "statuses": ["hungup"]}),
    ],
)
def test_unknown_fields_and_fields_in_the_query_string_are_refused(
    campaign: Campaign, caller: Caller, query: str, fields: dict[str, Any]
) -> None:
    caller.post(begin(campaign, query), fields, status=400)
    assert not Run.objects.exists()


@pytest.mark.parametrize("body", ["", "{}"])
def test_begin_without_any_field_is_for_all_numbers(campaign: Campaign, caller: Caller, body: str) -> None:
    caller.post(begin(campaign), body, content_type="application/json")
    assert chosen(campaign) is None


@pytest.mark.parametrize("fields", [{"title": "New"}, {"name": ""}, {"services": ""}])
def test_a_change_without_any_known_field_is_refused(
    campaign: Campaign, caller: Caller, fields: dict[str, Any]
) -> None:
    answer = caller.put(f"/api/system/campaigns/{campaign.pk}/update/", fields, status=400)
    assert answer["errors"]
    campaign.refresh_from_db()
    assert campaign.name


@pytest.mark.parametrize("fields", [{"name": None, "description": "x"}, {"description": ""}])
def test_null_counts_as_omitted_and_a_description_can_be_emptied(
    campaign: Campaign, caller: Caller, fields: dict[str, Any]
) -> None:
    name = campaign.name
    caller.put(f"/api/system/campaigns/{campaign.pk}/update/", fields)
    campaign.refresh_from_db()
    assert campaign.name == name


def test_an_empty_number_in_json_is_refused(campaign: Campaign, caller: Caller) -> None:
    first = campaign.recipients.earliest("pk")
    caller.put(f"/api/system/number/{first.pk}/", {"number": ""}, status=400)


def test_multipart_parts_with_the_content_type_json_are_read_as_json(
    campaign: Campaign, caller: Caller
) -> None:
    parts = {"message": '"new \\u0924 text"', "status": '["failed"]'}
    body = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n'
        f"Content-Type: application/json; charset=UTF-8\r\n\r\n{value}\r\n"
        for name, value in parts.items()
    )
    caller.post(begin(campaign), f"{body}--b--\r\n".encode(), content_type="multipart/form-data; boundary=b")
    run = Run.objects.get()
    assert (run.sms_message, run.statuses) == ("new त text", [DeliveryStatus.FAILED])


def test_a_quoted_message_of_an_ordinary_form_keeps_its_quotes(campaign: Campaign, caller: Caller) -> None:
    caller.post(begin(campaign), {"message": '"Namaste"'}, format="multipart")
    assert Run.objects.get().sms_message == '"Namaste"'
