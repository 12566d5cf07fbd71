"""Whose rule demands approval, and who is an author: departments, and the API keys that people create."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
from django.test import override_settings
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import actors, apikeys, departments, transfers, twins
from accounts.actors import Acting, ActorKind
from accounts.api.authentication import issue_tokens
from accounts.models import Account, ApiKey, User
from accounts.permissions import KEY_SCOPES
from campaigns import runs, services
from campaigns.models import Campaign, Run, RunStatus
from campaigns.recipients import background_imports, editing
from campaigns.runs import approval
from tests.factories import client_of, make_account, make_campaign, make_member, owner_of

pytestmark = pytest.mark.django_db

KEYS = "/api/system/keys/"


def demanding(account: Account, *, above: int | None, hours: int = 72) -> Account:
    account.approval_above, account.approval_hours = above, hours
    account.save(update_fields=["approval_above", "approval_hours"])
    return account


@pytest.fixture
def city() -> Account:
    return demanding(make_account(credits=1000, name="City"), above=2)


@pytest.fixture
def sita(city: Account) -> User:
    return make_member(city, "manager", first_name="Sita")


@pytest.fixture
def hari(city: Account) -> User:
    return make_member(city, "sender", first_name="Hari")


def path(campaign: Campaign, action: str) -> str:
    return f"/api/system/campaigns/{campaign.pk}/{action}/"


def with_token(token: str, account: Account | None = None) -> APIClient:
    client = APIClient()
    header = {} if account is None else {"HTTP_X_ACCOUNT": str(account.pk)}
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}", **header)
    return client


def acting_for(account: Account, user: User) -> APIClient:
    return with_token(issue_tokens(user).access, account)


def key_of(user: User, **fields: Any) -> APIClient:
    """Return the client of a key that this person has created over the API."""
    body = {"name": "website", "scopes": [scope.value for scope in KEY_SCOPES], **fields}
    answer = client_of(user).post(KEYS, body, format="json")
    assert answer.status_code == 201, answer.content
    return with_token(answer.json()["data"]["key"]["token"])


def begun(client: APIClient, campaign: Campaign) -> Run:
    answer = client.post(path(campaign, "begin"), {"message": "Namaste"})
    assert answer.status_code == 200, answer.content
    return Run.objects.latest("pk")


def approved_by(client: APIClient, run: Run) -> int:
    status: int = client.post(path(run.campaign, "approve"), {"run": run.pk}).status_code
    return status


class TestKeys:
    def test_nobody_approves_a_run_that_their_own_key_began(
        self, city: Account, sita: User, hari: User
    ) -> None:
        campaign = make_campaign(owner=city)
        run = begun(key_of(sita), campaign)
        assert (run.status, run.authors) == (RunStatus.AWAITING, [sita.pk])
        answer = client_of(sita).post(path(campaign, "approve"), {"run": run.pk})
        assert (answer.status_code, "API key that you created" in answer.json()["message"]) == (403, True)
        shown = client_of(hari).get(path(campaign, "details")).json()["data"]["details"][0]
        assert shown["approval"]["authors"] == [sita.email]
        assert approved_by(client_of(hari), run) == 200

    def test_nobody_approves_a_run_that_their_own_key_changed(
        self, city: Account, sita: User, hari: User
    ) -> None:
        campaign = make_campaign(owner=city)
        begun(client_of(hari), campaign)
        changed = key_of(sita).post(f"/api/system/campaigns/number/{campaign.pk}/", {"number": 9841000007})
        assert changed.status_code < 300, changed.content
        run = Run.objects.latest("pk")
        assert run.authors == sorted([sita.pk, hari.pk])
        assert [approved_by(client_of(one), run) for one in (sita, hari)] == [403, 403]
        assert approved_by(client_of(city), run) == 200

    def test_a_key_that_a_key_created_counts_as_that_of_the_same_person(
        self, city: Account, sita: User
    ) -> None:
        body = {"name": "second", "scopes": ["view", "prepare", "send"]}
        token = key_of(sita).post(KEYS, body, format="json").json()["data"]["key"]["token"]
        run = begun(with_token(token), make_campaign(owner=city))
        assert (run.authors, approved_by(client_of(sita), run)) == ([sita.pk], 403)

    def test_a_key_of_v1_counts_as_that_of_the_person_who_generated_it(
        self, city: Account, sita: User
    ) -> None:
        token = client_of(sita).post("/api/v1/auths/generate-api-keys/").json()["token"]
        campaign = make_campaign(owner=city, message="Namaste", sms_message="Namaste")
        assert with_token(token).post(f"/api/v1/run-campaign/{campaign.pk}/").status_code == 200
        run = Run.objects.get()
        assert (run.authors, approved_by(client_of(sita), run)) == ([sita.pk], 403)

    def test_a_key_of_the_previous_release_counts_as_that_of_the_owner(self, city: Account) -> None:
        key = apikeys.generate(account=city)
        ApiKey.objects.update(created_by=None)
        run = begun(with_token(key), make_campaign(owner=city))
        assert (run.authors, approved_by(client_of(city), run)) == ([owner_of(city).pk], 403)

    def test_a_key_whose_creator_was_deleted_has_no_author(
        self, city: Account, sita: User, hari: User
    ) -> None:
        key = key_of(sita)
        sita.delete()
        run = begun(key, make_campaign(owner=city))
        assert (run.authors, approved_by(client_of(hari), run)) == ([], 200)

    def test_the_key_of_a_department_counts_as_that_of_the_member_of_the_account(
        self, city: Account, sita: User, hari: User
    ) -> None:
        ward = departments.create(parent=city, name="Ward 5")
        transfers.transfer(source=city, target=ward, amount=Decimal(100))
        body = {"name": "ward", "scopes": ["view", "prepare", "send"]}
        answer = acting_for(ward, sita).post(KEYS, body, format="json").json()
        run = begun(with_token(answer["data"]["key"]["token"]), make_campaign(owner=ward))
        assert (run.status, run.authors) == (RunStatus.AWAITING, [sita.pk])
        assert [approved_by(acting_for(ward, one), run) for one in (sita, hari)] == [403, 200]

    def test_a_sheet_that_a_key_uploaded_makes_its_creator_an_author(
        self, city: Account, sita: User, hari: User
    ) -> None:
        campaign = make_campaign(owner=city)
        begun(client_of(hari), campaign)
        key = Acting(kind=ActorKind.KEY, key_id=1, creator_id=sita.pk, name="website")
        with override_settings(IRIS_BACKGROUND_IMPORT_BYTES=1), actors.acting(key):
            editing.import_sheet(campaign=campaign, file=BytesIO(b"number\n9841000007\n9841000008\n"))
        background_imports.import_all()
        assert Run.objects.latest("pk").authors == sorted([sita.pk, hari.pk])


class TestDepartments:
    @pytest.fixture
    def ward(self, city: Account) -> Account:
        ward = departments.create(parent=city, name="Ward 5")
        transfers.transfer(source=city, target=ward, amount=Decimal(100))
        return ward

    @pytest.mark.parametrize(
        ("of_city", "of_ward", "rule"),
        [
            ((None, 10), (None, 20), (None, 20)),
            ((2, 10), (None, 20), (2, 10)),
            ((None, 10), (2, 20), (2, 20)),
            ((1, 10), (2, 5), (1, 10)),
            ((2, 5), (1, 20), (1, 20)),
            ((2, 10), (2, 20), (2, 10)),
            ((2, 20), (2, 10), (2, 10)),
            ((0, 20), (None, 10), (0, 20)),
        ],
    )
    def test_the_stricter_rule_counts_with_its_hours(
        self, city: Account, ward: Account, of_city: Any, of_ward: Any, rule: Any
    ) -> None:
        for account, (above, hours) in ((city, of_city), (ward, of_ward)):
            demanding(account, above=above, hours=hours)
        campaign = make_campaign(owner=ward)
        run = runs.begin(campaign=campaign, message="Namaste")
        above, hours = rule
        assert run.needs_approval == (above is not None)
        if run.approve_until is not None:
            until = run.created_at + timedelta(hours=hours)
            assert abs(run.approve_until - until) < timedelta(minutes=1)

    def test_the_rule_of_the_account_cannot_be_switched_off_by_the_department(
        self, city: Account, ward: Account
    ) -> None:
        head = make_member(ward, "owner")
        client = acting_for(ward, head)
        answer = client.put("/api/system/settings/", {"approval_above": None}, format="json")
        assert answer.status_code == 200
        run = begun(client, make_campaign(owner=ward))
        assert (run.status, approved_by(client, run)) == (RunStatus.AWAITING, 403)
        assert client.put("/api/system/settings/", {"approval_above": 1_000_000}).status_code == 200
        services.update_campaign(campaign=run.campaign, message="Other words")
        assert Run.objects.latest("pk").status == RunStatus.AWAITING

    def test_members_of_both_accounts_with_send_approve(
        self, city: Account, ward: Account, hari: User
    ) -> None:
        head, clerk = make_member(ward, "sender"), make_member(ward, "sender")
        stranger, viewer = owner_of(make_account()), make_member(city, "viewer")
        sister = make_member(departments.create(parent=city, name="Health"), "owner")
        for approver in (clerk, hari):
            run = begun(acting_for(ward, head), make_campaign(owner=ward))
            for one in (stranger, viewer, sister, head):
                assert approved_by(acting_for(ward, one), run) == 403
            assert approved_by(acting_for(city, hari), run) == 404  # the account itself has no such campaign
            assert approved_by(acting_for(ward, approver), run) == 200

    def test_the_rule_of_the_department_does_not_concern_its_account(
        self, city: Account, ward: Account
    ) -> None:
        demanding(city, above=None)
        demanding(ward, above=0)
        assert runs.begin(campaign=make_campaign(owner=city), message="Hi").status == RunStatus.RUNNING

    def test_a_rule_of_the_account_that_is_set_later_holds_a_changed_run(
        self, city: Account, ward: Account
    ) -> None:
        demanding(city, above=None)
        campaign = make_campaign(owner=ward)
        later = timezone.now() + timedelta(hours=5)
        assert runs.begin(campaign=campaign, message="Hi", starts_at=later).status == RunStatus.SCHEDULED
        demanding(city, above=2)
        editing.add_recipient(campaign=Campaign.objects.get(pk=campaign.pk), number=9841000007)
        assert Run.objects.latest("pk").status == RunStatus.AWAITING

    def test_the_rule_of_an_account_does_not_concern_its_test_twin(self, city: Account) -> None:
        twin = twins.open_twin(account=city)
        assert approval.rule_of(twin).above is None
        assert runs.begin(campaign=make_campaign(owner=twin), message="Hi").status == RunStatus.RUNNING
