"""v0: list, update and delete campaigns, and show their details."""

from __future__ import annotations

import json
from urllib.parse import quote, urlencode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Account
from campaigns.models import Campaign, RunStatus, Service
from tests.factories import make_account, make_campaign, make_empty_campaign, make_recipient, make_run
from tests.golden import assert_answers_as_documented
from tests.v0 import Caller

CAMPAIGNS = "/api/system/campaigns/"
IPO = "This campaign is to notify users that an IPO has been opened"


class TestList:
    def test_campaigns_are_listed_newest_first(self, caller: Caller, account: Account) -> None:
        oldest = make_empty_campaign(owner=account, service=Service.CALL, description="Description")
        tags = ["tags_name", "tags_age"]
        told = make_empty_campaign(owner=account, name="test1", description="test campaign", tags=tags)
        for number in (9800000001, 9800000002, 9800000003):
            make_recipient(campaign=told, number=number)
        make_run(campaign=told, status=RunStatus.TERMINATED)
        make_run(campaign=told, status=RunStatus.COMPLETED)
        name = "sample individual campaign"
        newest = make_empty_campaign(owner=account, name=name, service=Service.CALL, description=IPO)
        for number in (9800000001, 9800000002):
            make_recipient(campaign=newest, number=number)
        make_campaign(owner=make_account(email="other@example.com"))
        ids = {"first": oldest.pk, "second": told.pk, "third": newest.pk}
        assert_answers_as_documented(caller.client, "campaign_list", **ids)

    def test_the_list_of_campaigns_is_paginated(self, caller: Caller, account: Account) -> None:
        ids = [make_campaign(owner=account, name=f"Campaign {number}").pk for number in range(5)][::-1]
        answer = caller.get(f"{CAMPAIGNS}?page_size=2&page=2")
        assert [campaign["id"] for campaign in answer["result"]["campaign-lists"]] == ids[2:4]
        links = answer["pagination"].pop("links")
        assert answer["pagination"] == {
            "total_items": 5,
            "total_pages": 3,
            "page_number": 2,
            "has_next": True,
            "has_previous": True,
        }
        assert [caller.get(link)["pagination"]["page_number"] for link in links] == [1, 3]

    def test_a_page_has_a_hundred_campaigns_by_default(self, caller: Caller, account: Account) -> None:
        Campaign.objects.bulk_create(
            Campaign(owner=account, name="One of many", service="sms") for _ in range(101)
        )
        answer = caller.get(CAMPAIGNS)
        assert len(answer["result"]["campaign-lists"]) == 100
        assert answer["pagination"]["has_next"] is True

    def test_the_list_is_empty_without_campaigns(self, caller: Caller) -> None:
        answer = caller.get(CAMPAIGNS)
        assert answer["result"]["campaign-lists"] == []
        assert answer["pagination"]["total_items"] == 0

    @pytest.mark.parametrize(
        ("query", "status"),
        [
            ("page=0", 400),
            ("page=-1", 400),
            ("page=two", 400),
            ("page_size=0", 400),
            ("page=2", 404),
            ("page=" + 10 * "9", 400),
        ],
    )
    def test_an_invalid_page_is_refused(self, caller: Caller, query: str, status: int) -> None:
        caller.fails("GET", f"{CAMPAIGNS}?{query}", status=status)

    def test_the_list_of_campaigns_can_be_filtered(self, caller: Caller, account: Account) -> None:
        water = make_campaign(owner=account, name="Water notice", service=Service.SMS)
        vaccine = make_campaign(owner=account, name="Vaccination", service=Service.CALL)
        make_run(campaign=vaccine, status=RunStatus.RUNNING)

        def found(**query: str) -> list[int]:
            answer = caller.get(f"{CAMPAIGNS}?{urlencode(query)}")
            return [campaign["id"] for campaign in answer["result"]["campaign-lists"]]

        assert found(name="wAtEr") == [water.pk]
        assert found(services="phone") == [vaccine.pk]
        assert found(status="Not Started") == [water.pk]
        assert found(status="running") == [vaccine.pk]
        assert found(status="running,not started") == [vaccine.pk, water.pk]
        assert found(status="Completed") == []
        assert found(name="", services="", status="") == [vaccine.pk, water.pk]
        caller.fails("GET", f"{CAMPAIGNS}?status=asleep", status=400)
        caller.fails("GET", f"{CAMPAIGNS}?services=FAX", status=400)

    def test_the_number_of_queries_does_not_grow_with_the_campaigns(
        self, caller: Caller, account: Account
    ) -> None:
        def queries() -> int:
            with CaptureQueriesContext(connection) as context:
                caller.get(CAMPAIGNS)
            return len(context)

        make_run(campaign=make_campaign(owner=account, numbers=[9800000001]))
        before = queries()
        for number in range(10):
            make_run(
                campaign=make_campaign(
                    owner=account, name=f"Campaign {number}", numbers=[9800000001, 9800000002]
                )
            )
        assert queries() == before <= 3

    @pytest.mark.parametrize(
        ("run_status", "word"),
        [
            (None, "Not Started"),
            (RunStatus.SCHEDULED, "Scheduled"),
            (RunStatus.RUNNING, "Running"),
            (RunStatus.PAUSED, "Paused"),
            (RunStatus.STOPPING, "Terminated"),
            (RunStatus.COMPLETED, "Completed"),
            (RunStatus.TERMINATED, "Terminated"),
        ],
    )
    def test_status_is_that_of_the_latest_run(
        self, caller: Caller, account: Account, run_status: RunStatus | None, word: str
    ) -> None:
        campaign = make_campaign(owner=account)
        if run_status is not None:
            make_run(campaign=campaign, status=RunStatus.COMPLETED)
            make_run(campaign=campaign, status=run_status)
        (shown,) = caller.get(CAMPAIGNS)["result"]["campaign-lists"]
        (details,) = caller.get(f"{CAMPAIGNS}{campaign.pk}/details")["data"]["details"]
        assert shown["status"] == details["status"] == word


class TestUpdate:
    @pytest.fixture
    def campaign(self, account: Account) -> Campaign:
        return make_empty_campaign(owner=account, name="old name", service=Service.CALL, description="old")

    @pytest.fixture
    def path(self, campaign: Campaign) -> str:
        return f"{CAMPAIGNS}{campaign.pk}/update"

    CHANGES = {"name": "new campaign name", "services": "SMS", "description": "Election campaign for 2023"}

    def test_an_update_responds_as_documented(self, caller: Caller, campaign: Campaign) -> None:
        assert_answers_as_documented(caller.client, "campaign_update", campaign=campaign.pk)

    @pytest.mark.parametrize("method", ["PUT", "POST", "PATCH"])
    @pytest.mark.parametrize("format", ["json", "multipart"])
    def test_all_fields_can_be_updated_together(
        self, caller: Caller, path: str, method: str, format: str
    ) -> None:
        (shown,) = caller.call(method, path, self.CHANGES, format=format, status=200)["data"]["details"]
        assert {key: shown[key] for key in self.CHANGES} == self.CHANGES

    @pytest.mark.parametrize("field", ["name", "services", "description"])
    def test_each_field_can_be_updated_alone(self, caller: Caller, path: str, field: str) -> None:
        old = {"name": "old name", "services": "PHONE", "description": "old"}
        (shown,) = caller.put(path, {field: self.CHANGES[field]})["data"]["details"]
        assert {key: shown[key] for key in old} == {**old, field: self.CHANGES[field]}

    def test_an_empty_update_changes_nothing(self, caller: Caller, path: str) -> None:
        (shown,) = caller.put(path, {"name": "", "services": ""}, format="multipart")["data"]["details"]
        assert (shown["name"], shown["services"], shown["description"]) == ("old name", "PHONE", "old")
        (shown,) = caller.put(path, {"name": None, "services": None})["data"]["details"]
        assert (shown["name"], shown["services"], shown["description"]) == ("old name", "PHONE", "old")

    def test_a_description_can_be_emptied(self, caller: Caller, path: str) -> None:
        (shown,) = caller.put(path, {"description": ""})["data"]["details"]
        assert shown["description"] == ""

    def test_read_only_fields_are_ignored(self, caller: Caller, campaign: Campaign, path: str) -> None:
        sent = {
            "id": 1,
            "status": "Completed",
            "number_count": 7,
            "owner": 1,
            "user_phone": [1],
            "name": "new",
        }
        (shown,) = caller.put(path, sent)["data"]["details"]
        assert (shown["id"], shown["status"], shown["number_count"], shown["name"]) == (
            campaign.pk,
            "Not Started",
            0,
            "new",
        )

    def test_the_service_of_a_running_campaign_cannot_change(
        self, caller: Caller, campaign: Campaign, path: str
    ) -> None:
        make_run(campaign=campaign)
        caller.fails("PUT", path, {"services": "SMS"}, status=409)
        assert caller.put(path, {"name": "new"})["data"]["details"][0]["status"] == "Running"


class TestDelete:
    def test_a_deleted_campaign_is_not_found(self, caller: Caller, account: Account) -> None:
        campaign = make_empty_campaign(owner=account)
        recipient = make_recipient(campaign=campaign)
        assert_answers_as_documented(caller.client, "campaign_delete", campaign=campaign.pk)
        assert caller.get(CAMPAIGNS)["result"]["campaign-lists"] == []
        caller.fails("GET", f"{CAMPAIGNS}{campaign.pk}/details", status=404)
        caller.fails("GET", f"{CAMPAIGNS}number/{campaign.pk}", status=404)
        caller.fails("GET", f"/api/system/number/{recipient.pk}/", status=404)
        caller.fails("POST", f"{CAMPAIGNS}{campaign.pk}/begin", {"message": "Hello"}, status=404)
        caller.fails("DELETE", f"{CAMPAIGNS}{campaign.pk}/delete", status=404)

    def test_deleting_a_running_campaign_stops_it(self, caller: Caller, account: Account) -> None:
        campaign = make_campaign(owner=account, numbers=[9800000001])
        run = make_run(campaign=campaign, held=1)
        caller.delete(f"{CAMPAIGNS}{campaign.pk}/delete")
        run.refresh_from_db()
        assert run.status == RunStatus.TERMINATED
        account.refresh_from_db()
        assert account.balance == 100


class TestDetails:
    def test_the_details_have_the_tags(self, caller: Caller, account: Account) -> None:
        tags = ["tags_name", "tags_age"]
        campaign = make_empty_campaign(owner=account, name="campaign name", description="asd", tags=tags)
        for number in (9800000001, 9800000002):
            make_recipient(campaign=campaign, number=number)
        assert_answers_as_documented(caller.client, "campaign_details", campaign=campaign.pk)

    @pytest.mark.parametrize(("service", "word"), [(Service.BOTH, "SMS & PHONE"), (Service.SURVEY, "SURVEY")])
    def test_the_details_show_services_that_v0_does_not_document(
        self, caller: Caller, account: Account, service: Service, word: str
    ) -> None:
        campaign = make_empty_campaign(owner=account, service=service)
        (shown,) = caller.get(f"{CAMPAIGNS}{campaign.pk}/details")["data"]["details"]
        (listed,) = caller.get(f"{CAMPAIGNS}?services={quote(word)}")["result"]["campaign-lists"]
        assert shown["services"] == listed["services"] == word
        caller.fails("PUT", f"{CAMPAIGNS}{campaign.pk}/update", {"services": word}, status=400)

    def test_the_details_of_an_unknown_campaign_are_not_found(self, caller: Caller) -> None:
        assert_answers_as_documented(caller.client, "error_not_found", campaign=10**12)

    def test_the_details_take_six_queries_for_any_number_of_recipients(
        self, caller: Caller, account: Account
    ) -> None:
        campaign = make_campaign(owner=account, numbers=list(range(9800000001, 9800000021)))
        make_run(campaign=campaign)
        with CaptureQueriesContext(connection) as context:
            caller.get(f"{CAMPAIGNS}{campaign.pk}/details")
        assert len(context) <= 6


def test_responses_are_valid_json_with_unchanged_text(caller: Caller) -> None:
    name = 'सूचना “ward 7” \\ "quoted" 🎉 [] {}'
    sent = {"name": name, "services": "SMS", "individual_number": [9800000001], "description": "line\nline"}
    (made,) = caller.post(CAMPAIGNS, sent, status=201)["data"]["details"]
    assert (made["name"], made["description"]) == (name, "line\nline")
    listed = caller.get(f"{CAMPAIGNS}number/{made['id']}")
    assert listed["data"]["messages"] == f"Number related to {name} campaign Retrived successfully"
    assert json.loads(json.dumps(listed)) == listed
