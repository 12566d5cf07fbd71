"""Test surveys with the unchanged published Python client, over HTTP."""

from __future__ import annotations

import io
import re

import pytest
from tingting import Contact, Services, SurveyStep
from tingting.enums import SurveyContentType, SurveyResponseType

from tests import engine
from tests.published_client import Account, account
from tests.v1.test_surveys import tone

pytestmark = pytest.mark.django_db(transaction=True)

__all__ = ["account"]


def test_published_client_runs_a_survey_with_a_recording(account: Account) -> None:
    client = account.client
    song = io.BytesIO(tone())
    song.name = "song.wav"
    asked = [
        SurveyStep(client=client, textOrUrl="Are you well?"),
        SurveyStep(client=client, order=1, textOrUrl="What else?", responseType=SurveyResponseType.SPEECH),
        SurveyStep(
            client=client,
            order=2,
            contentType=SurveyContentType.PLAY,
            responseType=SurveyResponseType.NONE,
            audioFile=song,
        ),
    ]
    survey = account.make_campaign(name="Survey", services=Services.SURVEY, surveySteps=asked)
    contact = survey.add_contact(Contact(client=client, phoneNumber="9841000012"))
    steps = client.get_survey_steps(survey)
    assert [(step.order, step.contentType, step.textOrUrl, step.responseType) for step in steps] == [
        (0, "say", "Are you well?", "dtmf"),
        (1, "say", "What else?", "raw_record"),
        (2, "play", "", "none"),
    ]
    assert steps[2].audioFile.endswith(".mp3")

    contact.test_survey()
    engine.run_to_the_end()
    survey.run()
    engine.run_to_the_end()
    report = client_get(account, f"download/survey/{steps[0].survey}/report/?format=json")
    answers = report["results"][0]["answers"]
    assert answers.keys() == {"field_1", "field_1_2"}
    assert answers["field_1"] == "2"
    assert re.fullmatch(r"https?://\S+/media/audio/\S+/[0-9a-f]{40}\.mp3", answers["field_1_2"])


def test_survey_update_without_steps_keeps_them(account: Account) -> None:
    client = account.client
    step = SurveyStep(client=client, textOrUrl="Are you well?")
    survey = account.make_campaign(name="Survey", services=Services.SURVEY, surveySteps=[step])
    survey.surveySteps = []
    survey.name = "Renamed"
    updated = client.update_survey_campaign(survey, {})
    assert updated.name == "Renamed"
    assert [step.textOrUrl for step in updated.surveySteps] == ["Are you well?"]


def test_published_client_creates_a_survey_from_plain_data(account: Account) -> None:
    step = {"order": 0, "content_type": "say", "text_or_url": "Are you well?", "response_type": "dtmf"}
    plain = {"name": "Survey", "services": "SURVEY", "message": "", "steps": [step]}
    survey = account.client.create_survey_campaign(plain, {})
    assert [step.textOrUrl for step in survey.surveySteps] == ["Are you well?"]
    survey.add_contact(Contact(client=account.client, phoneNumber="9841000012"))

    account.client.run_survey(survey)
    engine.run_to_the_end()

    assert account.client.get_campaign(survey.id).progressPercent == 100


def client_get(account: Account, path: str) -> dict:
    import requests

    answer = requests.get(
        f"{account.url}/api/v1/{path}", headers={"Authorization": f"Bearer {account.token}"}
    )
    assert answer.status_code == 200
    return answer.json()
