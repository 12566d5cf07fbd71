"""Surveys over the sandbox, from the first step to the last response."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from accounts.ledger import check_ledger
from campaigns import runs
from campaigns.models import Answer, Campaign, RunStatus, Service, StepKind, SurveyAnswer, SurveyStep
from campaigns.reports import states
from campaigns.runs import hopper
from campaigns.runs import survey_calls as calls
from campaigns.surveys import responses, steps
from iris.errors import Conflict, InvalidInput
from telephony import speech
from telephony.carriers.sandbox.responses import SPOKEN_RESPONSE
from telephony.models import Delivery, DeliveryStatus, SandboxMessage
from telephony.pricing import call_credits
from tests.campaigns.surveys.surveying import asks, make_survey
from tests.engine import run_to_the_end
from tests.factories import make_account, make_audio, make_campaign
from tests.v0 import Caller

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fast_sandbox(settings: Any) -> None:
    settings.IRIS_SANDBOX_SPEED = 100_000


def answered(campaign: Campaign) -> dict[str, list[str]]:
    """Return the responses of each number in the order of the steps."""
    named = responses.columns(campaign.survey)
    return {
        reply.state.recipient.number: [reply.answers.get(column.step.pk, "") for column in named]
        for batch in responses.responses_of_all(campaign)
        for reply in batch
    }


def test_a_thousand_contacts_respond_to_five_steps_exactly_as_scripted() -> None:
    spread = range(9_841_000_000, 9_841_999_999, 97)
    numbers = [number for number in spread if not 9900 < number % 10_000 < 9909][
        :1000
    ]  # numbers without a special meaning in the sandbox
    plans = [
        asks(0, "नमस्कार, के तपाईंको घरमा पानी आउँछ?"),
        asks(1, "", kind=StepKind.PLAY, audio=make_audio(seconds=4)),
        asks(2, "अब दुई प्रश्न बाँकी छन्।", kind=StepKind.INFO, answer=Answer.NONE),
        asks(3, "तपाईंको कुरा भन्नुहोस्।", answer=Answer.SPEECH),
        asks(4, "वडाको काम कस्तो छ?"),
    ]
    campaign = make_survey(owner=make_account(credits=5000), numbers=numbers, plans=plans)
    run = runs.begin(campaign=campaign)
    run_to_the_end(seconds=60)
    run.refresh_from_db()
    assert run.status == RunStatus.COMPLETED
    said = speech.speak(text=SPOKEN_RESPONSE)
    assert SurveyAnswer.objects.filter(audio=said).count() == 1000
    scripted = {
        str(number): [str(number)[-1], str(number)[-2], said.name, str(number)[-5]] for number in numbers
    }
    assert answered(campaign) == scripted
    assert SurveyAnswer.objects.count() == 4000
    named = responses.columns(campaign.survey)
    tally = responses.Tally(named)
    for batch in responses.responses_of_all(campaign):
        for reply in batch:
            tally.add(reply)
    assert tally.by_column() == {
        f"field_{order}": dict(sorted(Counter(row[place] for row in scripted.values()).items()))
        for order, place in ((0, 0), (1, 1), (4, 3))
    }
    # One call for each contact, heard and paid completely.
    assert SandboxMessage.objects.count() == 1000
    (cost,) = set(Delivery.objects.values_list("credits", flat=True))
    seconds = SandboxMessage.objects.values_list("audio_seconds", flat=True)[0]
    assert seconds is not None
    assert cost == call_credits(seconds)
    assert run.hold.amount == 1000 * cost
    assert check_ledger().differences == ()


def test_a_recipient_who_hangs_up_has_responded_to_the_completed_steps() -> None:
    campaign = make_survey(
        numbers=[9841239903, 9841231234], plans=[asks(order, "Press a key.") for order in range(5)]
    )
    runs.begin(campaign=campaign)
    run_to_the_end()
    assert answered(campaign) == {
        "9841239903": ["3", "0", "", "", ""],
        "9841231234": ["4", "3", "2", "1", "3"],
    }
    rows = states.states_of(campaign, list(campaign.recipients.order_by("pk")))
    assert [(state.status, state.playback) for state in rows] == [
        (DeliveryStatus.HUNGUP, 50),
        (DeliveryStatus.COMPLETED, 100),
    ]


@pytest.mark.parametrize("fate", [9901, 9902, 9904])
def test_a_recipient_who_is_not_reached_has_no_responses(fate: int) -> None:
    campaign = make_survey(numbers=[9841230000 + fate])
    runs.begin(campaign=campaign)
    run_to_the_end()
    assert answered(campaign) == {str(9841230000 + fate): ["", ""]}


@pytest.mark.parametrize("fate", [9906, 9907, 9908])
def test_repeated_delayed_and_lost_reports_change_no_response(fate: int, settings: Any) -> None:
    settings.IRIS_LEASE_SECONDS = 0.2
    campaign = make_survey(numbers=[9841230000 + fate])
    runs.begin(campaign=campaign)
    run_to_the_end()
    assert answered(campaign) == {str(9841230000 + fate): [str(fate)[-1], str(fate)[-2]]}


def test_each_recipient_hears_their_own_text() -> None:
    campaign = make_campaign(service=Service.SURVEY, numbers=[9841000001])
    campaign.tags = ["tags_name"]
    campaign.save()
    campaign.recipients.update(tags={"tags_name": "Sita"})
    steps.set_steps(campaign=campaign, steps=[asks(0, "Namaste {name}"), asks(1, "Are you well?")])
    runs.begin(campaign=campaign)
    run_to_the_end()
    (message,) = SandboxMessage.objects.all()
    assert message.text == "Namaste Sita\nAre you well?"
    assert message.audio_seconds is not None
    assert message.audio_seconds > 2 * calls.RESPONSE_SECONDS[Answer.KEYS]


def test_filling_the_hopper_takes_the_same_queries_for_any_number_of_recipients(
    django_assert_max_num_queries: Any,
) -> None:
    small = make_survey(numbers=[9841000001])
    large = make_survey(numbers=range(9841000100, 9841000140))
    for campaign in (small, large):
        hopper.fill(runs.begin(campaign=campaign).pk)
    Delivery.objects.all().delete()
    for campaign in (small, large):
        run = campaign.runs.get()
        run.cursor, run.filled_at = 0, None
        run.save()
        with django_assert_max_num_queries(30):
            hopper.fill(run.pk)
    assert Delivery.objects.count() == 41


class TestBegin:
    def test_a_survey_without_steps_is_refused(self) -> None:
        campaign = make_campaign(service=Service.SURVEY)
        with pytest.raises(InvalidInput, match="no steps"):
            runs.begin(campaign=campaign)

    @pytest.mark.parametrize(
        ("plan", "sentence"),
        [
            (asks(0, "Namaste {nobody}"), "Step 2: .*nobody"),
            (asks(0, "  "), "Step 2 has no text"),
            (asks(0, "song.mp3", kind=StepKind.PLAY), "Step 2 has no recording"),
            (asks(0, "", kind=StepKind.INFO), "Step 2 has no text"),
        ],
    )
    def test_the_error_names_the_invalid_step(self, plan: steps.StepPlan, sentence: str) -> None:
        owner = make_account(credits=100)
        campaign = make_survey(owner=owner, plans=[asks(-1), plan])
        with pytest.raises(InvalidInput, match=sentence):
            runs.begin(campaign=campaign)
        owner.refresh_from_db()
        assert owner.balance == 100

    def test_a_survey_that_takes_too_long_is_refused(self, settings: Any) -> None:
        settings.IRIS_MAX_AUDIO_SECONDS = 12
        campaign = make_survey(plans=[asks(order) for order in range(3)])
        with pytest.raises(InvalidInput, match="Shorten its steps"):
            runs.begin(campaign=campaign)

    def test_the_cost_follows_the_duration_of_all_steps(self) -> None:
        plans = [asks(order, "", kind=StepKind.PLAY, audio=make_audio(seconds=25)) for order in range(3)]
        run = runs.begin(campaign=make_survey(numbers=[9841000001], plans=plans))
        assert run.call_limit == call_credits(3 * 30) == Decimal(4)


class TestSteps:
    def test_unchanged_steps_keep_their_rows(self) -> None:
        campaign = make_survey()
        before = list(SurveyStep.objects.asked_by(campaign))
        plans = [steps.plan_of(step) for step in before]
        assert steps.set_steps(campaign=campaign, steps=[*plans, asks(3)])[:3] == before

    def test_replaced_steps_keep_their_responses_in_the_report(self) -> None:
        campaign = make_survey(numbers=[9841000012])
        runs.begin(campaign=campaign)
        run_to_the_end()
        steps.set_steps(campaign=campaign, steps=[asks(0, "Something else?")])
        assert [column.name for column in responses.columns(campaign.survey)] == [
            "field_0",
            "field_0_2",
            "field_1",
        ]
        assert answered(campaign) == {"9841000012": ["2", "", "1"]}

    def test_steps_cannot_change_while_the_survey_runs(self) -> None:
        campaign = make_survey()
        runs.begin(campaign=campaign)
        with pytest.raises(Conflict):
            steps.set_steps(campaign=campaign, steps=[asks(0)])

    @pytest.mark.parametrize(
        "plans", [[asks(1), asks(1)], [asks(order) for order in range(101)], [asks(0, "x" * 10_001)]]
    )
    def test_invalid_steps_are_refused(self, plans: list[steps.StepPlan]) -> None:
        with pytest.raises(InvalidInput):
            make_survey(plans=plans)

    def test_steps_are_refused_for_other_campaigns(self) -> None:
        with pytest.raises(InvalidInput):
            steps.set_steps(campaign=make_campaign(), steps=[asks(0)])


def test_a_report_shows_the_latest_call_with_responses() -> None:
    campaign = make_survey(numbers=[9841000012, 9841239903])
    runs.begin(campaign=campaign)
    run_to_the_end()
    recipient = campaign.recipients.get(number="9841000012")
    recipient.to = "+9779841239901"  # busy from now on
    recipient.save()
    again = runs.begin(campaign=campaign)
    run_to_the_end()
    assert answered(campaign)["9841000012"] == ["2", "1"]
    assert SurveyAnswer.objects.filter(run=again).exclude(recipient=recipient).exists()


@pytest.mark.parametrize("body", [{}, {"message": "Something else"}])
def test_v0_can_begin_a_survey_created_through_v1(body: dict[str, str]) -> None:
    campaign = make_survey(numbers=[9841000012])
    Caller(campaign.owner).post(f"/api/system/campaigns/{campaign.pk}/begin/", body)
    run_to_the_end()
    assert answered(campaign) == {"9841000012": ["2", "1"]}
