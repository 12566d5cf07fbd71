"""JSON in a form field is parsed like a JSON body: numbers that are not finite are refused."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from campaigns.models import Recipient
from tests import v0
from tests.factories import make_account, make_campaign
from tests.v1 import caller as v1

pytestmark = pytest.mark.django_db

UNUSABLE = ["1e999", "-1e999", "NaN", "Infinity", "-Infinity", "9" * 5000, "[1e999]", '{"a": NaN}']


@pytest.mark.parametrize("number", UNUSABLE)
@pytest.mark.parametrize("format", ["multipart", "form"])
def test_both_dialects_refuse_a_number_out_of_range_in_json(number: str, format: str) -> None:
    account = make_account()
    campaign = make_campaign(owner=account)
    caller_of_v1 = v1.Caller(
        account
    )  # a second Caller would generate a key, which revokes the key of this one
    calls: list[tuple[v0.Caller, str, str, dict[str, Any]]] = [
        (v0.Caller(account), "POST", f"/api/system/campaigns/number/{campaign.pk}/", {"available_tags": "#"}),
        (caller_of_v1, "POST", f"campaign/{campaign.pk}/add-contact/", {"other_variables": "#"}),
        (caller_of_v1, "POST", f"campaign/{campaign.pk}/add-contact/", {"contacts": "#"}),
    ]
    for caller, method, path, fields in calls:
        ((name, _),) = fields.items()
        value = f'{{"amount": {number}}}' if name != "contacts" else f'[{{"number": {number}}}]'
        sent: Any = {"number": "9841000009", name: value}
        if format == "form":
            options = {"content_type": "application/x-www-form-urlencoded"}
            caller.fails(method, path, urlencode(sent), status=400, **options)
        else:
            caller.fails(method, path, sent, status=400, format="multipart")
    assert Recipient.objects.count() == 3


@pytest.mark.parametrize("limit", ["1e999", "NaN", "Infinity"])
def test_an_amount_that_is_not_finite_is_refused(limit: str) -> None:
    caller = v1.Caller(make_account())
    for name in ("credit_limit", "length_factor"):
        new = {"name": "Water", "services": "PHONE", name: limit}
        caller.fails("POST", "campaign/create/", new, status=400, format="multipart")
