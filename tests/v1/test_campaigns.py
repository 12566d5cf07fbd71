"""Test campaigns in v1: the forms in which clients send fields, and the responses."""

from __future__ import annotations

import io
import struct
import wave
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils import timezone

from accounts.models import Account
from campaigns.models import Campaign, RunStatus, Service, Source
from telephony.models import DeliveryStatus
from telephony.speech import audio
from tests.factories import make_account, make_campaign, make_empty_campaign, make_phone_number, make_run
from tests.v1.caller import Caller


def wav_of_a_tone() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(b"".join(struct.pack("<h", 9000 * (-1) ** (n // 9)) for n in range(8000)))
    return file.getvalue()


KATHMANDU = ZoneInfo("Asia/Kathmandu")


@pytest.fixture
def account(db: None) -> Account:
    return make_account(email="sita@example.com", credits=100)


@pytest.fixture
def caller(account: Account) -> Caller:
    return Caller(account)


def create(caller: Caller, **fields: Any) -> dict[str, Any]:
    body = {"name": "Water", "services": "PHONE", **fields}
    answer: dict[str, Any] = caller.post("campaign/create/", body, status=201)
    return answer


class TestCreate:
    def test_campaign_needs_only_a_name_and_services(self, caller: Caller) -> None:
        made = create(caller)
        assert (made["user_phone"], made["voice"], made["message"], made["category"]) == (
            [],
            None,
            "",
            "Text",
        )

    def test_read_only_fields_are_ignored(self, caller: Caller) -> None:
        made = create(
            caller,
            id=None,
            status="Completed",
            audio_file=None,
            bulk_file=None,
            campaign_action_count=7,
            progress_percent=50,
            updated_at=None,
            steps=[],
            main_audit="4770",
        )
        assert (made["status"], made["campaign_action_count"], made["progress_percent"]) == (
            "Not Started",
            0,
            0,
        )

    @pytest.mark.parametrize("sent", ["SMS & PHONE", "PHONE & SMS", "sms & phone"])
    def test_sms_and_phone_together_are_accepted_in_any_spelling(self, caller: Caller, sent: str) -> None:
        assert create(caller, services=sent)["services"] == "SMS & PHONE"
        assert Campaign.objects.get().service == Service.BOTH

    @pytest.mark.parametrize(
        ("sent", "shown"),
        [
            (4, 4),
            ("4", 4),
            ({"id": 4}, 4),
            ({"id": "4", "voice_display_name": "Binod", "voice_internal_name": "np_binod"}, 4),
            ({"voice_internal_name": "np_binod"}, 4),
            ({"id": None, "voice_internal_name": "np_rija", "is_premium": True}, 2),
            ({"voice_internal_name": "np_rija"}, 1),
            ("np_prashanna", 3),
            ("np_prasanna", 3),
            (None, None),
            ("", None),
        ],
    )
    def test_voice_is_accepted_as_id_name_or_object(
        self, caller: Caller, sent: Any, shown: int | None
    ) -> None:
        assert create(caller, voice=sent)["voice"] == shown

    @pytest.mark.parametrize("sent", [99, "nobody", {}, {"id": 99}, [4], True, 1.5])
    def test_unknown_voice_is_refused(self, caller: Caller, sent: Any) -> None:
        answer = caller.fails(
            "POST", "campaign/create/", {"name": "Water", "services": "SMS", "voice": sent}, status=400
        )
        assert len(answer["voice"]) == 1

    @pytest.mark.parametrize(
        ("sent", "kept"), [(0, None), ("0", None), (None, None), ("", None), (100, 100), ("12.50", 12.5)]
    )
    def test_credit_limit_of_zero_means_no_limit(self, caller: Caller, sent: Any, kept: Any) -> None:
        assert create(caller, credit_limit=sent)["credit_limit"] == kept

    @pytest.mark.parametrize("sent", [-1, "much", 10**12, True, [5], "NaN"])
    def test_invalid_credit_limit_is_refused(self, caller: Caller, sent: Any) -> None:
        new = {"name": "Water", "services": "SMS", "credit_limit": sent}
        assert "credit_limit" in caller.fails("POST", "campaign/create/", new, status=400)

    @pytest.mark.parametrize("hundredths", range(50, 201, 7))
    def test_length_factor_is_returned_as_sent(self, caller: Caller, hundredths: int) -> None:
        factor = f"{hundredths / 100:.2f}"
        assert create(caller, length_factor=factor)["length_factor"] == factor

    def test_length_factor_sets_the_speed_within_its_range(self, caller: Caller) -> None:
        assert create(caller, length_factor=None)["length_factor"] == "1.00"
        longer = create(caller, length_factor=1.25)
        assert Campaign.objects.get(pk=longer["id"]).speed == Decimal("0.8")
        for sent in (0, 0.4, 2.1, "slow", "NaN", True):
            new = {"name": "Water", "services": "PHONE", "length_factor": sent}
            caller.fails("POST", "campaign/create/", new, status=400)

    def test_failover_targets_are_stored_and_validated(self, caller: Caller) -> None:
        targets = ["not started", "hungup", "unanswered", "failed", "completed"]
        assert create(caller, failover_target=targets)["failover_target"] == targets
        assert create(caller, failover_target=[])["failover_target"] == []
        assert create(caller, failover_target=["Failed", None, "failed"])["failover_target"] == ["failed"]
        new = {"name": "Water", "services": "PHONE", "failover_target": ["busy"]}
        assert "failover_target" in caller.fails("POST", "campaign/create/", new, status=400)

    def test_unknown_category_is_ignored(self, caller: Caller) -> None:
        for sent in ("", "example category", None, 7):
            assert create(caller, category=sent)["category"] == "Text"
        assert create(caller, category="Audio")["category"] == "Audio"

    def test_user_phone_must_belong_to_the_account(self, caller: Caller, account: Account) -> None:
        mine = make_phone_number(owner=account)
        others = make_phone_number(number="9800000102", owner=make_account())
        assert create(caller, user_phone=[mine.pk])["user_phone"] == [mine.pk]
        assert create(caller, user_phone=mine.pk)["user_phone"] == [mine.pk]
        new = {"name": "Water", "services": "PHONE", "user_phone": [others.pk]}
        caller.fails("POST", "campaign/create/", new, status=400)
        assert caller.code == "unknown_caller"

    def test_user_phone_is_ignored_for_an_account_without_numbers(self, caller: Caller) -> None:
        """A real client has a number id in its code and sends it for accounts without numbers, too."""
        assert create(caller, user_phone=[3])["id"]

    def test_message_may_use_tags_that_do_not_exist_yet(self, caller: Caller) -> None:
        assert create(caller, message="नमस्कार {name}")["message"] == "नमस्कार {name}"

    @pytest.mark.parametrize("missing", ["name", "services"])
    def test_missing_required_field_is_named(self, caller: Caller, missing: str) -> None:
        new = {"name": "Water", "services": "SMS"}
        del new[missing]
        assert list(caller.fails("POST", "campaign/create/", new, status=400))[-1] == missing

    def test_campaign_is_created_from_a_form(self, caller: Caller, account: Account) -> None:
        numbers = [make_phone_number(number=f"980000010{last}", owner=account).pk for last in (1, 2)]
        form = {"name": "Water", "services": "PHONE", "user_phone": numbers, "draft": "True", "voice": "5"}
        made = caller.post("campaign/create/", form, format="multipart", status=201)
        assert (made["user_phone"], made["draft"], made["voice"]) == (numbers, True, 5)


class TestSchedule:
    def read(self, caller: Caller, sent: str) -> datetime:
        return datetime.fromisoformat(create(caller, schedule=sent)["schedule"])

    def test_schedule_is_read_in_all_documented_formats(self, caller: Caller) -> None:
        day = (timezone.now() + timedelta(days=3)).astimezone(KATHMANDU).date()
        noon = datetime(day.year, day.month, day.day, 12, 0, tzinfo=KATHMANDU)
        assert self.read(caller, f"{day}") == noon - timedelta(hours=12)
        assert self.read(caller, f"{day}T12:00:00") == noon
        assert self.read(caller, f"{day} 12:00") == noon
        assert self.read(caller, f"{day}T12:00:00+05:45") == noon
        assert self.read(caller, f"{day}T06:15:00.000Z") == noon
        made = create(caller, schedule=f"{day}T06:15:00Z")
        assert made["schedule"] == f"{day}T12:00:00+05:45"

    def test_null_or_empty_schedule_means_no_schedule(self, caller: Caller) -> None:
        assert create(caller, schedule=None)["schedule"] is None
        assert create(caller, schedule="")["schedule"] is None

    @pytest.mark.parametrize("sent", ["2020-01-01", "2025-07-07T13:13:16.286224+05:45"])
    def test_schedule_in_the_past_is_refused(self, caller: Caller, sent: str) -> None:
        new = {"name": "Water", "services": "SMS", "schedule": sent}
        answer = caller.fails("POST", "campaign/create/", new, status=400)
        assert answer["schedule"] == ["Cannot schedule past dates."]

    @pytest.mark.parametrize("sent", ["soon", 7, "2082-03-25", "99999-01-01", [], {}])
    def test_malformed_schedule_is_refused(self, caller: Caller, sent: Any) -> None:
        new = {"name": "Water", "services": "SMS", "schedule": sent}
        assert "schedule" in caller.fails("POST", "campaign/create/", new, status=400)


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


class TestList:
    def names(self, caller: Caller, query: str) -> list[str]:
        return [shown["name"] for shown in caller.get(f"campaign/?{query}")["results"]]

    def test_campaigns_are_filtered_by_status(self, caller: Caller, account: Account) -> None:
        for status in (None, *RunStatus):
            campaign = make_campaign(owner=account, name=str(status))
            if status is not None:
                make_run(campaign=campaign, status=status)
        assert self.names(caller, "status=Not Started") == ["withdrawn", "None"]
        assert self.names(caller, "status=CampaignStatus.NOT_STARTED") == ["withdrawn", "None"]
        assert self.names(caller, "status=Running") == ["paused", "running"]
        assert self.names(caller, "status=Terminated") == ["terminated", "stopping"]
        assert self.names(caller, "status=") == self.names(caller, "")
        assert "Scheduled" in caller.fails("GET", "campaign/?status=Done", status=400)["status"][0]

    def test_drafts_are_listed_separately(self, caller: Caller, account: Account) -> None:
        make_empty_campaign(owner=account, name="Draft", draft=True)
        make_empty_campaign(owner=account, name="Ready")
        assert self.names(caller, "draft=true") == self.names(caller, "draft=True") == ["Draft"]
        assert self.names(caller, "") == self.names(caller, "draft=False") == ["Ready"]

    def test_campaign_list_has_pages_of_at_most_ten(self, caller: Caller, account: Account) -> None:
        for number in range(12):
            make_empty_campaign(owner=account, name=str(number))
        first = caller.get("campaign/?limit=100&search=")
        assert (first["count"], first["total_pages"], len(first["results"])) == (12, 2, 10)
        assert first["next"] == "http://testserver/api/v1/campaign/?limit=10&search=&offset=10"
        second = caller.get(first["next"])
        assert ([row["name"] for row in second["results"]], second["next"]) == (["1", "0"], None)
        assert second["previous"] == "http://testserver/api/v1/campaign/?limit=10&search=&offset=0"
        assert caller.get("campaign/?page=2")["results"] == second["results"]
        assert caller.get("campaign/?page=2&page_size=5")["previous"].endswith("?page=1&page_size=5")
        assert caller.get("campaign/?offset=50")["results"] == []
        for query in ("page=3", "page=99"):
            caller.fails("GET", f"campaign/?{query}", status=404)
        for query in ("page=0", "page=x", "limit=0", "limit=-1", "offset=x", "page_size=1.5"):
            caller.fails("GET", f"campaign/?{query}", status=400)

    def test_page_links_keep_the_host_when_the_path_begins_with_two_slashes(
        self, caller: Caller, account: Account
    ) -> None:
        for number in range(11):
            make_empty_campaign(owner=account, name=str(number))
        answer = caller.get("http://testserver//api/v1/campaign/")
        assert answer["next"] == "http://testserver/api/v1/campaign/?limit=10&offset=10"

    def test_deleted_campaigns_and_those_of_other_accounts_are_not_listed(
        self, caller: Caller, account: Account
    ) -> None:
        make_campaign(owner=make_account())
        gone = make_campaign(owner=account)
        caller.delete(f"campaign/{gone.pk}/")
        assert caller.get("campaign/")["count"] == 0
