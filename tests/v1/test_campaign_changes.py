"""Test changes of campaigns in v1, and their recordings."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from accounts.models import Account
from campaigns.models import Service, Source
from telephony.models import DeliveryStatus
from telephony.speech import audio
from tests.factories import make_campaign, make_empty_campaign, make_run
from tests.v1.caller import Caller
from tests.v1.campaigns import wav_of_a_tone


class TestUpdate:
    @pytest.mark.parametrize("method", ["PATCH", "PUT", "POST"])
    def test_update_changes_only_the_fields_that_are_sent(
        self, caller: Caller, account: Account, method: str
    ) -> None:
        campaign = make_empty_campaign(owner=account, message="Old", sms_message="Old", description="Old")
        answer = caller.call(method, f"campaign/{campaign.pk}/", {"message": ""}, status=200)
        assert (answer["message"], answer["sms_message"], answer["description"]) == ("", "Old", "Old")

    def test_post_without_a_body_changes_nothing(self, caller: Caller, account: Account) -> None:
        campaign = make_empty_campaign(owner=account)
        assert caller.post(f"campaign/{campaign.pk}/")["name"] == "Sample"

    def test_null_clears_optional_fields(self, caller: Caller, account: Account) -> None:
        later = timezone.now() + timedelta(days=1)
        campaign = make_empty_campaign(
            owner=account,
            schedule_at=later,
            spending_limit=5,
            failover_statuses=[DeliveryStatus.FAILED],
            caller_ids=[1],
            voice="np_binod",
        )
        nulls = {"schedule": None, "credit_limit": None, "voice": None, "name": None, "message": None}
        answer = caller.patch(f"campaign/{campaign.pk}/", {**nulls, "failover_target": [], "user_phone": []})
        assert (answer["schedule"], answer["credit_limit"], answer["voice"], answer["name"]) == (
            None,
            None,
            4,
            "Sample",
        )
        assert (answer["failover_target"], answer["user_phone"]) == ([], [])

    def test_past_schedule_can_be_sent_back_unchanged(self, caller: Caller, account: Account) -> None:
        past = timezone.now() - timedelta(days=1)
        campaign = make_empty_campaign(owner=account, schedule_at=past)
        shown = caller.get(f"campaign/{campaign.pk}/")
        assert (
            caller.put(f"campaign/{campaign.pk}/", {**shown, "name": "Again"})["schedule"]
            == shown["schedule"]
        )

    def test_whole_campaign_can_be_sent_back_unchanged(self, caller: Caller, account: Account) -> None:
        campaign = make_empty_campaign(
            owner=account, service=Service.BOTH, voice="np_rija_premium", spending_limit=7
        )
        for shown in (caller.get(f"campaign/{campaign.pk}/"), caller.get("campaign/")["results"][0]):
            again = caller.put(f"campaign/{campaign.pk}/", shown)
            assert {**again, "updated_at": "", "voice": ""} == {**shown, "updated_at": "", "voice": ""}

    def test_services_cannot_change_during_a_run(self, caller: Caller, account: Account) -> None:
        campaign = make_campaign(owner=account)
        make_run(campaign=campaign)
        caller.fails("PATCH", f"campaign/{campaign.pk}/", {"services": "PHONE"}, status=409)
        assert caller.code == "campaign_live"


class TestRecording:
    def test_recording_is_uploaded_and_kept_when_the_category_changes(
        self, caller: Caller, account: Account
    ) -> None:
        campaign = make_empty_campaign(owner=account, service=Service.CALL, message="Not this")
        upload = SimpleUploadedFile("meeting.wav", wav_of_a_tone(), "audio/wav")
        answer = caller.patch(
            f"campaign/create/{campaign.pk}/message/", {"audio_file": upload}, format="multipart"
        )
        assert answer["category"] == "Audio"
        shown = caller.get(f"campaign/{campaign.pk}/")
        assert shown["audio_file"].startswith("http://")
        # An address that is sent back is not an upload. The campaign keeps both sources, so `category` can change back.
        again = caller.patch(f"campaign/{campaign.pk}/", {**shown, "category": "Text"})
        assert (again["category"], again["audio_file"]) == ("Text", shown["audio_file"])
        campaign.refresh_from_db()
        assert campaign.source == Source.MESSAGE

    def test_upload_that_is_not_audio_is_refused(self, caller: Caller, account: Account) -> None:
        campaign = make_empty_campaign(owner=account, service=Service.CALL)
        upload = SimpleUploadedFile("meeting.mp3", b"not a sound")
        caller.fails(
            "PATCH",
            f"campaign/create/{campaign.pk}/message/",
            {"audio_file": upload},
            format="multipart",
            status=400,
        )

    def test_recording_of_a_campaign_made_in_v0_is_shown_as_audio(
        self, caller: Caller, account: Account
    ) -> None:
        sound = audio.store_upload(SimpleUploadedFile("meeting.wav", wav_of_a_tone()))
        campaign = make_empty_campaign(owner=account, service=Service.CALL, audio=sound)
        assert caller.get(f"campaign/{campaign.pk}/")["category"] == "Audio"
