"""v0: the log of API requests, and what the middleware writes into it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts import apikeys, tasks, twins
from accounts.models import Account, ApiRequest
from accounts.people.persons import Person
from accounts.permissions import KEY_SCOPES, Permission
from accounts.request_log import entries, masking, people
from accounts.request_log.entries import Entry
from tests.factories import client_of, make_account, make_campaign, make_member
from tests.golden import assert_answers_as_documented

pytestmark = pytest.mark.django_db

LOG = "/api/system/requests/"
OTP = "/api/system/send/otp/"
SETTINGS = "/api/system/settings/"
WRONG_OTP = {
    "number": "9800x",
    "message": "Hi your OTP is {otp}",
    "sms_send_options": "text",
    "otp_options": "personnel",
    "otp": "12345",
}


def key_client(account: Account, scopes: frozenset[Permission] = frozenset(KEY_SCOPES)) -> APIClient:
    _, token = apikeys.create(account=account, created_by=None, name="x", scopes=scopes)
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


@pytest.fixture
def account() -> Account:
    return make_account(credits=1_000)


@pytest.fixture
def twin(account: Account) -> Account:
    return twins.open_twin(account=account)


@pytest.fixture
def client(twin: Account) -> APIClient:
    return key_client(twin)


def listed(client: APIClient, **filters: Any) -> list[dict[str, Any]]:
    response = client.get(LOG, filters)
    assert response.status_code == 200, response.content
    found: list[dict[str, Any]] = response.json()["data"]["requests"]
    return found


def write(account: Account, count: int, **fields: Any) -> None:
    """Write entries as the middleware does."""
    usual: dict[str, Any] = {
        "request": "x", "method": "GET", "path": SETTINGS, "status": 200, "code": "", "milliseconds": 1,
        "needed": "view", "request_body": "", "response_body": "",
    }  # fmt: skip
    for _ in range(count):
        entries.write(Entry(account_id=account.pk, **{**usual, **fields}))


class TestList:
    def test_list_is_as_documented(self, client: APIClient) -> None:
        client.post(OTP, WRONG_OTP, format="json")
        assert_answers_as_documented(client, "request_log")

    @pytest.mark.parametrize(
        ("filters", "found"),
        [
            ({"status": "4xx"}, ["send/otp"]),
            ({"status": "200"}, ["settings"]),
            ({"status": " 4XX "}, ["send/otp"]),
            ({"path": "OTP"}, ["send/otp"]),
            ({"code": "Invalid"}, ["send/otp"]),
            ({"code": "not_found"}, []),
            ({"status": ""}, ["settings", "send/otp"]),
        ],
    )
    def test_filters(self, client: APIClient, filters: dict[str, str], found: list[str]) -> None:
        client.post(OTP, WRONG_OTP, format="json")
        client.get(SETTINGS)
        assert [one["path"] for one in listed(client, **filters)] == [
            f"/api/system/{name}/" for name in found
        ]

    @pytest.mark.parametrize("wrong", ["6xx", "99", "4x", "x", "４xx", "404 or 405"])
    def test_unknown_status_is_refused(self, client: APIClient, wrong: str) -> None:
        response = client.get(LOG, {"status": wrong})
        assert (response.status_code, response.headers["X-Error-Code"]) == (400, "invalid")
        assert "is not a status" in response.json()["message"]

    def test_reading_the_log_is_not_in_it(self, client: APIClient) -> None:
        listed(client)
        assert listed(client) == []

    def test_members_see_only_requests_that_they_may_make(self, account: Account, twin: Account) -> None:
        key_client(twin).get("/api/system/audit/")
        key_client(twin).get(SETTINGS)
        seen = {}
        for preset in ("viewer", "owner"):
            client = client_of(make_member(account, preset))
            client.credentials(HTTP_X_ACCOUNT=str(twin.pk), **client._credentials)  # type: ignore[attr-defined]
            seen[preset] = {one["path"] for one in listed(client)}
        assert seen == {"viewer": {SETTINGS}, "owner": {SETTINGS, "/api/system/audit/"}}

    def test_accounts_do_not_see_requests_of_others(self, client: APIClient) -> None:
        client.get(SETTINGS)
        other = key_client(twins.open_twin(account=make_account()))
        assert listed(other) == []

    def test_live_account_has_no_log_unless_the_operator_switches_it_on(
        self, account: Account, settings: Settings
    ) -> None:
        client = key_client(account)
        client.get(SETTINGS)
        response = client.get(LOG)
        assert (response.status_code, response.headers["X-Error-Code"]) == (404, "no_request_log")
        assert not ApiRequest.objects.exists()
        settings.IRIS_REQUEST_LOG = True
        client.get(SETTINGS)
        assert [one["path"] for one in listed(client)] == [SETTINGS]


class TestWhatIsLogged:
    def test_entry_has_the_id_of_the_response(self, client: APIClient) -> None:
        response = client.get(SETTINGS)
        (one,) = listed(client)
        assert one["request"] == response.headers["X-Request-Id"]
        assert (one["method"], one["status"], one["code"], one["request_body"]) == ("GET", 200, None, "")

    @pytest.mark.parametrize(
        ("method", "path", "status", "code"),
        [
            ("get", "/api/system/campaigns/999999/details/", 404, "not_found"),
            ("delete", SETTINGS, 405, "method_not_allowed"),
            ("get", "/api/v1/campaign/?page=0", 400, "invalid"),
        ],
    )
    def test_refused_requests_are_logged_in_both_dialects(
        self, client: APIClient, method: str, path: str, status: int, code: str
    ) -> None:
        response = getattr(client, method)(path)
        assert response.status_code == status
        (one,) = listed(client)
        assert (one["path"], one["status"], one["code"]) == (path, status, response.headers["X-Error-Code"])

    def test_malformed_body_is_not_logged_but_its_error_is(self, client: APIClient) -> None:
        client.post(OTP, '{"otp": "12345", ', content_type="application/json")
        (one,) = listed(client)
        assert (one["status"], one["request_body"]) == (400, "")
        assert "JSON" in one["response_body"]

    def test_request_that_fails_with_a_bug_is_logged(
        self, client: APIClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("accounts.api.v0.settings.success", lambda *_, **__: 1 / 0)
        assert client.get(SETTINGS).status_code == 500
        assert [one["status"] for one in listed(client)] == [500]

    def test_request_without_a_valid_key_is_nobodys(self, client: APIClient) -> None:
        APIClient().get(SETTINGS, HTTP_AUTHORIZATION=f"Bearer {'0' * 64}")
        APIClient().get(SETTINGS)
        client.get("/api/docs/")
        client.get("/api/nothing/")
        assert not ApiRequest.objects.exists()

    def test_form_and_file_are_logged_without_their_contents(self, client: APIClient, twin: Account) -> None:
        campaign = make_campaign(owner=twin)
        path = f"/api/system/campaigns/{campaign.pk}/update/"
        client.post(path, {"name": "Water 9841000001", "message": "Come tomorrow"}, format="multipart")
        (one,) = listed(client)
        assert one["request_body"] == '{"name": "Water …01", "message": "***"}'
        assert "Come tomorrow" not in one["response_body"]
        assert "9841000001" not in one["response_body"]

    def test_new_key_is_not_logged(self, client: APIClient) -> None:
        made = client.post("/api/system/keys/", {"name": "shop", "scopes": ["view"]}, format="json").json()
        token = made["data"]["key"]["token"]
        (one,) = listed(client)
        assert one["status"] == 201
        assert token not in str(one)
        assert '"name": "shop"' in one["response_body"]

    def test_body_is_short_however_long_it_was(self, client: APIClient) -> None:
        client.post(OTP, {"number": "x" * 20_000, "other": ["क" * 100] * 50}, format="json")
        (one,) = listed(client)
        for body in (one["request_body"], one["response_body"]):
            assert len(body.encode()) <= masking.MAX_BODY_BYTES


class TestCost:
    def test_logging_is_one_statement_that_does_not_wait_for_the_disk(
        self, twin: Account, settings: Settings
    ) -> None:
        with CaptureQueriesContext(connection) as queries:
            write(twin, 1)
        (query,) = queries.captured_queries
        assert "'synchronous_commit', 'off'" in query["sql"]
        assert ApiRequest.objects.count() == 1

    def test_account_without_a_log_costs_no_statement(self, account: Account, settings: Settings) -> None:
        client, counts = key_client(account), []
        client.get(SETTINGS)
        for kept in (False, True):
            settings.IRIS_REQUEST_LOG = kept
            with CaptureQueriesContext(connection) as queries:
                client.get(SETTINGS)
            counts.append(len(queries))
        assert counts[1] == counts[0] + 1

    def test_response_is_the_same_if_the_entry_cannot_be_written(
        self, client: APIClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        usual = client.get(SETTINGS).json()

        def fail(entry: Entry) -> None:
            raise RuntimeError("The database is away")

        monkeypatch.setattr(entries, "write", fail)
        response = client.get(SETTINGS)
        assert (response.status_code, response.json()) == (200, usual)
        assert "could not be logged" in caplog.text


class TestRetention:
    def test_account_never_has_many_more_entries_than_its_most(
        self, twin: Account, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(entries, "MAX_ENTRIES", 10)
        monkeypatch.setattr(entries, "PRUNED_EVERY", 5)
        write(account, 3)
        most = 0
        for number in range(40):
            write(twin, 1, path=f"/api/{number}")
            most = max(most, ApiRequest.objects.filter(account_id=twin.pk).count())
        assert 10 <= most <= 15
        assert ApiRequest.objects.filter(account_id=account.pk).count() == 3
        paths = [one.path for one in entries.entries_of(twin, granted=frozenset(Permission))]
        assert paths == [f"/api/{number}" for number in range(39, 29, -1)]

    def test_entries_are_kept_for_a_day(self, client: APIClient, twin: Account) -> None:
        write(twin, 2)
        first = ApiRequest.objects.earliest("pk")
        ApiRequest.objects.filter(pk=first.pk).update(at=F("at") - timedelta(days=1))
        assert len(listed(client)) == 1
        tasks.prune()
        assert ApiRequest.objects.count() == 1
        assert ApiRequest.objects.get().at > timezone.now() - timedelta(hours=1)

    def test_erasure_of_a_person_deletes_the_log_of_the_account(
        self, twin: Account, account: Account
    ) -> None:
        write(twin, 2)
        write(other := make_account(), 1)
        person = Person(owner_ids=[account.pk, twin.pk], number="+9779841000001")
        assert people.HOLDER.finish(person) == {"api_requests": 2}
        assert ApiRequest.objects.get().account_id == other.pk
