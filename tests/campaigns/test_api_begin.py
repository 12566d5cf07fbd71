"""v0: begin, rerun, schedule, stop, pause and resume campaigns."""

from __future__ import annotations

import io
import math
import struct
import wave
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import override_settings
from django.utils import timezone

from accounts.models import Account
from campaigns.models import Campaign, Run, RunStatus, Service, Source
from telephony.models import DeliveryStatus
from tests import engine
from tests.factories import (
    make_account,
    make_campaign,
    make_delivery_of,
    make_empty_campaign,
    make_recipient,
    make_run,
)
from tests.golden import assert_answers_as_documented, golden
from tests.v0 import Caller

KATHMANDU = ZoneInfo("Asia/Kathmandu")


@pytest.fixture
def account(db: None) -> Account:
    return make_account(email="sita@example.com", credits=100)


@pytest.fixture
def caller(account: Account) -> Caller:
    return Caller(account)


@pytest.fixture
def campaign(account: Account) -> Campaign:
    campaign = make_empty_campaign(owner=account, name="sample campaign name")
    for number in (9800000001, 9800000002, 9800000003):
        make_recipient(campaign=campaign, number=number)
    return campaign


def begin(campaign: Campaign) -> str:
    return f"/api/system/campaigns/{campaign.pk}/begin/"


def latest_run(campaign: Campaign) -> Run:
    return campaign.runs.latest("pk")


def balance(account: Account) -> int:
    account.refresh_from_db()
    return int(account.balance)


def a_recording(seconds: float = 1.0) -> SimpleUploadedFile:
    """Return a tone as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        samples = (int(9000 * math.sin(index / 3)) for index in range(int(8000 * seconds)))
        sound.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return SimpleUploadedFile("notice.wav", file.getvalue(), content_type="audio/wav")


def end_with(campaign: Campaign, **statuses: DeliveryStatus) -> dict[str, int]:
    """Add numbers whose latest delivery ended with these statuses. Return their ids by name."""
    return {
        name: make_recipient(campaign=campaign, number=9800000010 + index, status=status).pk
        for index, (name, status) in enumerate(statuses.items())
    }


class TestBegin:
    def test_a_run_is_for_all_numbers(self, caller: Caller, campaign: Campaign, account: Account) -> None:
        assert_answers_as_documented(caller.client, "campaign_begin", campaign=campaign.pk)
        run = latest_run(campaign)
        assert (run.status, run.source, run.recipient_count) == (RunStatus.RUNNING, Source.MESSAGE, 3)
        assert run.sms_message == "Namaste, this is a message from your ward"
        assert balance(account) == 97

    def test_a_form_can_begin_a_campaign(self, caller: Caller, campaign: Campaign) -> None:
        answer = caller.post(begin(campaign), {"message": "Namaste"}, format="multipart")
        assert answer == golden("campaign_begin")

    def test_a_run_is_only_for_individual_ids(
        self, caller: Caller, campaign: Campaign, account: Account
    ) -> None:
        first, second, _ = campaign.recipients.order_by("pk").values_list("pk", flat=True)
        assert_answers_as_documented(
            caller.client, "campaign_begin_individual", campaign=campaign.pk, first=first, second=second
        )
        assert latest_run(campaign).individual == [first, second]
        assert balance(account) == 98

    @pytest.mark.parametrize("form", ["strings", "joined", "json", "repeated", "one"])
    def test_individual_ids_are_read_in_any_form(self, caller: Caller, campaign: Campaign, form: str) -> None:
        chosen = list(campaign.recipients.order_by("pk").values_list("pk", flat=True)[:2])
        texts = [str(pk) for pk in chosen]
        if form == "repeated":
            body = urlencode([("message", "Hello"), *[("individual", text) for text in texts]])
            caller.post(begin(campaign), body, content_type="application/x-www-form-urlencoded")
        else:
            sent: dict[str, Any] = {
                "strings": texts,
                "joined": ", ".join(texts),
                "json": str(chosen),
                "one": chosen[0],
            }
            caller.post(begin(campaign), {"message": "Hello", "individual": sent[form]})
        assert latest_run(campaign).individual == (chosen[:1] if form == "one" else chosen)

    def test_individual_ids_of_another_campaign_are_refused_by_name(
        self, caller: Caller, campaign: Campaign, account: Account
    ) -> None:
        others = make_recipient(campaign=make_empty_campaign(owner=account, name="other"))
        mine = campaign.recipients.first()
        assert mine is not None
        answer = caller.fails(
            "POST",
            begin(campaign),
            {"message": "Hello", "individual": [mine.pk, others.pk, 2**62]},
            status=400,
        )
        assert str(others.pk) in answer["message"]
        assert str(2**62) in answer["message"]
        assert balance(account) == 100

    def test_the_message_about_the_hold_names_the_campaign(self, caller: Caller, account: Account) -> None:
        campaign = make_campaign(owner=account, name="Ward 7", numbers=[9800000001])
        answer = caller.post(begin(campaign), {"message": "Hello"})
        assert answer["data"] == {"hold amount": "1 credit on hold for Ward 7 campaign."}

    def test_a_fractional_hold_is_shown_with_decimals(
        self, caller: Caller, account: Account, settings: Any
    ) -> None:
        from decimal import Decimal

        settings.IRIS_SMS_CREDITS = Decimal("0.25")
        campaign = make_campaign(owner=account, name="Ward 7", numbers=[9800000001])
        answer = caller.post(begin(campaign), {"message": "Hello"})
        assert answer["data"] == {"hold amount": "0.25 credit on hold for Ward 7 campaign."}

    def test_a_running_campaign_is_not_begun_again(
        self, caller: Caller, campaign: Campaign, account: Account
    ) -> None:
        caller.post(begin(campaign), {"message": "Hello"})
        caller.fails("POST", begin(campaign), {"message": "Hello"}, status=409)
        assert balance(account) == 97

    def test_too_few_credits_are_refused(self, caller: Caller, campaign: Campaign, account: Account) -> None:
        Account.objects.filter(pk=account.pk).update(balance=2)
        assert_answers_as_documented(caller.client, "error_credits", campaign=campaign.pk)
        assert campaign.runs.count() == 0
        assert balance(account) == 2

    def test_beginning_without_a_message_is_refused(self, caller: Caller, campaign: Campaign) -> None:
        for nothing in ({}, {"message": ""}, {"message": "   "}, {"message": None, "aud_file": ""}):
            caller.fails("POST", begin(campaign), nothing, status=400)

    def test_an_unknown_tag_is_refused(self, caller: Caller, campaign: Campaign) -> None:
        answer = caller.fails("POST", begin(campaign), {"message": "Hello {tags_salary}"}, status=400)
        assert "tags_salary" in answer["message"]

    def test_a_message_can_use_tags(self, caller: Caller, account: Account) -> None:
        campaign = make_empty_campaign(owner=account, tags=["tags_name", "tags_age"])
        make_recipient(campaign=campaign, tags={"tags_name": "सीता", "tags_age": 25})
        caller.post(begin(campaign), {"message": "नमस्कार, {tags_name}, हजुर {tags_age} वर्षको हुनुहुन्छ |"})
        assert latest_run(campaign).hold.amount == 1


class TestCalls:
    @pytest.fixture
    def campaign(self, account: Account) -> Campaign:
        return make_campaign(owner=account, service=Service.CALL, numbers=[9800000001, 9800000002])

    @pytest.mark.parametrize(
        "voice", [None, "np_rija", "np_prasanna", "np_prashanna", "np_binod", "NP_BINOD"]
    )
    def test_a_voice_can_be_chosen(self, caller: Caller, campaign: Campaign, voice: str | None) -> None:
        caller.post(begin(campaign), {"message": "नमस्कार", "voice_input": voice})
        expected = {None: "np_rija", "np_prashanna": "np_prasanna", "NP_BINOD": "np_binod"}.get(voice, voice)
        assert latest_run(campaign).voice == expected

    def test_an_unknown_voice_is_refused(self, caller: Caller, campaign: Campaign) -> None:
        answer = caller.fails(
            "POST", begin(campaign), {"message": "नमस्कार", "voice_input": "robot"}, status=400
        )
        assert "np_rija" in answer["message"]

    @pytest.mark.parametrize("field", ["aud_file", "audio"])
    def test_a_recording_can_be_uploaded(
        self, caller: Caller, campaign: Campaign, account: Account, field: str
    ) -> None:
        caller.post(begin(campaign), {field: a_recording()}, format="multipart")
        run = latest_run(campaign)
        assert run.source == Source.AUDIO
        assert run.audio is not None
        assert round(run.audio.seconds) == 1
        assert balance(account) == 96

    def test_a_recording_under_both_field_names_is_refused(self, caller: Caller, campaign: Campaign) -> None:
        both = {"aud_file": a_recording(), "audio": a_recording()}
        caller.fails("POST", begin(campaign), both, format="multipart", status=400)

    def test_a_recording_sent_as_text_is_refused(self, caller: Caller, campaign: Campaign) -> None:
        answer = caller.fails("POST", begin(campaign), {"aud_file": "path/containing/audio.mp3"}, status=400)
        assert "multipart/form-data" in answer["message"]

    def test_a_file_that_is_no_recording_is_refused(self, caller: Caller, campaign: Campaign) -> None:
        for content in (b"", b"not audio at all" * 100):
            file = SimpleUploadedFile("audio.mp3", content)
            caller.fails("POST", begin(campaign), {"aud_file": file}, format="multipart", status=400)

    def test_a_recording_for_an_sms_campaign_is_refused(self, caller: Caller, account: Account) -> None:
        campaign = make_campaign(owner=account, service=Service.SMS, numbers=[9800000001])
        caller.fails("POST", begin(campaign), {"aud_file": a_recording()}, format="multipart", status=400)

    def test_priority_chooses_between_message_and_recording(self, caller: Caller, campaign: Campaign) -> None:
        for sent, source in [
            ({"message": "नमस्कार"}, Source.MESSAGE),
            ({"aud_file": a_recording()}, Source.AUDIO),
            ({"priority": "message"}, Source.MESSAGE),
            ({"priority": "Audio"}, Source.AUDIO),
            ({"message": "फेरि नमस्कार"}, Source.MESSAGE),
        ]:
            caller.post(begin(campaign), sent, format="multipart")
            assert latest_run(campaign).source == source
            campaign.runs.update(status=RunStatus.COMPLETED)
        caller.fails("POST", begin(campaign), {}, status=400)
        caller.fails("POST", begin(campaign), {"priority": "loudest"}, status=400)


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


def test_a_campaign_can_be_paused_and_resumed(caller: Caller, campaign: Campaign) -> None:
    caller.post(begin(campaign), {"message": "Hello"})
    assert_answers_as_documented(caller.client, "campaign_pause", campaign=campaign.pk)
    (details,) = caller.get(f"/api/system/campaigns/{campaign.pk}/details")["data"]["details"]
    assert details["status"] == "Paused"
    caller.fails("POST", begin(campaign), {"message": "Hello"}, status=409)
    caller.fails("POST", f"/api/system/campaigns/{campaign.pk}/pause/", status=409)
    assert_answers_as_documented(caller.client, "campaign_resume", campaign=campaign.pk)
    engine.run_to_the_end()
    (details,) = caller.get(f"/api/system/campaigns/{campaign.pk}/details")["data"]["details"]
    assert details["status"] == "Completed"
