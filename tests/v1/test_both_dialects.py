"""Test campaigns that are made through one dialect and run through the other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from accounts.models import Account
from campaigns.models import Campaign, Service
from telephony.models import SandboxMessage
from tests import engine, v0
from tests.factories import make_account, make_campaign, make_phone_number
from tests.v1.caller import Caller
from tests.v1.campaigns import wav_of_a_tone
from tests.v1.test_runs import make, run, sent


@pytest.fixture
def account(db: None, settings: Any) -> Account:
    settings.IRIS_SANDBOX_SPEED = 1000
    return make_account(email="sita@example.com", credits=100)


def test_v0_runs_a_campaign_made_in_v1(caller: Caller, account: Account) -> None:
    campaign = make(caller, 9841000001, 9841000002, voice=4)
    v0_caller = v0.Caller(account)
    (shown,) = v0_caller.get("/api/system/campaigns/")["result"]["campaign-lists"]
    assert (shown["name"], shown["services"], shown["number_count"]) == ("Water", "PHONE", 2)
    v0_caller.post(f"/api/system/campaigns/{campaign}/begin/", {})
    engine.run_to_the_end()
    assert [it[2] for it in sent()] == ["Namaste A", "Namaste B"]
    assert caller.get("campaign/?status=Completed")["count"] == 1
    numbers = v0_caller.get(f"/api/system/campaigns/number/{campaign}")["data"]["number-lists"]
    assert [row["available_tags"] for row in numbers] == [{"tags_name": "B"}, {"tags_name": "A"}]


def test_v1_runs_a_campaign_made_in_v0(caller: Caller, account: Account) -> None:
    v0_caller = v0.Caller(account)
    new = {"name": "Old", "services": "SMS", "individual_number": [9841000001]}
    (made,) = v0_caller.post("/api/system/campaigns/", new, status=201)["data"]["details"]
    campaign = made["id"]
    assert caller.get(f"campaign/{campaign}/")["campaign_action_count"] == 1
    caller.patch(f"campaign/create/{campaign}/message/", {"sms_message": "From v1"})
    run(caller, campaign)
    assert sent() == [("sms", "9841000001", "From v1")]
    assert (
        v0_caller.get(f"/api/system/campaigns/{campaign}/details/")["data"]["details"][0]["status"]
        == "Completed"
    )


def test_v1_shows_the_time_of_a_run_scheduled_in_v0(caller: Caller, account: Account) -> None:
    campaign = make_campaign(owner=account)
    later = timezone.localtime(timezone.now() + timedelta(days=1)).replace(microsecond=0, second=0)
    begin = {"message": "Namaste", "schedule_date": f"{later:%Y-%m-%dT%H:%M}"}
    v0.Caller(account).post(f"/api/system/campaigns/{campaign.pk}/begin/", begin)
    shown = caller.get(f"campaign/{campaign.pk}/")
    assert (shown["status"], shown["schedule"]) == ("Scheduled", later.isoformat())


def test_campaign_made_in_v1_keeps_its_caller_id_when_v0_begins_it(caller: Caller, account: Account) -> None:
    _, chosen = (make_phone_number(number=f"980000010{last}", owner=account) for last in (1, 2))
    campaign = make(caller, user_phone=[chosen.pk])
    v0_caller = v0.Caller(account)
    (shown,) = v0_caller.get("/api/system/campaigns/")["result"]["campaign-lists"]
    assert shown["user_phone"] == []
    v0_caller.post(f"/api/system/campaigns/{campaign}/begin/", {})
    engine.run_to_the_end()
    assert SandboxMessage.objects.get().caller == chosen.number


@pytest.fixture
def with_both(account: Account) -> Campaign:
    """Create a campaign that v0 has begun twice: with a message, and with a recording."""
    campaign = make_campaign(owner=account, service=Service.CALL, numbers=[9841000001])
    recording = SimpleUploadedFile("meeting.wav", wav_of_a_tone())
    for say, format in (({"message": "Namaste"}, "json"), ({"aud_file": recording}, "multipart")):
        v0.Caller(account).post(f"/api/system/campaigns/{campaign.pk}/begin/", say, format=format)
        engine.run_to_the_end()
    SandboxMessage.objects.all().delete()
    return campaign


@pytest.mark.parametrize(("category", "said"), [("Text", "Namaste"), ("Audio", "")])
def test_v1_plays_the_source_that_category_shows(
    caller: Caller, with_both: Campaign, category: str, said: str
) -> None:
    assert caller.get(f"campaign/{with_both.pk}/")["category"] == "Text"
    if category == "Audio":
        caller.patch(f"campaign/{with_both.pk}/", {"category": category})
    run(caller, with_both.pk)
    caller.post(f"demo-call/{with_both.recipients.get().pk}/")
    engine.run_to_the_end()
    assert sent() == 2 * [("call", "9841000001", said)]
