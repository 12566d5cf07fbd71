"""Test that each documented call of v1 has the response in tests/golden/v1."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from accounts import apikeys, credits
from accounts.models import ApiKey
from campaigns.models import Campaign, Recipient, RunStatus, Service
from otp.models import Otp
from telephony.models import Channel, Delivery, DeliveryStatus
from tests.factories import (
    make_account,
    make_campaign,
    make_delivery_of,
    make_empty_campaign,
    make_phone_number,
    make_recipient,
    make_run,
)
from tests.golden import assert_answers_as_documented, assert_matches_golden, golden
from tests.v1.caller import Caller

NAMESTE = "Namaste {name}, the ward meets on Friday"


class World:
    """Create the account that the documents use."""

    def __init__(self) -> None:
        self.account = make_account(
            email="sita@example.com",
            password="secret-password",
            username="sita",
            first_name="Sita",
            last_name="Rai",
            contact_number="9841000009",
            address="Kathmandu",
            is_verified_phone=True,
            credits=1000,
        )
        self.dialer = make_phone_number(number="9800000101", owner=self.account)
        self.caller = Caller(self.account)

    def campaign(self, **fields: Any) -> Campaign:
        defaults = {
            "name": "Ward meeting",
            "service": Service.CALL,
            "message": NAMESTE,
            "caller_ids": [self.dialer.pk],
            "voice": "np_rija",
            "tags": ["tags_name", "tags_age"],
        }
        return make_empty_campaign(owner=self.account, **{**defaults, **fields})

    def assert_documented(self, name: str, **placeholders: Any) -> None:
        assert_answers_as_documented(self.caller.client, f"v1/{name}", **placeholders)


@pytest.fixture
def world(db: None) -> World:
    return World()


def ram(campaign: Campaign, **fields: Any) -> Recipient:
    return make_recipient(
        campaign=campaign, number=9841000001, tags={"tags_name": "Ram", "tags_age": 22}, **fields
    )


class TestAccount:
    def test_login_answers_as_documented(self, world: World) -> None:
        world.assert_documented("login")

    def test_token_refresh_answers_as_documented(self, world: World) -> None:
        world.assert_documented("login")  # the login leaves cookies, which the refresh reads
        world.assert_documented("refresh")

    def test_logout_answers_as_documented(self, world: World) -> None:
        world.assert_documented("login")
        world.caller.client.credentials()
        world.assert_documented("logout")

    def test_api_key_requests_answer_as_documented(self, world: World) -> None:
        world.assert_documented("generate_key")
        world.caller.client.credentials(
            HTTP_AUTHORIZATION=f"Bearer {apikeys.generate(account=world.account)}"
        )
        (key,) = ApiKey.objects.filter(revoked_at=None)
        world.assert_documented("get_key", shown=key.beginning + 56 * "*")

    def test_account_without_an_api_key_answers_as_documented(self, world: World) -> None:
        world.assert_documented("login")
        world.caller.client.credentials()
        ApiKey.objects.all().delete()
        world.assert_documented("get_key_none")

    def test_profile_answers_as_documented(self, world: World) -> None:
        world.assert_documented("profile")

    def test_phone_number_requests_answer_as_documented(self, world: World) -> None:
        world.assert_documented("dialers")
        world.assert_documented("active_numbers")
        world.assert_documented("release", dialer=world.dialer.pk)
        assert world.caller.get("active-broker-phone/") == []

    def test_voice_list_answers_as_documented(self, world: World) -> None:
        world.assert_documented("voices")


class TestCampaigns:
    def test_campaign_list_answers_as_documented(self, world: World) -> None:
        world.campaign(name="Oldest")
        world.campaign(name="Draft", draft=True)
        world.campaign(
            name="Water",
            service=Service.SMS,
            message="",
            sms_message="No water on Sunday",
            caller_ids=[],
            voice="",
        )
        finished = world.campaign(
            service=Service.BOTH,
            description="Ward 4",
            sms_message="{name}, come on Friday",
            spending_limit=Decimal(100),
            failover_statuses=[DeliveryStatus.UNANSWERED, DeliveryStatus.FAILED],
        )
        for number in (9841000001, 9841000002, 9841000003):
            make_recipient(campaign=finished, number=number)
        make_run(campaign=finished, status=RunStatus.COMPLETED)
        finished.refresh_from_db()
        finished.save()  # so this campaign was updated last
        world.assert_documented("campaign_list", dialer=world.dialer.pk)

    def test_campaign_create_answers_as_documented(self, world: World) -> None:
        world.assert_documented("campaign_create", dialer=world.dialer.pk)
        assert Campaign.objects.get().owner == world.account

    def test_campaign_read_answers_as_documented(self, world: World) -> None:
        world.assert_documented("campaign", campaign=world.campaign().pk, dialer=world.dialer.pk)

    def test_campaign_update_answers_as_documented(self, world: World) -> None:
        later = timezone.localtime(timezone.now() + timedelta(days=2)).isoformat()
        world.assert_documented(
            "campaign_update", campaign=world.campaign().pk, dialer=world.dialer.pk, later=later
        )

    def test_campaign_message_answers_as_documented(self, world: World) -> None:
        world.assert_documented("campaign_message", campaign=world.campaign().pk)

    def test_campaign_delete_answers_as_documented(self, world: World) -> None:
        campaign = world.campaign()
        world.assert_documented("campaign_delete", campaign=campaign.pk)
        world.assert_documented("error_not_found", campaign=campaign.pk)

    def test_invalid_campaign_answers_as_documented(self, world: World) -> None:
        world.assert_documented("error_invalid")


class TestContacts:
    def test_contact_sheet_answers_as_documented(self, world: World) -> None:
        campaign = world.campaign(tags=[])
        rows = b"numbers,name,age\n9841000001,Ram,22\n9801000002,Sita,31\n9841000003,Hari,45\nnone,Gita,50\n"
        answer = world.caller.client.patch(
            f"/api/v1/campaign/create/{campaign.pk}/detail/",
            {"bulk_file": SimpleUploadedFile("contacts.csv", rows, "text/csv")},
            format="multipart",
        )
        assert_matches_golden("v1/campaign_sheet", answer)

    def test_contact_add_answers_as_documented(self, world: World) -> None:
        world.assert_documented("contact_add", campaign=world.campaign(tags=[]).pk)

    def test_adding_many_contacts_answers_as_documented(self, world: World) -> None:
        world.assert_documented("contact_add_many", campaign=world.campaign(tags=[]).pk)

    def test_contact_list_answers_as_documented(self, world: World) -> None:
        campaign = world.campaign(service=Service.BOTH)
        heard: dict[str, Any] = {
            "status": DeliveryStatus.HUNGUP,
            "seconds": 12.3,
            "playback": 91,
            "credits": Decimal(2),
        }
        ram(campaign, **heard)
        one = Decimal(1)
        missed: dict[str, Any] = {"status": DeliveryStatus.UNANSWERED, "credits": one, "sms_credits": one}
        make_recipient(campaign=campaign, number=9801000002, **missed)
        make_recipient(campaign=campaign, number=9841000003)
        run = make_run(campaign=campaign, status=RunStatus.COMPLETED, held=3)
        credits.capture_many(
            captures=[credits.Capture(hold_id=run.hold_id, amount=Decimal(3), cause="delivery:1")]
        )
        world.assert_documented("contact_list", campaign=campaign.pk)

    def test_contact_attributes_answer_as_documented(self, world: World) -> None:
        contact = ram(world.campaign())
        world.assert_documented("attributes", contact=contact.pk)
        world.assert_documented("contact_delete_get", contact=contact.pk)
        world.assert_documented("attributes_update", contact=contact.pk)

    def test_contact_update_answers_as_documented(self, world: World) -> None:
        world.assert_documented("contact_update", contact=ram(world.campaign()).pk)

    def test_contact_delete_answers_as_documented(self, world: World) -> None:
        world.assert_documented("contact_delete", contact=ram(world.campaign()).pk)


class TestRuns:
    def test_run_and_stop_answer_as_documented(self, world: World) -> None:
        campaign = world.campaign()
        ram(campaign)
        world.assert_documented("run", campaign=campaign.pk)
        world.assert_documented("error_live", campaign=campaign.pk)
        world.assert_documented("stop", campaign=campaign.pk)

    def test_scheduled_run_answers_as_documented(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        now = timezone.make_aware(timezone.datetime(2025, 7, 9, 14, 0))  # type: ignore[attr-defined]
        monkeypatch.setattr(timezone, "now", lambda: now)
        campaign = world.campaign(schedule_at=now + timedelta(minutes=46))
        ram(campaign)
        world.assert_documented("run_scheduled", campaign=campaign.pk)

    def test_demo_call_answers_as_documented(self, world: World) -> None:
        world.assert_documented("demo_call", contact=ram(world.campaign()).pk)

    def test_voice_trial_answers_as_documented(self, world: World) -> None:
        world.assert_documented("test_speak", campaign=world.campaign().pk)

    def test_too_few_credits_answer_as_documented(self, db: None) -> None:
        poor = make_account(credits=5)
        campaign = make_campaign(owner=poor, service=Service.CALL, message="Namaste")
        assert_answers_as_documented(Caller(poor).client, "v1/error_credits", campaign=campaign.pk)


class TestOtps:
    def test_otp_send_and_list_answer_as_documented(self, world: World) -> None:
        world.assert_documented("otp_send")
        Otp.objects.update(message="Hi your OTP is 564546")
        world.assert_documented("otp_list")

    def test_otp_by_call_answers_as_documented(self, world: World) -> None:
        world.assert_documented("otp_call")


def test_dashboard_answers_as_documented(world: World) -> None:
    campaign = world.campaign(service=Service.BOTH)
    world.campaign(service=Service.SMS)
    world.campaign(draft=True)
    run = make_run(campaign=campaign, status=RunStatus.COMPLETED, held=10)
    credits.charge(account=world.account, amount=Decimal(40), cause="number:1")
    credits.capture_many(
        captures=[credits.Capture(hold_id=run.hold_id, amount=Decimal(3), cause="delivery:1")]
    )
    credits.release(hold_id=run.hold_id, cause="run:1")
    now = timezone.now()
    for status, heard, seconds, spent in (
        (DeliveryStatus.COMPLETED, 100, 30.0, 2),
        (DeliveryStatus.HUNGUP, 50, 12.0, 0),
        (DeliveryStatus.UNANSWERED, None, None, 0),
    ):
        contact = make_recipient(campaign=campaign)
        call = make_delivery_of(
            run=run, recipient=contact, status=status, playback=heard, seconds=seconds, submitted_at=now
        )
        Delivery.objects.filter(pk=call.pk).update(credit_limit=2, credits=spent)
    text = make_delivery_of(
        run=run,
        recipient=make_recipient(campaign=campaign),
        status=DeliveryStatus.COMPLETED,
        submitted_at=now,
    )
    Delivery.objects.filter(pk=text.pk).update(channel=Channel.SMS, credits=1)
    today = timezone.localdate()
    world.assert_documented(
        "dashboard", campaign=campaign.pk, today=f"{today}", yesterday=f"{today - timedelta(days=1)}"
    )


def test_dashboard_of_a_new_account_answers_as_documented(world: World) -> None:
    answer = world.caller.get("dashboard/")
    assert answer.keys() == golden("v1/dashboard").keys()
    assert len(answer["credit_usage_overtime"]) == 30
    assert answer["top_performing_campaign"] == {
        "id": None,
        "name": "",
        "completed": 0,
        "total": 0,
        "completion_percent": 0.0,
    }
    assert answer["credit_spent"] == answer["total_playback"]["average_percent"] == 0.0
