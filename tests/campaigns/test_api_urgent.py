"""Urgent runs, alerts and reasons on the wire: who may begin them, what is refused, what is shown and logged."""

from __future__ import annotations

import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts import apikeys
from accounts.audit_sentences import sentence_of
from accounts.models import Account, AuditEntry, Member
from accounts.permissions import Permission
from campaigns import runs
from campaigns.api.v0.hearing import STATES
from campaigns.models import AlertRecipient, AlertState, Campaign, Run, Service
from campaigns.runs.urgent import UrgentRule
from tests.campaigns.beginning import begin, latest_run
from tests.factories import (
    client_of,
    make_account,
    make_audio,
    make_empty_campaign,
    make_member,
    make_recipient,
)
from tests.v0 import Caller

pytestmark = pytest.mark.django_db

FLOOD = {"reason": "Flood warning for ward 5"}
STORED = {**FLOOD, "past_opt_outs": False, "heard": None}
SETTINGS = "/api/system/settings/"


@pytest.fixture
def calls(account: Account) -> Campaign:
    campaign = make_empty_campaign(owner=account, name="Flood", service=Service.CALL, tags=["house"])
    for number, house in ((9841000001, "12"), (9841000002, "12"), (9841000003, "14")):
        recipient = make_recipient(campaign=campaign, number=number)
        recipient.tags = {"house": house}
        recipient.save()
    campaign.number_count = 3
    campaign.audio = make_audio()
    campaign.save()
    return campaign


def with_key(account: Account) -> APIClient:
    """Return a client with a key that has every scope."""
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {apikeys.generate(account=account)}")
    return client


def details(caller: Caller, campaign: Campaign) -> dict[str, Any]:
    (shown,) = caller.get(f"/api/system/campaigns/{campaign.pk}/details/")["data"]["details"]
    return dict(shown)


class TestBegin:
    @pytest.mark.parametrize("form", ["json", "multipart"])
    def test_the_rule_is_frozen_and_shown_and_the_log_says_why(
        self, caller: Caller, calls: Campaign, form: str
    ) -> None:
        caller.post(begin(calls), {"urgent": FLOOD if form == "json" else json.dumps(FLOOD)}, format=form)
        assert latest_run(calls).rules == {"urgent": STORED}
        assert details(caller, calls)["urgent"] == STORED
        entry = AuditEntry.objects.get(action="run_begun")
        assert sentence_of(entry).endswith(
            "began the campaign “Flood” for 3 recipients, urgently, because: Flood warning for ward 5."
        )
        calls.refresh_from_db()
        assert calls.rules == {}

    def test_without_its_own_permission_nobody_begins_one(self, account: Account, calls: Campaign) -> None:
        manager = make_member(account, "manager")
        client = client_of(manager)
        answer = client.post(begin(calls), {"urgent": FLOOD}, format="json")
        assert answer.status_code == 403
        assert "“urgent”" in answer.json()["message"]
        assert not Run.objects.exists()
        Member.objects.filter(user=manager).update(permissions=["view", "send", Permission.URGENT.value])
        assert client.post(begin(calls), {"urgent": FLOOD}, format="json").status_code == 200

    def test_no_key_begins_one(self, account: Account, calls: Campaign) -> None:
        client = with_key(account)
        answer = client.post(begin(calls), {"urgent": FLOOD}, format="json")
        assert answer.status_code == 403
        assert not Run.objects.exists()

    @pytest.mark.parametrize("sent", ["off", None, ""])
    def test_no_rule_is_an_ordinary_run(self, caller: Caller, calls: Campaign, sent: Any) -> None:
        caller.post(begin(calls), {"urgent": sent})
        assert latest_run(calls).rules == {}

    @pytest.mark.parametrize(
        ("sent", "says"),
        [
            ({"urgent": True}, "must be an object"),
            ({"urgent": "now"}, "not valid JSON"),
            ({"urgent": {"reason": ""}}, "State the “reason”"),
            (
                {"urgent": FLOOD, "calling_hours": {"calls": [{"from": "09:00", "to": "18:00"}]}},
                "calling_hours",
            ),
            ({"urgent": {**FLOOD, "heard": {"household": "street"}}}, "unknown tag “street”"),
        ],
    )
    def test_wrong_and_contradictory_rules_are_a_400_and_begin_nothing(
        self, caller: Caller, calls: Campaign, sent: dict[str, Any], says: str
    ) -> None:
        answer = caller.fails("POST", begin(calls), sent, status=400)
        assert says in answer["errors"][0]["message"]
        assert answer["errors"][0]["field"] == "urgent"
        assert not Run.objects.exists()

    def test_opt_outs_hold_unless_people_have_allowed_it(self, caller: Caller, calls: Campaign) -> None:
        sent = {"urgent": {**FLOOD, "past_opt_outs": True}}
        assert "alerts_past_opt_outs" in caller.fails("POST", begin(calls), sent, status=403)["message"]
        caller.put(SETTINGS, {"alerts_past_opt_outs": True})
        caller.post(begin(calls), sent)
        assert "urgently and past opt-outs, because" in sentence_of(
            AuditEntry.objects.get(action="run_begun")
        )

    def test_a_run_that_needs_approval_shows_why_it_is_urgent(self, caller: Caller, calls: Campaign) -> None:
        caller.put(SETTINGS, {"approval_above": 1})
        caller.post(begin(calls), {"urgent": FLOOD})
        assert details(caller, calls)["approval"]["sends"]["urgent"] == STORED


class TestSettings:
    def test_only_people_let_alerts_pass_opt_outs_and_the_log_says_so(
        self, caller: Caller, account: Account
    ) -> None:
        client = with_key(account)
        answer = client.put(SETTINGS, {"alerts_past_opt_outs": True}, format="json")
        assert answer.status_code == 403
        caller.put(SETTINGS, {"alerts_past_opt_outs": True})
        entry = AuditEntry.objects.get(action="settings_changed")
        assert "whether urgent runs can reach people who have opted out from false to true" in sentence_of(
            entry
        )


class TestHeard:
    @pytest.fixture
    def alert(self, calls: Campaign) -> Run:
        rule = UrgentRule.parse({**FLOOD, "heard": {"household": "house"}})
        run = runs.begin(campaign=calls, urgent=rule)
        states = (AlertState.HEARD, AlertState.SPARED)
        for recipient, state in zip(calls.recipients.order_by("pk"), states, strict=False):
            AlertRecipient.objects.create(
                run=run,
                recipient=recipient,
                household=1,
                state=state,
                heard_at=run.starts_at if state is AlertState.HEARD else None,
            )
        return run

    def heard(self, campaign: Campaign, query: str = "") -> str:
        return f"/api/system/campaigns/{campaign.pk}/heard/{query}"

    def test_lists_who_has_heard_and_counts_all(self, caller: Caller, calls: Campaign, alert: Run) -> None:
        shown = caller.get(self.heard(calls))["data"]
        assert (shown["run"], shown["recipients"]) == (alert.pk, 3)
        assert shown["counts"] == dict.fromkeys(STATES.values(), 0) | {"heard": 1, "spared": 1, "waiting": 1}
        first, second = shown["numbers"]
        assert (first["number"], first["state"], first["household"]) == ("9841000001", "heard", "12")
        assert first["heard_at"] is not None
        assert (second["state"], second["heard_at"]) == ("spared", None)

    def test_filters_by_state_in_pages(self, caller: Caller, calls: Campaign, alert: Run) -> None:
        shown = caller.get(self.heard(calls, "?state=heard,spared&page_size=1&page=2"))["data"]
        assert [one["state"] for one in shown["numbers"]] == ["spared"]
        assert shown["pagination"]["total_items"] == 2
        answer = caller.fails("GET", self.heard(calls, "?state=deaf"), status=400)
        assert "not heard" in answer["errors"][0]["message"]

    def test_a_campaign_without_an_alert_is_a_404(self, caller: Caller, calls: Campaign) -> None:
        caller.fails("GET", self.heard(calls), status=404)
        runs.begin(campaign=calls, urgent=UrgentRule(reason="Flood"))
        caller.fails("GET", self.heard(calls), status=404)


class TestWhy:
    def test_a_campaign_and_a_number_say_what_holds_them_back(self, caller: Caller, calls: Campaign) -> None:
        path = f"/api/system/campaigns/{calls.pk}/why/"
        shown = caller.get(path)["data"]
        assert (shown["status"], shown["run"]) == ("Not Started", None)
        assert [reason["code"] for reason in shown["reasons"]] == ["not_begun"]
        runs.begin(campaign=calls)
        runs.pause(campaign=calls)
        shown = caller.get(path)["data"]
        assert (shown["status"], shown["queued"], shown["under_way"]) == ("Paused", 0, 0)
        assert shown["reasons"][0] == {
            "code": "paused",
            "message": "The run is paused. Resume it, and it goes on.",
        }
        number = calls.recipients.all()[0].pk
        shown = caller.get(f"/api/system/number/{number}/why/")["data"]
        assert shown["status"] == "not started"
        assert shown["reasons"][0]["code"] == "paused"

    def test_strangers_see_nothing(self, calls: Campaign) -> None:
        stranger = Caller(make_account())
        number = calls.recipients.all()[0].pk
        for path in (f"campaigns/{calls.pk}/why/", f"campaigns/{calls.pk}/heard/", f"number/{number}/why/"):
            stranger.fails("GET", f"/api/system/{path}", status=404)
