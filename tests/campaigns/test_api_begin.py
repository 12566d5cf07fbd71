"""v0: begin campaigns, with messages, voices and recordings; pause and resume them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.models import Account
from campaigns.models import Campaign, RunStatus, Service, Source
from tests import engine
from tests.campaigns.beginning import a_recording, balance, begin, latest_run
from tests.factories import make_campaign, make_empty_campaign, make_recipient
from tests.golden import assert_answers_as_documented, golden
from tests.v0 import Caller


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
