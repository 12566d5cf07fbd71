"""v0: rerun campaigns."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from accounts.models import Account
from campaigns.models import Campaign, RunStatus, Service, Source
from telephony.models import DeliveryStatus
from tests import engine
from tests.campaigns.beginning import a_recording, balance, begin, end_with, latest_run
from tests.factories import make_empty_campaign
from tests.golden import assert_answers_as_documented
from tests.v0 import Caller

KATHMANDU = ZoneInfo("Asia/Kathmandu")


class TestAgain:
    def test_a_rerun_with_only_a_message_can_be_repeated(
        self, caller: Caller, campaign: Campaign, account: Account
    ) -> None:
        for number in range(3):
            caller.post(begin(campaign), {"message": f"A wild elephant is near, report {number}"})
            engine.run_to_the_end()
        assert balance(account) == 91
        numbers = caller.get(f"/api/system/campaigns/number/{campaign.pk}")["data"]["number-lists"]
        assert {(number["status"], number["credit_consumed"]) for number in numbers} == {("completed", 3)}

    def test_a_rerun_without_arguments_uses_the_stored_message(
        self, caller: Caller, campaign: Campaign
    ) -> None:
        caller.post(begin(campaign), {"message": "Hello"})
        campaign.runs.update(status=RunStatus.COMPLETED)
        caller.post(begin(campaign))
        assert latest_run(campaign).sms_message == "Hello"

    @pytest.mark.parametrize(
        "status",
        [
            ["failed", "hungup"],
            ["failed, hungup"],
            "failed, hungup",
            "Failed,HungUp",
            ["FAILED", "hungup", "failed"],
            '["failed", "hungup"]',
        ],
    )
    def test_a_rerun_can_be_limited_to_statuses(
        self, caller: Caller, campaign: Campaign, status: object
    ) -> None:
        end_with(campaign, a=DeliveryStatus.FAILED, b=DeliveryStatus.HUNGUP, c=DeliveryStatus.COMPLETED)
        answer = caller.post(begin(campaign), {"message": "Hello", "status": status})
        assert answer["message"] == "Campaign is running"
        assert answer["data"] == {"hold amount": "2 credit on hold for sample campaign name campaign."}
        assert latest_run(campaign).statuses == [DeliveryStatus.HUNGUP, DeliveryStatus.FAILED]

    @pytest.mark.parametrize(
        ("word", "status"),
        [
            ("hungup", DeliveryStatus.HUNGUP),
            ("unanswered", DeliveryStatus.UNANSWERED),
            ("failed", DeliveryStatus.FAILED),
            ("terminated", DeliveryStatus.TERMINATED),
            ("completed", DeliveryStatus.COMPLETED),
        ],
    )
    def test_a_rerun_accepts_each_status(
        self, caller: Caller, campaign: Campaign, word: str, status: DeliveryStatus
    ) -> None:
        end_with(campaign, it=status)
        caller.post(begin(campaign), {"message": "Hello", "status": [word]})
        assert latest_run(campaign).statuses == [status]
        assert latest_run(campaign).recipient_count == 1

    @pytest.mark.parametrize(
        "status", ["not started", "busy", ["failed", "asleep"], [1], [None], {"failed": 1}, []]
    )
    def test_a_rerun_with_an_unknown_status_is_refused(
        self, caller: Caller, campaign: Campaign, status: object
    ) -> None:
        answer = caller.fails("POST", begin(campaign), {"message": "Hello", "status": status}, status=400)
        if isinstance(status, str):
            assert "hungup, unanswered, failed, terminated, completed" in answer["message"]

    def test_a_rerun_without_matching_numbers_is_refused(self, caller: Caller, campaign: Campaign) -> None:
        caller.fails("POST", begin(campaign), {"message": "Hello", "status": "failed"}, status=400)
        caller.fails("POST", begin(campaign), {"message": "Hello", "individual": []}, status=400)
        assert campaign.runs.count() == 0

    def test_a_rerun_accepts_all_arguments_together(self, caller: Caller, account: Account) -> None:
        campaign = make_empty_campaign(owner=account, name="sample campaign name", service=Service.CALL)
        end_with(campaign, a=DeliveryStatus.FAILED, b=DeliveryStatus.COMPLETED, c=DeliveryStatus.HUNGUP)
        for first in ({"message": "नमस्कार"}, {"aud_file": a_recording()}):
            caller.post(begin(campaign), first, format="multipart")
            campaign.runs.update(status=RunStatus.COMPLETED)
        later = timezone.localtime(timezone.now() + timedelta(days=1), KATHMANDU)
        date = later.strftime("%Y-%m-%dT%H:%M")
        assert_answers_as_documented(
            caller.client, "campaign_begin_scheduled", campaign=campaign.pk, date=date
        )
        run = latest_run(campaign)
        assert (run.status, run.source, run.recipient_count) == (RunStatus.SCHEDULED, Source.AUDIO, 2)
