"""Surveys by the published Python client, as it is, over HTTP."""

from __future__ import annotations

import io

import pytest
from tingting import Contact, Services, SurveyStep
from tingting.enums import SurveyContentType, SurveyResponseType

from tests import engine
from tests.test_published_client import Account, account
from tests.v1.test_surveys import tone

pytestmark = pytest.mark.django_db(transaction=True)

__all__ = ["account"]


def test_a_survey_with_a_recording_from_its_steps_to_its_answers(account: Account) -> None:
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
    assert report["results"][0]["answers"] == {"field_1": "2", "field_1_2": "(speech)"}


def test_an_update_without_steps_keeps_them(account: Account) -> None:
    client = account.client
    step = SurveyStep(client=client, textOrUrl="Are you well?")
    survey = account.make_campaign(name="Survey", services=Services.SURVEY, surveySteps=[step])
    survey.surveySteps = []
    survey.name = "Renamed"
    updated = client.update_survey_campaign(survey, {})
    assert updated.name == "Renamed"
    assert [step.textOrUrl for step in updated.surveySteps] == ["Are you well?"]


def client_get(account: Account, path: str) -> dict:
    import requests

    answer = requests.get(
        f"{account.url}/api/v1/{path}", headers={"Authorization": f"Bearer {account.token}"}
    )
    assert answer.status_code == 200
    return answer.json()
