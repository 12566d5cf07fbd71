"""v0: the audit log of an account, and the settings whose changes it has."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import account_settings, apikeys, audit
from accounts.api.v0 import audit as api
from accounts.audit_sentences import sentence_of
from accounts.models import Account, AuditEntry
from accounts.permissions import KEY_SCOPES
from tests.accounts.audit.reading import entries, latest
from tests.factories import client_of, make_account, make_campaign, make_member, owner_of
from tests.routes import V0

pytestmark = pytest.mark.django_db

PATH = "/api/system/audit/"
SETTINGS = "/api/system/settings/"


class TestSettings:
    def test_settings_are_read_and_changed(self, account: Account, client: APIClient) -> None:
        off = client.get(SETTINGS).json()["data"]["settings"]
        assert (off["approval_above"], off["approval_hours"]) == (None, 72)
        answer = client.put(SETTINGS, {"approval_above": 1000}, format="json").json()
        assert answer["data"]["settings"] == {**off, "approval_above": 1000}
        assert sentence_of(latest("settings_changed")) == (
            "Sita Rai changed settings: the number of recipients above which runs need approval from off to 1000."
        )
        assert client.post(SETTINGS, {"approval_above": "off"}).json()["data"]["settings"] == off
        client.patch(SETTINGS, {"approval_above": "7", "approval_hours": "24"}, format="multipart")
        account.refresh_from_db()
        assert (account.approval_above, account.approval_hours) == (7, 24)
        client.put(SETTINGS, {"approval_above": None}, format="json")
        account.refresh_from_db()
        assert (account.approval_above, account.approval_hours) == (None, 24)

    @pytest.mark.parametrize(
        "body",
        [
            {"approval_above": -1}, {"approval_above": 1.5}, {"approval_above": True}, {"approval_above": [1]},
            {"approval_above": 2**31}, {"approval_above": "many"}, {"approval_hours": 0}, {"approval_hours": 721},
            {"approval_hours": "off"}, {"approval_hours": 10**30}, {"approvalabove": 3}, {}, {"approval_above": {}},
        ],
    )  # fmt: skip
    def test_wrong_settings_are_a_400_and_change_nothing(
        self, account: Account, body: dict[str, Any]
    ) -> None:
        V0.caller(account).fails("PUT", SETTINGS, body, status=400)
        account.refresh_from_db()
        assert (account.approval_above, account.approval_hours) == (None, 72)

    def test_keys_cannot_change_the_settings_that_guard_against_them(self, account: Account) -> None:
        _, key = apikeys.create(
            account=account, created_by=None, name="website", scopes=frozenset(KEY_SCOPES)
        )
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {key}")
        assert client.get(SETTINGS).status_code == 200
        answer = client.put(SETTINGS, {"approval_above": None}, format="json")
        assert answer.status_code == 403
        assert "Only people" in answer.json()["message"]

    def test_every_setting_can_be_shown_and_logged(self, account: Account, client: APIClient) -> None:
        shown = client.get(SETTINGS).json()["data"]["settings"]
        assert set(shown) == {*account_settings.SETTINGS, "erased"}


class TestReading:
    def test_the_log_needs_manage_account(self, account: Account) -> None:
        for preset, status in (("sender", 403), ("manager", 200)):
            answer = client_of(make_member(account, preset)).get(PATH)
            assert answer.status_code == status
        assert "“manage_account”" in client_of(make_member(account, "viewer")).get(PATH).json()["message"]

    def test_an_account_sees_only_its_own_entries_the_newest_first(
        self, account: Account, client: APIClient
    ) -> None:
        stranger = make_account()
        client.put(SETTINGS, {"approval_above": 5})
        mine = entries(client)
        assert [one["action"] for one in mine] == ["settings_changed", "member_added", "account_created"]
        assert mine[0]["actor"] == {
            "kind": "person", "id": owner_of(account).pk, "name": "Sita Rai", "email": "sita@example.com",
        }  # fmt: skip
        assert {one["action"] for one in entries(client_of(stranger))} == {"member_added", "account_created"}

    def test_the_log_is_paged(self, client: APIClient) -> None:
        client.put(SETTINGS, {"approval_above": 5})
        answer = client.get(PATH, {"page_size": 2}).json()["data"]
        assert (len(answer["entries"]), answer["pagination"]["total_pages"]) == (2, 2)
        assert client.get(PATH, {"page": 9}).status_code == 404

    def test_filters(self, account: Account, client: APIClient) -> None:
        campaign = make_campaign(owner=account)
        client.put(SETTINGS, {"approval_above": 5})
        today, tomorrow = timezone.localdate(), timezone.localdate() + timedelta(days=1)
        yesterday = today - timedelta(days=1)
        for query, count in (
            ({"action": "settings_changed"}, 1),
            ({"action": "settings_changed,campaign_created"}, 2),
            ({"actor": "sita@EXAMPLE.com"}, 1),
            ({"actor": "rai"}, 1),
            ({"actor": "server"}, 4),
            ({"actor": "nobody"}, 0),
            ({"object": "campaign"}, 2),
            ({"object": f"campaign:{campaign.pk}"}, 2),
            ({"object": "key"}, 0),
            ({"campaign": campaign.pk}, 2),
            ({"campaign": campaign.pk + 1}, 0),
            ({"from": today}, 5),
            ({"from": tomorrow}, 0),
            ({"to": yesterday}, 0),
            ({"from": yesterday, "to": today}, 5),
            ({"from": "", "actor": ""}, 5),
        ):
            assert len(entries(client, **query)) == count, query

    @pytest.mark.parametrize(
        "query",
        [
            {"from": "soon"}, {"to": "2026-13-01"}, {"action": "flown"}, {"object": "moon"}, {"object": "run:x"},
            {"object": "run:" + "9" * 30}, {"campaign": "abc"}, {"campaign": "-1"}, {"campaign": "0"},
            {"actor": "x" * 300}, {"format": "pdf"}, {"page": "x"}, {"from": "9" * 40},
        ],
    )  # fmt: skip
    def test_bad_filters_are_a_400(self, account: Account, query: dict[str, str]) -> None:
        answer = client_of(account).get(PATH, query)
        assert answer.status_code == 400, answer.content
        assert answer.json()["message"].endswith((".", ".)"))

    def test_the_log_is_exported_as_csv_without_formulas(self, account: Account, client: APIClient) -> None:
        owner = owner_of(account)
        owner.first_name, owner.last_name = "=HYPERLINK(1)", "Rai"
        owner.save()
        client.put(SETTINGS, {"approval_above": 5})
        answer = client.get(PATH, {"format": "csv"})
        assert answer["Content-Type"] == "text/csv; charset=utf-8"
        text = answer.getvalue().decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text)))
        assert [row["action"] for row in rows[:2]] == ["exported", "settings_changed"]
        assert rows[1]["actor"] == "'=HYPERLINK(1) Rai"
        assert rows[1]["sentence"].startswith("'=HYPERLINK(1) Rai changed settings")
        assert client.get(PATH).json()["data"]["entries"][0]["sentence"].endswith("exported the audit log.")

    def test_an_export_has_a_maximum_and_is_complete_up_to_it(
        self, account: Account, client: APIClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for n in range(7):
            audit.note(account_id=account.pk, action="exported", kind="account", n=n)
        monkeypatch.setattr(api, "BATCH", 3)
        text = client.get(PATH, {"format": "csv"}).getvalue().decode()
        assert text.count("\n") == 1 + AuditEntry.objects.filter(account_id=account.pk).count()
        monkeypatch.setattr(api, "MAX_EXPORTED", 5)
        answer = client.get(PATH, {"format": "csv"})
        assert answer.status_code == 400
        assert "from and to" in answer.json()["message"]
