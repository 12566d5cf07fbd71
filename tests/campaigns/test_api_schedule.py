"""v0: schedule and stop campaigns."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from django.test import override_settings
from django.utils import timezone

from accounts.models import Account
from campaigns.models import Campaign, RunStatus
from telephony.models import DeliveryStatus
from tests.campaigns.beginning import balance, begin, latest_run
from tests.factories import make_delivery_of, make_empty_campaign, make_recipient, make_run
from tests.golden import assert_answers_as_documented, golden
from tests.v0 import Caller

KATHMANDU = ZoneInfo("Asia/Kathmandu")


class TestSchedule:
    NEXT_YEAR = timezone.now().year + 1

    def scheduled(self, caller: Caller, campaign: Campaign, date: object) -> datetime:
        caller.post(begin(campaign), {"message": "Hello", "schedule_date": date})
        run = latest_run(campaign)
        assert run.status == RunStatus.SCHEDULED
        return run.starts_at

    @pytest.mark.parametrize(
        "written",
        [
            "{year}-05-09T17:07",
            "{year}-05-09T17:07:00",
            "{year}-05-09 17:07",
            "{year}-05-09t17:07",
            " {year}-05-09T17:07 ",
            "{year}-05-09T17:07+05:45",
            "{year}-05-09T17:07:00.000+05:45",
            "{year}-05-09T11:22Z",
            "{year}-05-09T11:22:00.000Z",
            "{year}-05-09 11:22:00+00:00",
        ],
    )
    def test_a_start_time_without_zone_is_in_nepal_time(
        self, caller: Caller, campaign: Campaign, written: str
    ) -> None:
        starts_at = self.scheduled(caller, campaign, written.format(year=self.NEXT_YEAR))
        assert starts_at == datetime(self.NEXT_YEAR, 5, 9, 17, 7, tzinfo=KATHMANDU)

    @override_settings(TIME_ZONE="UTC")
    def test_the_start_time_is_shown_in_the_zone_of_the_server(
        self, caller: Caller, campaign: Campaign
    ) -> None:
        starts_at = self.scheduled(caller, campaign, f"{self.NEXT_YEAR}-05-09T17:07")
        assert starts_at == datetime(self.NEXT_YEAR, 5, 9, 17, 7, tzinfo=UTC)

    def test_a_scheduled_run_holds_credits_and_the_response_has_its_start_time(
        self, caller: Caller, campaign: Campaign, account: Account
    ) -> None:
        date = f"{self.NEXT_YEAR}-05-09T17:07"
        answer = caller.post(begin(campaign), {"message": "Hello", "schedule_date": date})
        assert answer["message"] == f"Campaign is scheduled for {date}"
        assert answer["data"] == golden("campaign_begin")["data"]
        assert balance(account) == 97
        (details,) = caller.get(f"/api/system/campaigns/{campaign.pk}/details")["data"]["details"]
        assert details["status"] == "Scheduled"

    def test_a_start_time_in_the_current_minute_begins_immediately(
        self, caller: Caller, campaign: Campaign
    ) -> None:
        now = timezone.localtime(timezone.now(), KATHMANDU).strftime("%Y-%m-%dT%H:%M")
        answer = caller.post(begin(campaign), {"message": "Hello", "schedule_date": now})
        assert answer["message"] == "Campaign is running"

    @pytest.mark.parametrize("empty", ["", None])
    def test_an_empty_start_time_begins_immediately(
        self, caller: Caller, campaign: Campaign, empty: object
    ) -> None:
        assert (
            caller.post(begin(campaign), {"message": "Hello", "schedule_date": empty})["message"]
            == "Campaign is running"
        )

    @pytest.mark.parametrize(
        ("date", "said"),
        [
            ("2023-05-09T17:07", "in the past"),
            ("0001-01-01T00:00", ""),
            ("9999-12-31T23:59-23:00", ""),
            ("2083-01-26T17:07", "Bikram Sambat"),
            ("2079-12-30 09:00", "Bikram Sambat"),
            ("tomorrow", "2023-05-09T17:07"),
            ("2031-05-09", "2023-05-09T17:07"),
            ("2031-13-09T17:07", "2023-05-09T17:07"),
            ("2031-02-30T17:07", "2023-05-09T17:07"),
            ("09/05/2031 17:07", "2023-05-09T17:07"),
            (20310509, "2023-05-09T17:07"),
            (True, "2023-05-09T17:07"),
            ([2031], "2023-05-09T17:07"),
            ({}, "2023-05-09T17:07"),
        ],
    )
    def test_an_invalid_or_past_start_time_is_refused(
        self, caller: Caller, campaign: Campaign, account: Account, date: object, said: str
    ) -> None:
        answer = caller.fails(
            "POST", begin(campaign), {"message": "Hello", "schedule_date": date}, status=400
        )
        assert said in answer["message"]
        assert balance(account) == 100


class TestStop:
    def test_stop_returns_the_numbers_in_flight(self, caller: Caller, account: Account) -> None:
        campaign = make_empty_campaign(owner=account)
        submitted = make_recipient(campaign=campaign, number=9800000001)
        waiting = make_recipient(campaign=campaign, number=9800000002)
        run = make_run(campaign=campaign, held=2, filled_at=timezone.now())
        make_delivery_of(run=run, recipient=submitted, status=DeliveryStatus.SUBMITTED)
        make_delivery_of(run=run, recipient=waiting, status=DeliveryStatus.QUEUED)
        assert_answers_as_documented(caller.client, "campaign_stop", campaign=campaign.pk, first=submitted.pk)
        assert balance(account) == 99
        numbers = caller.get(f"/api/system/campaigns/number/{campaign.pk}")["data"]["number-lists"]
        assert {number["id"]: number["status"] for number in numbers} == {
            submitted.pk: "dialing",
            waiting.pk: "terminated",
        }

    def test_stop_withdraws_a_scheduled_campaign(
        self, caller: Caller, campaign: Campaign, account: Account
    ) -> None:
        caller.post(
            begin(campaign), {"message": "Hello", "schedule_date": f"{TestSchedule.NEXT_YEAR}-05-09T17:07"}
        )
        answer = caller.post(f"/api/system/campaigns/{campaign.pk}/stop/")
        assert answer["data"] == {"in_flight": 0, "ids": []}
        assert balance(account) == 100
        caller.post(begin(campaign), {"message": "Hello"})

    def test_stop_of_a_campaign_that_does_not_run_is_refused(
        self, caller: Caller, campaign: Campaign
    ) -> None:
        for verb in ("stop", "pause", "resume"):
            caller.fails("POST", f"/api/system/campaigns/{campaign.pk}/{verb}", status=409)
