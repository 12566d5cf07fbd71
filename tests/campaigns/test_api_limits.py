"""Limits on the wire: how both dialects and the settings read and show duplicates, frequency caps and waves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from accounts.models import Account, AuditEntry
from campaigns import runs
from campaigns.models import Campaign, Run, Service
from campaigns.runs import waves
from tests.campaigns.beginning import begin, latest_run
from tests.campaigns.runs.trying import begun, claim, end, step, tick
from tests.factories import client_of, make_campaign, make_empty_campaign, make_member
from tests.v0 import Caller

pytestmark = pytest.mark.django_db

SETTINGS = "/api/system/settings/"
CAP = {"contacts": 2, "days": 7}
WAVES = {"sizes": [1, 5], "success_percent": 80}
RULES: dict[str, Any] = {"duplicates": "once", "frequency_cap": CAP, "waves": WAVES}


@pytest.fixture
def sms(account: Account) -> Campaign:
    return make_campaign(owner=account)


def details(caller: Caller, campaign: Campaign) -> dict[str, Any]:
    (shown,) = caller.get(f"/api/system/campaigns/{campaign.pk}/details/")["data"]["details"]
    return dict(shown)


def numbers(campaign: Campaign) -> list[dict[str, Any]]:
    path = f"/api/system/campaigns/number/{campaign.pk}/"
    return list(Caller(campaign.owner).get(path)["data"]["number-lists"])


class TestBegin:
    @pytest.mark.parametrize("form", ["json", "multipart", "text in json"])
    def test_limits_are_frozen_in_the_run_and_shown_in_the_details(
        self, caller: Caller, sms: Campaign, form: str
    ) -> None:
        sent = dict(RULES)
        if form != "json":
            sent = {name: rule if isinstance(rule, str) else json.dumps(rule) for name, rule in sent.items()}
        kind = "multipart" if form == "multipart" else "json"
        caller.post(begin(sms), {"message": "Namaste", **sent}, format=kind)
        assert latest_run(sms).rules == RULES
        assert RULES.items() <= details(caller, sms).items()
        caller.put(SETTINGS, {"duplicates": "keep", "frequency_cap": {"contacts": 9, "days": 9}})
        assert RULES.items() <= details(caller, sms).items()  # frozen

    @pytest.mark.parametrize(
        ("sent", "field", "says"),
        [
            ({"duplicates": "twice"}, "duplicates", "“keep”"),
            ({"duplicates": True}, "duplicates", "“keep”"),
            ({"duplicates": {}}, "duplicates", "“keep”"),
            ({"duplicates": ["once"]}, "duplicates", "“keep”"),
            ({"frequency_cap": 2}, "frequency_cap", "must be an object"),
            ({"frequency_cap": "2"}, "frequency_cap", "must be an object"),
            ({"frequency_cap": "{"}, "frequency_cap", "not valid JSON"),
            ({"frequency_cap": {"contacts": 2}}, "frequency_cap", "“days”"),
            ({"frequency_cap": CAP | {"per": "week"}}, "frequency_cap", "Unknown field “per”"),
            ({"waves": [100]}, "waves", "must be an object"),
            ({"waves": {"sizes": [0]}}, "waves", "from 1 to"),
            ({"waves": {"success_percent": 50}}, "waves", "“sizes” must list"),
        ],
    )
    def test_a_wrong_limit_is_a_400_that_names_the_field_and_begins_nothing(
        self, caller: Caller, sms: Campaign, sent: dict[str, Any], field: str, says: str
    ) -> None:
        answer = caller.fails("POST", begin(sms), {"message": "Hello", **sent}, status=400)
        (error,) = answer["errors"]
        assert error["field"] == field
        assert says in error["message"]
        assert not Run.objects.exists()
        sms.refresh_from_db()
        assert sms.rules == {}

    @pytest.mark.parametrize("word", ["once", " Once ", '"once"'])
    def test_the_word_of_duplicates_can_be_written_in_several_ways(
        self, caller: Caller, sms: Campaign, word: str
    ) -> None:
        caller.post(begin(sms), {"message": "Hello", "duplicates": word})
        assert latest_run(sms).rules == {"duplicates": "once"}

    def test_a_limit_is_kept_for_the_next_run_until_it_is_switched_off(
        self, caller: Caller, sms: Campaign
    ) -> None:
        caller.post(begin(sms), {"message": "Hello", **RULES})
        runs.stop(campaign=sms)
        caller.post(begin(sms), dict.fromkeys(RULES))  # null is an omitted field
        assert latest_run(sms).rules == RULES
        runs.stop(campaign=sms)
        off = {"duplicates": "keep", "frequency_cap": "off", "waves": "off"}
        caller.post(begin(sms), off)
        assert latest_run(sms).rules == {}
        assert not RULES.keys() & details(caller, sms).keys()

    def test_a_run_of_duplicates_alone_is_a_400(self, caller: Caller, account: Account) -> None:
        campaign = make_campaign(owner=account, numbers=[9841000001, 9841000001])
        second = campaign.recipients.order_by("pk")[1].pk
        answer = caller.fails(
            "POST",
            begin(campaign),
            {"message": "Hi", "individual": [second], "duplicates": "once"},
            status=400,
        )
        assert "comes earlier in the campaign" in answer["message"]

    def test_the_message_of_begin_says_what_is_held_without_duplicates(
        self, caller: Caller, account: Account
    ) -> None:
        campaign = make_campaign(owner=account, numbers=[9841000001, 9841000001])
        answer = caller.post(begin(campaign), {"message": "Hi", "duplicates": "once"})
        once = latest_run(campaign).hold.amount
        runs.stop(campaign=campaign)
        caller.post(begin(campaign), {"duplicates": "keep"})
        assert latest_run(campaign).hold.amount == 2 * once
        assert str(once).rstrip("0").rstrip(".") in answer["data"]["hold amount"]


class TestShown:
    def test_a_number_that_is_left_out_says_why(self) -> None:
        campaign, _ = begun(numbers=[9841000001] * 2, duplicates="once")
        step("completed")
        first, second = sorted(numbers(campaign), key=lambda shown: shown["id"])
        assert "left_out" not in first
        assert (second["status"], second["credit_consumed"]) == ("terminated", 0)
        assert second["left_out"]["code"] == "duplicate"
        assert "comes earlier" in second["left_out"]["message"]
        assert details(Caller(campaign.owner), campaign)["left_out"] == {"duplicate": 1}

    def test_a_v1_contact_over_the_cap_says_why(self) -> None:
        campaign, _ = begun(numbers=[9841000001] * 2, frequency_cap={"contacts": 1, "days": 1})
        step("completed")
        path = f"/api/v1/campaign-detail/{campaign.pk}/"
        shown = client_of(campaign.owner).get(path).json()["results"]
        codes = {one["status"]: one.get("left_out", {}).get("code") for one in shown}
        assert codes == {"completed": None, "terminated": "frequency_cap"}

    def test_a_waiting_wave_is_shown_in_lists_and_details(self) -> None:
        campaign, _ = begun(
            numbers=range(9841000001, 9841000005), waves={"sizes": [2], "success_percent": 100}
        )
        caller = Caller(campaign.owner)
        assert details(caller, campaign)["wave"] == {"number": 1, "size": 2, "state": "sending"}
        tick()
        claimed = claim()
        end(claimed[:1], "completed")
        shown = details(caller, campaign)
        assert (shown["status"], "expected_end" in shown) == ("Running", False)
        assert shown["wave"]["state"] == "waiting for results"
        assert (shown["wave"]["succeeded"], shown["wave"]["in_progress"]) == (1, 1)
        (listed,) = caller.get("/api/system/campaigns/")["result"]["campaign-lists"]
        assert "wave" not in listed
        end(claimed[1:], "busy")
        waves.judge_all()
        assert details(caller, campaign)["wave"]["state"] == "waiting for go-ahead"
        (listed,) = caller.get("/api/system/campaigns/")["result"]["campaign-lists"]
        assert (listed["status"], listed["wave"]) == ("Running", {"state": "waiting for go-ahead"})
        shown = client_of(campaign.owner).get(f"/api/v1/campaign/{campaign.pk}/").json()
        assert (shown["status"], shown["wave"]["state"]) == ("Running", "waiting for go-ahead")

    def test_an_approver_sees_the_limits(self, caller: Caller, account: Account, sms: Campaign) -> None:
        account.approval_above = 0
        account.save()
        caller.post(begin(sms), {"message": "Hello", **RULES})
        assert RULES.items() <= details(caller, sms)["approval"]["sends"].items()


class TestNextWave:
    def test_it_begins_the_next_wave(self) -> None:
        campaign, _ = begun(numbers=range(9841000001, 9841000005), waves={"sizes": [1, 2]})
        caller = Caller(campaign.owner)
        path = f"/api/system/campaigns/{campaign.pk}/next_wave/"
        answer = caller.fails("POST", path, status=409)
        assert "not complete yet" in answer["message"]
        step("completed")
        answer = caller.post(path)
        assert (answer["data"], answer["message"]) == ({"wave": 2}, "Wave 2 of the campaign begins")
        assert caller.fails("POST", path, status=409)["message"].startswith("Wave 2")
        assert len(step("completed")) == 2

    def test_it_needs_the_permission_to_send(self) -> None:
        campaign, _ = begun(numbers=[9841000001, 9841000002], waves={"sizes": [1]})
        step("completed")
        path = f"/api/system/campaigns/{campaign.pk}/next_wave/"
        author = client_of(make_member(campaign.owner, "author"))
        assert author.post(path, {}, format="json").status_code == 403
        assert (
            client_of(make_member(campaign.owner, "sender")).post(path, {}, format="json").status_code == 200
        )


class TestV1:
    PATH = "/api/v1/campaign/"

    def test_limits_are_created_changed_sent_back_and_switched_off(self, account: Account) -> None:
        client = client_of(account)
        new = {"name": "SMS", "services": "SMS", "sms_message": "Hi", "duplicates": "once", "waves": WAVES}
        made = client.post(f"{self.PATH}create/", new, format="json")
        assert (made.status_code, made.json()["waves"]) == (201, WAVES)
        path = f"{self.PATH}{made.json()['id']}/"
        shown = client.patch(path, {"frequency_cap": json.dumps(CAP)}, format="multipart").json()
        assert RULES.items() <= shown.items()
        again = client.put(path, shown, format="json")
        assert again.status_code == 200
        assert RULES.items() <= again.json().items()
        off = client.patch(
            path, {"waves": None, "frequency_cap": "off", "duplicates": ""}, format="json"
        ).json()
        assert not RULES.keys() & off.keys()

    def test_a_wrong_limit_is_a_400_and_changes_nothing(self, account: Account, sms: Campaign) -> None:
        client = client_of(account)
        for wrong in ({"waves": {}}, {"frequency_cap": {"days": 1}}, {"duplicates": "no"}):
            answer = client.patch(f"{self.PATH}{sms.pk}/", {"name": "New", **wrong}, format="json")
            assert answer.status_code == 400, wrong
        sms.refresh_from_db()
        assert (sms.name, sms.rules) == ("Sample", {})


class TestSettings:
    def test_the_account_has_limits_for_campaigns_without_their_own(
        self, caller: Caller, account: Account, sms: Campaign
    ) -> None:
        assert caller.get(SETTINGS)["data"]["settings"]["duplicates"] == "keep"
        shown = caller.put(SETTINGS, RULES)["data"]["settings"]
        assert RULES.items() <= shown.items()
        assert RULES.items() <= details(caller, sms).items()
        caller.post(begin(sms), {"message": "Hello", "duplicates": "keep", "waves": "off"})
        assert latest_run(sms).rules == {"frequency_cap": CAP}
        off = caller.put(SETTINGS, {"duplicates": None, "frequency_cap": None, "waves": "off"})
        shown = off["data"]["settings"]
        assert (shown["duplicates"], shown["frequency_cap"], shown["waves"]) == ("keep", None, None)
        entry = AuditEntry.objects.filter(action="settings_changed").latest("pk")
        assert entry.details["duplicates"] == ["once", "keep"]

    @pytest.mark.parametrize("sent", [{"duplicates": "no"}, {"frequency_cap": {}}, {"waves": {"sizes": 5}}])
    def test_a_wrong_limit_is_a_400(self, caller: Caller, account: Account, sent: dict[str, Any]) -> None:
        answer = caller.fails("PUT", SETTINGS, {**sent, "language": "en"}, status=400)
        assert answer["errors"][0]["field"] in sent
        account.refresh_from_db()
        assert (account.duplicates, account.frequency_cap, account.waves) == ("keep", None, None)


def test_a_campaign_without_limits_shows_none(account: Account) -> None:
    campaign = make_empty_campaign(owner=account, name="Calls", service=Service.CALL)
    assert not {*RULES, "wave", "left_out"} & details(Caller(account), campaign).keys()
