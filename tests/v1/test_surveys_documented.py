"""Test that each documented call about surveys has the response in tests/golden/v1."""

from __future__ import annotations

import re
from typing import Any

import pytest

from campaigns import runs
from campaigns.api.v1 import steps as wire
from campaigns.api.v1.surveys import COLUMNS
from campaigns.models import Answer, Campaign, Service, SurveyTemplate
from campaigns.surveys import steps
from tests.campaigns.surveys.surveying import asks, make_template
from tests.engine import run_to_the_end
from tests.factories import make_account, make_campaign, make_empty_campaign, make_recipient
from tests.golden import FOLDER, assert_answers_as_documented, load
from tests.v1.caller import Caller

MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+05:45"


class World:
    """Create the account, the survey “Water in the ward” and the template that the documents use."""

    def __init__(self) -> None:
        self.account = make_account(email="sita@example.com", credits=1000)
        self.caller = Caller(self.account)

    def empty_survey(self) -> Campaign:
        campaign = make_empty_campaign(
            owner=self.account,
            name="Water in the ward",
            service=Service.SURVEY,
            voice="np_rija",
            tags=["tags_name"],
        )
        make_recipient(campaign=campaign, number="9841000012", tags={"tags_name": "Ram"})
        make_recipient(campaign=campaign, number="9841239902", tags={"tags_name": "Sita"})
        return campaign

    def survey_with_steps(self) -> Campaign:
        """Create the survey with its three documented steps."""
        campaign = self.empty_survey()
        water, wish, thanks = load("v1/survey_create")["request"]["body"]["steps"]
        plans = [
            asks(0, water["text_or_url"], input_name="water"),
            asks(1, wish["text_or_url"], input_name="wish", answer=Answer.SPEECH),
            asks(2, thanks["text_or_url"], input_name="", kind="info", answer=Answer.NONE),
        ]
        steps.set_steps(campaign=campaign, steps=plans)
        return campaign

    def finished_survey(self) -> Campaign:
        """Create the survey and run it: Ram responds, Sita does not answer the call."""
        campaign = self.survey_with_steps()
        runs.begin(campaign=campaign)
        run_to_the_end()
        return campaign

    def template(self) -> SurveyTemplate:
        plans = [
            asks(0, "Is there water in your house?", input_name="water"),
            asks(1, "Thank you.", input_name="", kind="info", answer=Answer.NONE),
        ]
        return make_template(owner=self.account, plans=plans, speed="0.8333")

    def assert_documented(self, name: str, **placeholders: Any) -> None:
        assert_answers_as_documented(self.caller.client, f"v1/{name}", **placeholders)


@pytest.fixture
def world(db: None, settings: Any) -> World:
    settings.IRIS_SANDBOX_SPEED = 100_000
    return World()


class TestSurvey:
    def test_survey_create_answers_as_documented(self, world: World) -> None:
        world.assert_documented("survey_create")

    def test_survey_steps_answer_as_documented(self, world: World) -> None:
        campaign = world.survey_with_steps()
        world.assert_documented("survey_steps", campaign=campaign.pk, survey=campaign.survey.pk)

    def test_setting_survey_steps_answers_as_documented(self, world: World) -> None:
        campaign = world.survey_with_steps()
        world.assert_documented("survey_steps_set", campaign=campaign.pk, survey=campaign.survey.pk)

    def test_survey_run_answers_as_documented(self, world: World) -> None:
        world.assert_documented("survey_run", campaign=world.survey_with_steps().pk)

    def test_survey_trial_answers_as_documented(self, world: World) -> None:
        world.assert_documented("survey_test", contact=world.survey_with_steps().recipients.earliest("pk").pk)


class TestReport:
    def test_survey_report_as_json_is_as_documented(self, world: World) -> None:
        campaign = world.finished_survey()
        ram, sita = campaign.recipients.order_by("pk").values_list("pk", flat=True)
        world.assert_documented(
            "survey_report", survey=campaign.survey.pk, campaign=campaign.pk, ram=ram, sita=sita
        )

    def test_survey_report_as_csv_is_as_documented(self, world: World) -> None:
        campaign = world.finished_survey()
        for method in ("get", "post"):
            answer = getattr(world.caller.client, method)(
                f"/api/v1/download/survey/{campaign.survey.pk}/report/"
            )
            assert answer.status_code == 200
            assert answer["Content-Type"] == "text/csv; charset=utf-8"
            assert answer["Content-Disposition"] == f'attachment; filename="survey-{campaign.survey.pk}.csv"'
            text = answer.getvalue().decode("utf-8-sig").replace("\r\n", "\n")
            documented = re.escape((FOLDER.parent / "v1" / "survey_report.csv").read_text(encoding="utf-8"))
            for placeholder, pattern in (
                ("moment", MOMENT),
                ("seconds", r"\d+"),
                ("url", r"https?://[^,\s]+\.mp3"),
            ):
                documented = documented.replace(f"<{placeholder}>", pattern)
            assert re.fullmatch(documented, text), text


class TestTemplates:
    def test_template_create_answers_as_documented(self, world: World) -> None:
        world.assert_documented("survey_template_create")

    def test_template_list_answers_as_documented(self, world: World) -> None:
        world.template()
        make_template(
            owner=world.account, name="Roads", plans=[asks(0, "Is the road open?", input_name="open")]
        )
        world.assert_documented("survey_template_list")

    def test_template_update_answers_as_documented(self, world: World) -> None:
        world.assert_documented("survey_template_update", template=world.template().pk)

    def test_applying_a_template_answers_as_documented(self, world: World) -> None:
        campaign = world.survey_with_steps()
        world.assert_documented("survey_template_apply", template=world.template().pk, campaign=campaign.pk)
        campaign.refresh_from_db()
        assert (campaign.voice, str(campaign.speed)) == ("np_rija", "0.8333")

    def test_applying_a_template_without_a_campaign_answers_as_documented(self, world: World) -> None:
        world.assert_documented("survey_template_apply_missing", template=world.template().pk)

    def test_applying_a_template_to_another_campaign_answers_as_documented(self, world: World) -> None:
        campaign = make_campaign(owner=world.account)
        world.assert_documented(
            "survey_template_apply_wrong", template=world.template().pk, campaign=campaign.pk
        )

    def test_applying_a_template_to_an_unknown_campaign_answers_as_documented(self, world: World) -> None:
        world.assert_documented("survey_template_apply_unknown", template=world.template().pk)


def test_v1_docs_name_every_survey_word() -> None:
    text = (FOLDER.parents[2] / "docs" / "api-v1.md").read_text(encoding="utf-8")
    words = {*wire.KINDS, *wire.ANSWERS, *wire.StepFields().fields, *COLUMNS}
    assert {word for word in words if f"`{word}`" not in text} == set()
