"""v0: contact lists and templates, as documented."""

from __future__ import annotations

from typing import Any

import pytest

from accounts import apikeys
from accounts.models import Account
from accounts.permissions import Permission
from campaigns.models import Campaign, ContactList, Service, TextTemplate
from tests.campaigns.lists.making import make_list, make_text_template
from tests.factories import client_of, make_account, make_empty_campaign, make_member, make_sheet
from tests.golden import assert_answers_as_documented
from tests.v0 import Caller

pytestmark = pytest.mark.django_db
LISTS, TEMPLATES = "/api/system/lists/", "/api/system/templates/"


@pytest.fixture
def sita() -> Account:
    return make_account(credits=100)


@pytest.fixture
def campaign(sita: Account) -> Campaign:
    return make_empty_campaign(owner=sita, service=Service.CALL)


def test_lists_answer_as_documented(sita: Account, campaign: Campaign) -> None:
    client = client_of(sita)
    assert_answers_as_documented(client, "list_create")
    made = ContactList.objects.get()
    assert_answers_as_documented(client, "campaign_use_list", campaign=campaign.pk, list=made.pk)
    assert_answers_as_documented(client, "list_list", list=made.pk)
    assert_answers_as_documented(client, "list_contacts", list=made.pk)


def test_templates_answer_as_documented(sita: Account, campaign: Campaign) -> None:
    client = client_of(sita)
    assert_answers_as_documented(client, "template_create")
    made = TextTemplate.objects.get()
    assert_answers_as_documented(client, "template_update", template=made.pk)
    assert_answers_as_documented(client, "campaign_use_template", campaign=campaign.pk, template=made.pk)
    campaign.refresh_from_db()
    assert campaign.message == "Namaste {tags_name}, there is no water tomorrow."
    details = Caller(sita).get(f"/api/system/campaigns/{campaign.pk}/details/")["data"]["details"][0]
    assert details["template"] == {"id": made.pk, "version": 1}
    versions = Caller(sita).get(f"{TEMPLATES}{made.pk}/versions/")["data"]["versions"]
    assert [one["version"] for one in versions] == [2, 1]


def test_a_list_is_made_from_a_sheet_and_its_wrong_rows_are_named(sita: Account) -> None:
    sheet = make_sheet(["name", "Phone no."], ["Sita", 9841000001], ["Ram", "12"])
    sheet.name = "people.xlsx"
    answer = Caller(sita).post(LISTS, {"name": "Parents", "file": sheet}, status=201, format="multipart")
    assert answer["data"]["list"]["number_count"] == 1
    assert answer["data"]["number_column"] == "Phone no."
    assert [error["row"] for error in answer["errors"]] == [3]


def test_a_campaign_is_created_from_a_list(sita: Account) -> None:
    made = make_list(owner=sita)
    body = {"name": "Water", "services": "SMS", "list": made.pk}
    details = Caller(sita).post("/api/system/campaigns/", body, status=201)["data"]["details"][0]
    assert details["number_count"] == 2
    for wrong in ({**body, "individual_number": [9841000001]}, {"name": "Water", "services": "SMS"}):
        Caller(sita).fails("POST", "/api/system/campaigns/", wrong, status=400)
    strange = make_list(owner=make_account())
    Caller(sita).fails("POST", "/api/system/campaigns/", {**body, "list": strange.pk}, status=404)
    assert Campaign.objects.count() == 1


def test_lists_are_filtered_changed_and_deleted(sita: Account) -> None:
    caller = Caller(sita)
    made, other = make_list(owner=sita), make_list(owner=sita, name="Ward 5")
    found = caller.get(f"{LISTS}?search=war")["data"]["lists"]
    assert [one["id"] for one in found] == [other.pk]
    shown = caller.get(f"{LISTS}{made.pk}/contacts/?number=984-1000002")["data"]["contacts"]
    assert [one["number"] for one in shown] == [9841000002]
    caller.delete(f"{LISTS}{made.pk}/contacts/{shown[0]['id']}/")
    caller.fails("DELETE", f"{LISTS}{made.pk}/contacts/{shown[0]['id']}/", status=404)
    changed = caller.patch(f"{LISTS}{made.pk}/", {"name": "Class 9"})["data"]["list"]
    assert (changed["name"], changed["number_count"]) == ("Class 9", 1)
    caller.delete(f"{LISTS}{made.pk}/")
    caller.fails("GET", f"{LISTS}{made.pk}/", status=404)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"contacts": []},
        {"contacts": [{"available_tags": {"tags_name": "Sita"}}]},
        {"contacts": [{"number": 9841000001, "available_tags": "x"}]},
        {"contacts": [{"number": 9841000001, "available_tags": {"name with }": 1}}]},
        {"contacts": ["12"]},
        {"contacts": [[1]]},
        {"file": "people.xlsx"},
        {"people": [9841000001]},
    ],
)
def test_wrong_contacts_add_nobody(sita: Account, body: dict[str, Any]) -> None:
    made = make_list(owner=sita)
    Caller(sita).fails("POST", f"{LISTS}{made.pk}/contacts/", body, status=400)
    made.refresh_from_db()
    assert (made.number_count, made.contacts.count(), made.tags) == (2, 2, ["tags_name", "tags_ward"])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "Water"},
        {"message": "x"},
        {"name": "x", "message": "{name"},
        {"name": "x", "message": "x", "voice_input": "nobody"},
    ],
)
def test_a_wrong_template_is_not_created(sita: Account, body: dict[str, Any]) -> None:
    Caller(sita).fails("POST", TEMPLATES, body, status=400)
    assert not TextTemplate.objects.exists()


def test_viewers_and_keys_that_only_view_change_nothing(sita: Account, campaign: Campaign) -> None:
    made, template = make_list(owner=sita), make_text_template(owner=sita)
    _, secret = apikeys.create(account=sita, created_by=None, name="x", scopes=frozenset({Permission.VIEW}))
    viewer = client_of(make_member(sita, "viewer"))
    program = client_of(sita)
    program.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    for client in (viewer, program):
        account = str(sita.pk)
        assert client.get(f"{LISTS}{made.pk}/contacts/", HTTP_X_ACCOUNT=account).status_code == 200
        assert client.get(f"{TEMPLATES}{template.pk}/", HTTP_X_ACCOUNT=account).status_code == 200
        for method, path in (
            ("post", LISTS),
            ("patch", f"{LISTS}{made.pk}/"),
            ("delete", f"{LISTS}{made.pk}/"),
            ("post", f"{LISTS}{made.pk}/contacts/"),
            ("post", TEMPLATES),
            ("patch", f"{TEMPLATES}{template.pk}/"),
            ("delete", f"{TEMPLATES}{template.pk}/"),
            ("post", f"/api/system/campaigns/{campaign.pk}/use_list/"),
            ("post", f"/api/system/campaigns/{campaign.pk}/use_template/"),
        ):
            response = getattr(client, method)(path, {}, format="json", HTTP_X_ACCOUNT=account)
            assert response.status_code == 403, (method, path)
