"""The steps of a new campaign: nothing typed is lost, and every error is said where it was made."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from campaigns.models import Answer, Campaign, RunStatus, Service, SurveyAnswer, SurveyStep
from tests.campaigns.surveys.surveying import make_survey
from tests.console.world import World, client_for
from tests.factories import make_run, make_sheet

pytestmark = pytest.mark.django_db


def begin(client: Client, world: World, service: str = "call") -> Campaign:
    client.post(world.address("new-campaign"), {"name": "Water cut", "service": service, "description": ""})
    return Campaign.objects.get(name="Water cut")


def save(client: Client, world: World, step: str, campaign: Campaign, **fields: object) -> str:
    response = client.post(world.address(step, campaign_id=campaign.pk), fields)
    return response.headers.get("Location", "") or response.content.decode()


def test_a_campaign_is_made_step_by_step(world: World, client: Client) -> None:
    campaign = begin(client, world)
    assert campaign.draft
    said = {"message": "नमस्कार {name}", "voice": "np_binod", "speed": "0.8"}
    assert "/people/" in save(client, world, "step-message", campaign, **said)
    sheet = make_sheet(["number", "name"], [9841000001, "सीता"], [9841000002, "राम"])
    sheet.name = "people.xlsx"
    assert "/people/" in save(client, world, "step-people", campaign, sheet=sheet)
    assert "/when/" in save(client, world, "step-people", campaign)
    assert "/review/" in save(
        client, world, "step-when", campaign, begin="now", follow_up=["102"], spending_limit="50"
    )
    review = client.get(world.address("step-review", campaign_id=campaign.pk)).content.decode()
    for part in ("नमस्कार सीता", "Binod", "Call 2 people", "No answer"):
        assert part in review
    assert "/campaigns/" in save(client, world, "step-review", campaign)
    run = campaign.runs.get()
    assert (run.status, run.recipient_count, run.voice, run.failover_statuses) == (
        RunStatus.RUNNING,
        2,
        "np_binod",
        [102],
    )
    campaign.refresh_from_db()
    assert not campaign.draft


def test_a_tag_is_spelled_as_the_heading_of_the_sheet(world: World, client: Client) -> None:
    campaign = begin(client, world, "sms")
    page = save(client, world, "step-message", campaign, message="नमस्कार {name}")
    assert "The message needs these columns: <b>name</b>" in client.get(page).content.decode()
    sheet = make_sheet(["Mobile", "Name"], [9841000001, "सीता"])
    sheet.name = "people.xlsx"
    page = save(client, world, "step-people", campaign, sheet=sheet)
    assert "Change the message" not in client.get(page).content.decode()
    campaign.refresh_from_db()
    assert campaign.message == "नमस्कार {Name}"
    review = client.get(world.address("step-review", campaign_id=campaign.pk)).content.decode()
    assert "नमस्कार सीता" in review
    assert "Send 1 text message" in review
    save(client, world, "step-message", campaign, message="नमस्ते {NAME}")
    campaign.refresh_from_db()
    assert campaign.message == "नमस्ते {Name}"


def test_a_column_that_the_sheet_lacks_is_said_at_once(world: World, client: Client) -> None:
    campaign = begin(client, world, "sms")
    save(client, world, "step-message", campaign, message="{amount}")
    page = client.get(save(client, world, "step-people", campaign, numbers="9841000001")).content.decode()
    assert "{amount} is not a tag" in page
    assert world.address("step-message", campaign_id=campaign.pk) in page


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("98412", "“98412” फोन नम्बरका लागि छोटो भयो"),
        ("9" * 16, "फोन नम्बरका लागि लामो भयो"),
        ("9" * 200, "फोन नम्बरका लागि लामो भयो"),
        ("98a”b", "“98a”b” मा फोन नम्बरमा नहुने अक्षर छन्"),
        ("9.84E+09", "का केही अङ्क हराएका छन्"),
        ("-9841000001", "माइनसबाट सुरु हुन्छ"),
    ],
)
def test_what_is_wrong_with_a_row_is_said_in_nepali(typed: str, said: str, world: World) -> None:
    client = client_for(world.owner, language="ne")
    campaign = begin(client, world)
    page = save(client, world, "step-people", campaign, numbers=f"9841000001\n{typed}")
    assert said in client.get(page).content.decode()


def test_a_date_that_is_wrong_is_said_even_if_the_campaign_begins_at_once(
    world: World, client: Client
) -> None:
    page = save(client, world, "step-when", world.draft, begin="now", nepali_day="क")
    assert 'class="wrong"' in page


def test_a_nepali_date_is_understood(world: World, client: Client) -> None:
    campaign = world.draft
    for typed in ("२०९०-०१-१५", "2090/1/15"):
        save(client, world, "step-when", campaign, begin="later", nepali_day=typed, time="10:30")
        campaign.refresh_from_db()
        assert campaign.schedule_at is not None
        at = timezone.localtime(campaign.schedule_at)
        assert f"{at:%Y-%m-%d %H:%M}" == "2033-04-28 10:30"
    assert "Choose" not in save(client, world, "step-review", campaign)
    assert campaign.runs.get().status == RunStatus.SCHEDULED


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"begin": "later"}, "Choose the day."),
        ({"begin": "later", "day": "2090-01-01"}, "Choose the time."),
        ({"begin": "later", "day": "2020-01-01", "time": "10:00"}, "in the past"),
        ({"begin": "later", "nepali_day": "2090-13-45", "time": "10:00"}, "Write a Nepali date"),
        ({"begin": "later", "nepali_day": "क", "time": "10:00"}, "Write a Nepali date"),
        ({"begin": "now", "spending_limit": "-5"}, "greater than or equal"),
        ({"begin": "now", "spending_limit": "NaN"}, "Enter a number"),
        ({"begin": "never"}, "not one of the available choices"),
    ],
)
def test_a_wrong_time_is_said_and_nothing_is_lost(
    world: World, client: Client, fields: dict[str, str], sentence: str
) -> None:
    page = save(client, world, "step-when", world.draft, **fields)
    assert sentence in page
    world.draft.refresh_from_db()
    assert world.draft.schedule_at is None
    assert world.draft.spending_limit is None


def test_every_wrong_row_is_shown_at_once(world: World, client: Client) -> None:
    campaign = begin(client, world)
    next_page = save(client, world, "step-people", campaign, numbers="9841000001\n12\nabc\n\n9841000002, 5")
    page = client.get(next_page).content.decode()
    assert "2 people added." in page
    assert page.count("<tr><td>") == 3
    campaign.refresh_from_db()
    assert campaign.number_count == 2
    assert "Rows that were left out" not in client.get(next_page).content.decode()  # it is shown once
    page = save(client, world, "step-people", campaign, numbers="nobody")
    assert "None of the numbers is a phone number." in page
    assert ">nobody</textarea>" in page


def test_a_file_that_is_no_sheet_changes_nothing(world: World, client: Client) -> None:
    campaign = begin(client, world)
    for name, content in (("x.xlsx", b"PK\x03\x04 broken"), ("x.csv", b""), ("x.bin", bytes(range(256)))):
        file = SimpleUploadedFile(name, content)
        page = save(client, world, "step-people", campaign, sheet=file)
        assert 'role="alert"' in page or page.startswith("/console/") is False
        campaign.refresh_from_db()
        assert campaign.number_count == 0


def test_a_list_is_cleared_and_uploaded_again(world: World, client: Client) -> None:
    campaign = begin(client, world)
    save(client, world, "step-people", campaign, numbers="9841000001\n9841000002")
    assert (
        "Clear the list: remove 2 people"
        in client.get(world.address("step-people", campaign_id=campaign.pk)).content.decode()
    )
    save(client, world, "people-clear", campaign)
    campaign.refresh_from_db()
    assert (campaign.number_count, campaign.recipients.count()) == (0, 0)
    save(client, world, "step-people", campaign, numbers="9841000003")
    campaign.refresh_from_db()
    assert campaign.number_count == 1


def test_a_list_that_was_used_is_kept(world: World, client: Client) -> None:
    response = client.post(world.address("people-clear", campaign_id=world.ended.pk))
    assert response.status_code == 409
    assert world.ended.recipients.count() == 5


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Namaste", ("1 part", "7 characters", "160 characters to a part", "153 characters fit")),
        ("न" * 70, ("1 part", "70 characters to a part", "0 characters fit")),
        ("न" * 73, ("2 parts", "Drop 3 characters to save 2 parts.")),
        ("a" * 162, ("2 parts", "Drop 2 characters to save 2 parts.")),
        ("a" * 306, ("2 parts", "0 characters fit into the last part.")),
        ("a" * 307, ("3 parts", "Drop 1 character to save 2 parts.")),
        ("{ward}", ("1 part",)),
        ("{nobody}", ("not a tag of this campaign",)),
    ],
)
def test_the_size_of_a_text_message_is_live(
    world: World, client: Client, text: str, parts: tuple[str, ...]
) -> None:
    page = client.post(world.address("message-check"), {"message": text}).content.decode()
    for part in parts:
        assert part in page


def test_a_neighbour_is_previewed(world: World, client: Client) -> None:
    second = world.draft.recipients.latest("pk")
    fields = {"message": "नमस्कार {name}", "recipient": second.pk}
    page = client.post(world.address("message-check"), fields).content.decode()
    assert "नमस्कार सीता 1" in page
    assert "The person before" in page
    assert "The next person" not in page
    for strange in ("abc", "9" * 30, "-1", ""):
        fields["recipient"] = strange
        assert client.post(world.address("message-check"), fields).status_code == 200


def test_the_text_is_heard(world: World, client: Client) -> None:
    fields = {"message": "नमस्कार {name}", "voice": "np_rija", "speed": "1"}
    page = client.post(world.address("message-listen"), fields).content.decode()
    assert "<audio" in page
    for wrong in ({"message": ""}, {"message": "x", "voice": "nobody"}):
        page = client.post(world.address("message-listen"), {**fields, **wrong}).content.decode()
        assert 'role="alert"' in page
    assert (
        "<audio" in client.post(world.address("message-listen"), {**fields, "speed": "NaN"}).content.decode()
    )


def test_a_survey_has_questions(world: World, client: Client) -> None:
    campaign = begin(client, world, "survey")
    form = {
        "question-TOTAL_FORMS": 3,
        "question-INITIAL_FORMS": 0,
        "question-0-text": "के पानी आउँछ?",
        "question-0-answer": "keys",
        "question-0-input_name": "पानी",
        "question-1-text": "धन्यवाद",
        "question-1-answer": "none",
        "question-2-text": "",
        "question-2-answer": "keys",
        "voice": "np_rija",
        "speed": "1",
    }
    assert "/people/" in save(client, world, "step-message", campaign, **form)
    steps = list(SurveyStep.objects.asked_by(campaign))
    assert [(step.text, step.answer, step.input_name) for step in steps] == [
        ("के पानी आउँछ?", Answer.KEYS, "पानी"),
        ("धन्यवाद", Answer.NONE, ""),
    ]
    page = client.get(world.address("step-message", campaign_id=campaign.pk)).content.decode()
    assert "के पानी आउँछ?" in page
    form |= {"question-INITIAL_FORMS": 2, "question-0-text": ""}
    save(client, world, "step-message", campaign, **form)
    assert [step.text for step in SurveyStep.objects.asked_by(campaign)] == ["धन्यवाद"]
    form |= {"question-1-text": ""}
    assert "at least one question" in save(client, world, "step-message", campaign, **form)


def test_the_answers_of_a_survey_are_counted(world: World, client: Client) -> None:
    shown = make_survey(owner=world.account)
    step = shown.survey.steps.exclude(answer=Answer.NONE).earliest("order")
    for place, recipient in enumerate(shown.survey.campaign.recipients.order_by("pk")):
        run = make_run(campaign=shown.survey.campaign, status=RunStatus.COMPLETED)
        SurveyAnswer.objects.create(
            recipient=recipient, run=run, step=step, text=str(1 + place % 2), answered_at=timezone.now()
        )
    page = client.get(world.address("campaign", campaign_id=shown.survey.campaign_id)).content.decode()
    assert "Key 1" in page


def test_a_live_campaign_cannot_be_changed(world: World, client: Client) -> None:
    for step in ("step-what", "step-message", "step-people", "step-when", "step-review"):
        assert client.get(world.address(step, campaign_id=world.running.pk)).status_code == 409


def test_the_draft_is_kept_when_somebody_continues_later(world: World, client: Client) -> None:
    campaign = begin(client, world, "sms")
    later = save(client, world, "step-message", campaign, message="Namaste", later="yes")
    assert later == world.address("campaign", campaign_id=campaign.pk)
    page = client.get(later).content.decode()
    assert "Continue with the draft" in page
    assert "Water cut" in client.get(world.address("home")).content.decode()
    campaign.refresh_from_db()
    assert (campaign.message, campaign.service) == ("Namaste", Service.SMS)


def test_a_start_time_that_is_over_is_said(world: World, client: Client) -> None:
    Campaign.objects.filter(pk=world.draft.pk).update(schedule_at=timezone.now() - timedelta(hours=1))
    page = client.get(world.address("step-review")).content.decode()
    assert "The time at which it should begin is over." in page
    client.post(world.address("step-review"))
    assert world.draft.runs.count() == 0
