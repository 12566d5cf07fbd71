"""Test surveys in v1 beyond the documented examples: requests of real clients, and errors."""

from __future__ import annotations

import array
import json
import math
import operator
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts.models import Account
from campaigns.api.v1 import templates as views
from campaigns.models import Campaign, RunStatus, Service, SurveyStep, SurveyTemplate
from telephony.models import Audio, SandboxMessage
from telephony.speech.audio import encode_wav
from telephony.speech.engine import Pcm
from tests.campaigns.surveys.surveying import asks, make_survey, make_template
from tests.engine import run_to_the_end
from tests.factories import make_account, make_audio, make_campaign
from tests.v1.caller import Caller

pytestmark = pytest.mark.django_db

SAY = {
    "order": 0,
    "content_type": "say",
    "text_or_url": "Are you well?",
    "response_type": "dtmf",
    "input_name": "well",
}
PLAY = {
    "order": 1,
    "content_type": "play",
    "text_or_url": "",
    "response_type": "none",
    "input_name": "field_1",
}


def tone(*, seconds: float = 1.0, hertz: int = 440) -> bytes:
    """Return a WAV file with a tone."""
    samples = (int(9000 * math.sin(2 * math.pi * hertz * at / 8000)) for at in range(int(8000 * seconds)))
    return encode_wav(Pcm(array.array("h", samples).tobytes(), 8000))


def upload(**how: Any) -> SimpleUploadedFile:
    return SimpleUploadedFile("song.wav", tone(**how), content_type="audio/wav")


@pytest.fixture
def account(settings: Any) -> Account:
    settings.IRIS_SANDBOX_SPEED = 100_000
    return make_account(email="sita@example.com", credits=1000)


def created(caller: Caller, *steps: dict[str, Any]) -> int:
    body = {"name": "Water", "services": "SURVEY", "steps": list(steps)}
    return int(caller.post("campaign/create/", body, status=201)["id"])


def steps_in_api(caller: Caller, campaign: int) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = caller.get(f"campaign/create/{campaign}/survey/")["results"]
    return steps


class TestSteps:
    def test_form_with_only_field_names_keeps_the_steps(self, caller: Caller) -> None:
        campaign = created(caller, SAY)
        before = steps_in_api(caller, campaign)
        body = (
            b"name=Water&services=SURVEY&voice=id&voice=voice_display_name&steps=id&steps=survey&steps=order"
        )
        answer = caller.post(
            f"campaign/create/{campaign}/survey/", body, content_type="application/x-www-form-urlencoded"
        )
        assert answer["results"] == before

    def test_steps_are_read_from_python_literals_with_recordings(self, caller: Caller) -> None:
        campaign = created(caller, SAY, PLAY)
        body = {"steps": ["{'id': 'x', 'survey': None, 'order': 0}", str(PLAY)], "1": upload(), "7": upload()}
        answer = caller.post(f"campaign/create/{campaign}/survey/", body, format="multipart")
        assert [step["content_type"] for step in answer["results"]] == ["say", "play"]
        assert answer["results"][0]["audio_file"] is None
        assert answer["results"][1]["audio_file"].endswith(".mp3")

    def test_steps_can_be_sent_back_unchanged(self, caller: Caller) -> None:
        campaign = created(caller, SAY, PLAY)
        caller.post(f"campaign/create/{campaign}/survey/", {"1": upload()}, format="multipart")
        before = steps_in_api(caller, campaign)
        for method in (caller.post, caller.put, caller.patch):
            assert method(f"campaign/create/{campaign}/survey/", {"steps": before})["results"] == before

    @pytest.mark.parametrize("body", [{}, {"steps": []}, {"steps": None}, {"steps": ""}, {"steps": "[]"}])
    def test_sending_no_steps_keeps_the_existing_ones(self, caller: Caller, body: dict[str, Any]) -> None:
        campaign = created(caller, SAY)
        assert len(caller.post(f"campaign/create/{campaign}/survey/", body)["results"]) == 1

    def test_steps_with_equal_order_are_numbered_as_sent(self, caller: Caller) -> None:
        campaign = created(caller, SAY, {**SAY, "text_or_url": "Have you water?"})
        assert [(step["order"], step["text_or_url"]) for step in steps_in_api(caller, campaign)] == [
            (0, "Are you well?"),
            (1, "Have you water?"),
        ]

    def test_steps_are_read_from_json_in_a_form_field(self, caller: Caller) -> None:
        campaign = created(caller)
        body = {"steps": json.dumps([SAY, PLAY])}
        answer = caller.post(f"campaign/create/{campaign}/survey/", body, format="multipart")
        assert len(answer["results"]) == 2

    @pytest.mark.parametrize(
        ("wrong", "sentence"),
        [
            ({"content_type": "sing"}, "one of say, play, info"),
            ({"content_type": None}, "one of say, play, info"),
            ({"response_type": "yes"}, "one of dtmf, raw_record, none"),
            ({"order": -1}, "whole number from 0"),
            ({"order": "first"}, "whole number from 0"),
            ({"order": True}, "whole number from 0"),
            ({"order": 10**30}, "too large"),
            ({"input_name": "x" * 129}, "128"),
            ({"text_or_url": "x" * 10_001}, "too long"),
            ({"text_or_url": {}}, "text"),
            ({"audio_file": 5}, "address"),
            ({"audio_file": "song.mp3"}, "https://"),
            ({"audio_file": "http://127.0.0.1/song.mp3"}, "public internet"),
            ({"audio_file": "http://127.0.0.1:1/song.mp3"}, "port 1 is not allowed"),
        ],
    )
    def test_invalid_step_is_refused_with_its_reason(
        self, caller: Caller, wrong: dict[str, Any], sentence: str
    ) -> None:
        body = {"name": "Water", "services": "SURVEY", "steps": [SAY, {**SAY, "order": 1, **wrong}]}
        refusal = caller.fails("POST", "campaign/create/", body, status=400)
        assert sentence in refusal["message"]
        assert not Campaign.objects.exists()

    def test_steps_of_a_campaign_that_is_not_a_survey_are_ignored(self, caller: Caller) -> None:
        body = {"name": "Water", "services": "PHONE", "message": "Namaste", "steps": [SAY]}
        campaign = caller.post("campaign/create/", body, status=201)["id"]
        assert steps_in_api(caller, campaign) == []
        caller.fails("POST", f"campaign/create/{campaign}/survey/", {"steps": [SAY]}, status=400)

    def test_steps_cannot_change_during_a_run(self, caller: Caller, account: Account) -> None:
        campaign = make_survey(owner=account)
        caller.post(f"run-survey/{campaign.pk}/")
        caller.fails("POST", f"campaign/create/{campaign.pk}/survey/", {"steps": [SAY]}, status=409)

    def test_step_recording_that_is_not_audio_is_refused(self, caller: Caller) -> None:
        campaign = created(caller, SAY, PLAY)
        noise = SimpleUploadedFile("song.mp3", b"no song", content_type="audio/mpeg")
        refusal = caller.call(
            "POST", f"campaign/create/{campaign}/survey/", {"1": noise}, format="multipart", status=400
        )
        assert "audio" in refusal["message"]


class TestRun:
    def test_survey_call_plays_uploads_and_spoken_steps_in_order(self, caller: Caller) -> None:
        campaign = created(caller, SAY, PLAY, {**SAY, "order": 2, "text_or_url": "Have you water?"})
        caller.post(f"campaign/create/{campaign}/survey/", {"1": upload(seconds=2)}, format="multipart")
        caller.post(f"campaign/{campaign}/add-contact/", {"number": "9841000012"}, status=201)
        caller.post(f"run-survey/{campaign}/")
        run_to_the_end()
        (message,) = SandboxMessage.objects.all()
        parts = Audio.objects.get(name=message.audio_name).parts
        assert len(parts) == 6
        assert steps_in_api(caller, campaign)[1]["audio_file"].split("/")[-1] == f"{parts[2]}.mp3"
        report = caller.get(
            f"download/survey/{steps_in_api(caller, campaign)[0]['survey']}/report/?format=json"
        )
        assert report["results"][0]["answers"] == {"well": "2", "well_2": "0"}

    def test_run_campaign_also_runs_a_survey(self, caller: Caller, account: Account) -> None:
        campaign = make_survey(owner=account)
        assert caller.post(f"run-campaign/{campaign.pk}/") == {"message": "Campaign Began Successfully!!"}

    def test_run_survey_refuses_other_campaigns(self, caller: Caller, account: Account) -> None:
        campaign = make_campaign(owner=account, message="Namaste")
        for path in (f"run-survey/{campaign.pk}/", f"test-survey/{campaign.recipients.earliest('pk').pk}/"):
            assert "SURVEY" in caller.fails("POST", path, status=400)["message"]

    def test_survey_without_steps_is_refused(self, caller: Caller, account: Account) -> None:
        campaign = make_campaign(owner=account, service=Service.SURVEY)
        assert "no steps" in caller.fails("POST", f"run-survey/{campaign.pk}/", status=400)["message"]

    def test_survey_without_enough_credits_is_a_402(self, caller: Caller) -> None:
        campaign = make_survey(owner=make_account(credits=1))
        owner = Caller(campaign.owner)
        owner.fails("POST", f"run-survey/{campaign.pk}/", status=402)

    def test_survey_trial_calls_one_contact(self, caller: Caller, account: Account) -> None:
        campaign = make_survey(owner=account)
        contact = campaign.recipients.earliest("pk")
        caller.post(f"test-survey/{contact.pk}/")
        run_to_the_end()
        assert [message.to for message in SandboxMessage.objects.all()] == [contact.to]

    def test_scheduled_survey_asks_the_new_steps(self, caller: Caller, account: Account) -> None:
        campaign = make_survey(owner=account)
        caller.patch(f"campaign/{campaign.pk}/", {"schedule": "2090-01-01T10:00:00+05:45"})
        caller.post(f"run-survey/{campaign.pk}/")
        caller.post(f"campaign/create/{campaign.pk}/survey/", {"steps": [SAY]})
        first, second = campaign.runs.order_by("pk")
        assert (first.status, second.status) == (RunStatus.WITHDRAWN, RunStatus.SCHEDULED)
        assert second.call_limit <= first.call_limit


class TestReport:
    def test_survey_report_before_the_run_has_empty_answers(self, caller: Caller, account: Account) -> None:
        survey = make_survey(owner=account, numbers=[9841000012]).survey
        report = caller.get(f"download/survey/{survey.pk}/report/?format=json")
        (row,) = report["results"]
        assert (row["status"], row["answers"]) == ("not started", {"field_0": None, "field_1": None})
        assert report["summary"] == {"field_0": {}, "field_1": {}}

    def test_survey_report_escapes_formulas(self, caller: Caller, account: Account) -> None:
        survey = make_survey(owner=account, plans=[asks(0, input_name="=1+1")]).survey
        answer = caller.client.get(
            f"/api/v1/download/survey/{survey.pk}/report/", HTTP_ACCEPT="application/json"
        )
        assert ",'=1+1" in answer.getvalue().decode()

    @pytest.mark.parametrize("size", [1, 2])
    def test_survey_report_is_complete_for_any_batch_size(
        self, caller: Caller, account: Account, monkeypatch: Any, size: int
    ) -> None:
        monkeypatch.setattr("campaigns.reports.totals.BATCH", size)
        survey = make_survey(owner=account, numbers=range(9841000001, 9841000006)).survey
        report = caller.get(f"download/survey/{survey.pk}/report/?format=json")
        assert (report["count"], len(report["results"])) == (5, 5)

    def test_survey_report_of_a_deleted_campaign_is_a_404(self, caller: Caller, account: Account) -> None:
        campaign = make_survey(owner=account)
        caller.delete(f"campaign/{campaign.pk}/")
        caller.fails("GET", f"download/survey/{campaign.survey.pk}/report/", status=404)


class TestTemplates:
    def test_template_recordings_are_matched_by_step_order(self, caller: Caller) -> None:
        body = {
            "name": "Water",
            "voice": json.dumps({"voice_internal_name": "np_rija"}),
            "content": json.dumps([{**SAY, "order": 3}, {**PLAY, "order": 5}]),
            "step_5_audio_file": upload(),
            "step_9_audio_file": upload(),
        }
        template = caller.post("survey-templates/", body, status=201, format="multipart")
        said, played = template["content"]
        assert said["audio_file"] is None
        again = caller.patch(
            f"survey-templates/{template['id']}/", {"content": [{**PLAY, "audio_file": played["audio_file"]}]}
        )
        assert again["content"] == [{**played, "order": 1}]

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"name": ""}, "name"),
            ({"voice": None}, "voice"),
            ({"voice": {"voice_internal_name": "nobody"}}, "voice"),
            ({"voice": "{"}, "voice"),
            ({"content": []}, "content"),
            ({"content": [{**SAY, "order": None}]}, "content"),
            ({"content": [SAY, SAY]}, None),
            ({"content": [{"order": 0}]}, "content"),
            ({"length_factor": 9}, "length_factor"),
        ],
    )
    def test_invalid_template_is_refused(
        self, caller: Caller, wrong: dict[str, Any], field: str | None
    ) -> None:
        body = {"name": "Water", "voice": {"voice_internal_name": "np_rija"}, "content": [SAY], **wrong}
        refusal = caller.fails("POST", "survey-templates/", body, status=400)
        assert field is None or field in refusal
        assert not SurveyTemplate.objects.exists()

    @pytest.mark.parametrize("empty", [{}, {"input_name": None}, {"input_name": ""}])
    def test_template_reads_field_name_when_input_name_is_empty(
        self, caller: Caller, empty: dict[str, Any]
    ) -> None:
        step = {name: value for name, value in SAY.items() if name != "input_name"} | empty
        content = [{**step, "field_name": "ward"}, {**SAY, "order": 1, "field_name": "ignored"}]
        body = {"name": "Water", "voice": {"voice_internal_name": "np_rija"}, "content": content}
        made = caller.post("survey-templates/", body, status=201)["content"]
        assert [shown["input_name"] for shown in made] == ["ward", SAY["input_name"]]

    @pytest.mark.parametrize("step", ["validated", "templates.update_template"])
    def test_update_of_a_concurrently_deleted_template_is_a_404(
        self, caller: Caller, account: Account, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        template = make_template(owner=account)
        original = operator.attrgetter(step)(views)

        def call_then_delete(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            SurveyTemplate.objects.all().delete()
            return result

        monkeypatch.setattr(f"{views.__name__}.{step}", call_then_delete)
        caller.fails("PATCH", f"survey-templates/{template.pk}/", {"name": "Roads"}, status=404)

    def test_template_search_covers_names_and_questions(self, caller: Caller, account: Account) -> None:
        make_template(owner=account, name="Water", plans=[asks(0, "Are you well?")])
        make_template(owner=account, name="Roads", plans=[asks(0, "Is the road open?")])
        make_template(owner=make_account(), name="Roads of others")
        for text, names in {"": ["Roads", "Water"], "road": ["Roads"], "WELL": ["Water"], "sky": []}.items():
            page = caller.get(f"survey-templates/?search={text}")
            assert [template["name"] for template in page["results"]] == names

    def test_template_list_uses_a_bounded_number_of_queries(
        self, caller: Caller, account: Account, django_assert_max_num_queries: Any
    ) -> None:
        for number in range(12):
            make_template(owner=account, name=f"Number {number}", plans=[asks(0, "", audio=make_audio())])
        caller.get("survey-templates/")
        with django_assert_max_num_queries(8):
            page = caller.get("survey-templates/?page=2")
        assert (page["count"], len(page["results"]), page["next"]) == (12, 2, None)

    def test_template_can_be_read_and_deleted(self, caller: Caller, account: Account) -> None:
        template = make_template(owner=account)
        assert caller.get(f"survey-templates/{template.pk}/")["name"] == "Water"
        caller.delete(f"survey-templates/{template.pk}/")
        caller.fails("GET", f"survey-templates/{template.pk}/", status=404)

    def test_applying_a_template_replaces_the_steps_of_a_campaign(
        self, caller: Caller, account: Account
    ) -> None:
        campaign, template = make_survey(owner=account), make_template(owner=account, plans=[asks(4)])
        caller.post(
            f"survey-templates/{template.pk}/apply-to-campaign/", {"campaign_id": campaign.pk}, status=201
        )
        assert [step.order for step in SurveyStep.objects.asked_by(campaign)] == [4]

    @pytest.mark.parametrize("sent", ["abc", -1, {}, [1], True, 10**30, "1"])
    def test_template_cannot_be_applied_to_an_unknown_campaign(
        self, caller: Caller, account: Account, sent: Any
    ) -> None:
        template = make_template(owner=account)
        path = f"survey-templates/{template.pk}/apply-to-campaign/"
        assert caller.call("POST", path, {"campaign_id": sent}, status=404)["error"] == "Campaign not found."
