"""Rules of reaching people on the wire: how both dialects and the settings read and show retries and calling hours."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Account, AuditEntry
from campaigns import runs
from campaigns.models import Campaign, Run, RunStatus, Service
from telephony.models import Delivery, DeliveryStatus
from tests.campaigns.beginning import begin, latest_run
from tests.campaigns.runs.trying import RETRY, begun, claim, end, step, tick
from tests.factories import client_of, make_campaign, make_empty_campaign, make_recipient
from tests.v0 import Caller

pytestmark = pytest.mark.django_db

HOURS = {"calls": [{"days": ["mon", "sun"], "from": "09:00", "to": "18:00"}], "holidays": ["2083-07-22"]}
STORED_RETRY = RETRY | {"backoff": "fixed"}
SETTINGS = "/api/system/settings/"


@pytest.fixture
def calls(account: Account) -> Campaign:
    campaign = make_empty_campaign(owner=account, name="Calls", service=Service.CALL)
    make_recipient(campaign=campaign)
    return campaign


def details(caller: Caller, campaign: Campaign) -> dict[str, Any]:
    (shown,) = caller.get(f"/api/system/campaigns/{campaign.pk}/details/")["data"]["details"]
    return dict(shown)


class TestBegin:
    @pytest.mark.parametrize("form", ["json", "multipart", "text in json"])
    def test_rules_are_frozen_in_the_run_and_shown_in_the_details(
        self, caller: Caller, calls: Campaign, form: str
    ) -> None:
        sent: dict[str, Any] = {"retry": RETRY, "calling_hours": HOURS}
        if form != "json":
            sent = {name: json.dumps(rule) for name, rule in sent.items()}
        caller.post(
            begin(calls),
            {"message": "Namaste", **sent},
            format="multipart" if form == "multipart" else "json",
        )
        expected = {"retry": STORED_RETRY, "calling_hours": {"time_zone": "Asia/Kathmandu", **HOURS}}
        assert latest_run(calls).rules == expected
        shown = details(caller, calls)
        assert {name: shown[name] for name in expected} == expected

    @pytest.mark.parametrize(
        ("sent", "field", "says"),
        [
            ({"retry": 3}, "retry", "must be an object"),
            ({"retry": "3"}, "retry", "must be an object"),
            ({"retry": "{"}, "retry", "not valid JSON"),
            ({"retry": []}, "retry", "must be an object"),
            ({"retry": RETRY | {"tries": 9}}, "retry", "from 2 to 5"),
            ({"retry": RETRY | {"on": ["answered"]}}, "retry", "“answered” cannot be retried"),
            ({"calling_hours": "09:00-18:00"}, "calling_hours", "not valid JSON"),
            ({"calling_hours": {"calls": []}}, "calling_hours", "must be a list of hours"),
            (
                {"calling_hours": {"calls": [{"from": "18:00", "to": "09:00"}]}},
                "calling_hours",
                "must be before",
            ),
        ],
    )
    def test_a_wrong_rule_is_a_400_that_names_the_field_and_begins_nothing(
        self, caller: Caller, calls: Campaign, sent: dict[str, Any], field: str, says: str
    ) -> None:
        answer = caller.fails("POST", begin(calls), {"message": "Hello", **sent}, status=400)
        (error,) = answer["errors"]
        assert error["field"] == field
        assert says in error["message"]
        assert not Run.objects.exists()
        calls.refresh_from_db()
        assert calls.rules == {}

    def test_a_rule_in_parts_is_refused(self, caller: Caller, calls: Campaign) -> None:
        answer = caller.fails(
            "POST", begin(calls), {"message": "Hello", "retry[tries]": "3"}, format="multipart", status=400
        )
        assert "object" in answer["message"] or "JSON text in one field" in answer["message"]
        assert not Run.objects.exists()

    def test_a_similar_name_is_read(self, caller: Caller, calls: Campaign) -> None:
        caller.post(begin(calls), {"message": "Hello", "Retries": RETRY})
        assert latest_run(calls).rules == {"retry": STORED_RETRY}

    def test_an_outcome_that_no_sms_can_have_is_refused(self, caller: Caller, campaign: Campaign) -> None:
        answer = caller.fails("POST", begin(campaign), {"message": "Hello", "retry": RETRY}, status=400)
        assert "An SMS is never busy" in answer["message"]
        assert not Run.objects.exists()
        caller.post(begin(campaign), {"message": "Hello", "retry": RETRY | {"on": ["failed"]}})

    def test_a_rule_is_kept_for_the_next_run_until_it_is_switched_off(
        self, caller: Caller, calls: Campaign
    ) -> None:
        caller.post(begin(calls), {"message": "Hello", "retry": RETRY})
        runs.stop(campaign=calls)
        caller.post(begin(calls), {"retry": None})  # null is an omitted field
        assert latest_run(calls).rules == {"retry": STORED_RETRY}
        runs.stop(campaign=calls)
        caller.post(begin(calls), {"retry": "off"})
        assert latest_run(calls).rules == {}
        assert "retry" not in details(caller, calls)

    def test_a_changed_scheduled_run_keeps_its_rules(self, caller: Caller, calls: Campaign) -> None:
        later = (timezone.now() + timedelta(days=1)).isoformat()
        caller.post(begin(calls), {"message": "Hello", "retry": RETRY, "schedule_date": later})
        make_recipient(campaign=calls, number=9800000002)
        assert details(caller, calls)["retry"] == STORED_RETRY
        assert latest_run(calls).status == RunStatus.SCHEDULED

    def test_details_say_until_when_a_run_waits_for_its_hours(self, caller: Caller, calls: Campaign) -> None:
        today = timezone.localtime()
        other = (today + timedelta(days=2)).strftime("%a").lower()
        hours = {"calls": [{"days": [other], "from": "09:00", "to": "18:00"}]}
        caller.post(begin(calls), {"message": "Hello", "calling_hours": hours})
        tick()
        shown = details(caller, calls)
        assert shown["status"] == "Running"
        opens = (today + timedelta(days=2)).replace(hour=9, minute=0, second=0, microsecond=0)
        assert shown["waits_until"] == opens.isoformat()


class TestRecipients:
    def test_a_number_shows_its_attempts_and_its_next_try(self) -> None:
        campaign, _ = begun(retry=RETRY)
        caller = Caller(campaign.owner)
        path = f"/api/system/campaigns/number/{campaign.pk}/"
        step("busy")
        (shown,) = caller.get(path)["data"]["number-lists"]
        assert (shown["status"], shown["attempts"]) == ("dialing", 1)
        due = Delivery.objects.latest("pk").not_before
        assert shown["next_try_at"] == timezone.localtime(due).isoformat()
        assert caller.get(path + "?status=dialing")["data"]["number-lists"] == [shown]
        assert caller.get(path + "?status=unanswered")["data"]["number-lists"] == []
        Delivery.objects.filter(status=DeliveryStatus.QUEUED).update(not_before=timezone.now())
        step("completed")
        (shown,) = caller.get(path)["data"]["number-lists"]
        assert (shown["status"], shown["attempts"], shown["next_try_at"]) == ("completed", 2, None)

    def test_a_number_of_a_campaign_without_rules_shows_neither(self) -> None:
        campaign, _ = begun()
        step("busy")
        (shown,) = Caller(campaign.owner).get(f"/api/system/campaigns/number/{campaign.pk}/")["data"][
            "number-lists"
        ]
        assert not {"attempts", "next_try_at"} & shown.keys()

    def test_a_v1_contact_shows_its_attempts(self) -> None:
        campaign, _ = begun(retry=RETRY)
        tick()
        end(claim(), "busy")
        (shown,) = client_of(campaign.owner).get(f"/api/v1/campaign-detail/{campaign.pk}/").json()["results"]
        assert (shown["status"], shown["attempts"]) == ("dialing", 1)


class TestV1:
    PATH = "/api/v1/campaign/"

    def test_rules_are_created_changed_sent_back_and_switched_off(self, account: Account) -> None:
        client = client_of(account)
        new = {"name": "Calls", "services": "PHONE", "message": "Hi", "retry": RETRY}
        made = client.post(f"{self.PATH}create/", new, format="json")
        assert (made.status_code, made.json()["retry"]) == (201, STORED_RETRY)
        path = f"{self.PATH}{made.json()['id']}/"
        shown = client.patch(path, {"calling_hours": json.dumps(HOURS)}, format="multipart").json()
        assert (shown["retry"], shown["calling_hours"]) == (
            STORED_RETRY,
            {"time_zone": "Asia/Kathmandu", **HOURS},
        )
        again = client.put(path, shown, format="json")
        assert (again.status_code, again.json()["calling_hours"]) == (200, shown["calling_hours"])
        off = client.patch(path, {"retry": None, "calling_hours": "off"}, format="json").json()
        assert not {"retry", "calling_hours"} & off.keys()

    def test_a_wrong_rule_is_a_400_and_changes_nothing(self, account: Account) -> None:
        client = client_of(account)
        campaign = make_campaign(owner=account, service=Service.CALL)
        answer = client.patch(
            f"{self.PATH}{campaign.pk}/", {"name": "New", "retry": {"tries": 0}}, format="json"
        )
        assert answer.status_code == 400
        assert "tries" in json.dumps(answer.json())
        campaign.refresh_from_db()
        assert (campaign.name, campaign.rules) == ("Sample", {})

    def test_a_run_that_waits_for_its_hours_is_running(self, account: Account) -> None:
        campaign, _ = begun(calling_hours={"calls": [{"from": "00:00", "to": "00:01"}]})
        tick()
        shown = client_of(campaign.owner).get(f"{self.PATH}{campaign.pk}/").json()
        assert shown["status"] == "Running"


class TestSettings:
    def test_the_account_has_rules_for_campaigns_without_their_own(
        self, caller: Caller, calls: Campaign
    ) -> None:
        shown = caller.put(SETTINGS, {"retry": RETRY, "calling_hours": HOURS})["data"]["settings"]
        assert (shown["retry"], shown["calling_hours"]) == (STORED_RETRY, HOURS)
        assert details(caller, calls)["retry"] == STORED_RETRY
        caller.post(begin(calls), {"message": "Hello"})
        assert latest_run(calls).rules.keys() == {"retry", "calling_hours"}
        shown = caller.put(SETTINGS, {"retry": None, "calling_hours": "off"})["data"]["settings"]
        assert (shown["retry"], shown["calling_hours"]) == (None, None)
        assert latest_run(calls).rules.keys() == {"retry", "calling_hours"}

    @pytest.mark.parametrize(
        "sent", [{"retry": {}}, {"retry": "3"}, {"calling_hours": {}}, {"calling_hours": [1]}]
    )
    def test_a_wrong_rule_is_a_400(self, caller: Caller, account: Account, sent: dict[str, Any]) -> None:
        answer = caller.fails("PUT", SETTINGS, {**sent, "language": "en"}, status=400)
        assert answer["errors"][0]["field"] in sent
        account.refresh_from_db()
        assert (account.retry, account.calling_hours, account.language) == (None, None, "ne")

    def test_changes_are_in_the_audit_log(self, caller: Caller, calls: Campaign) -> None:
        caller.put(SETTINGS, {"retry": RETRY})
        entry = AuditEntry.objects.filter(action="settings_changed").latest("pk")
        assert "retry" in json.dumps(entry.details)
        caller.post(begin(calls), {"message": "Hello", "retry": RETRY})
        entry = AuditEntry.objects.filter(action="campaign_changed").latest("pk")
        assert "rules" in json.dumps(entry.details)


def test_an_approver_sees_the_rules(account: Account, calls: Campaign, caller: Caller) -> None:
    account.approval_above = 0
    account.save()
    caller.post(begin(calls), {"message": "Hello", "retry": RETRY})
    assert details(caller, calls)["approval"]["sends"]["retry"] == STORED_RETRY
