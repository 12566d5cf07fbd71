"""What is held for a call covers what it costs, whatever the values of its tags, and not much more."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from accounts.ledger import check_ledger
from campaigns import runs, services
from campaigns.api.words import notice_json
from campaigns.models import Answer, Campaign, Recipient, Run, RunStatus, Service
from campaigns.recipients import editing, measuring
from campaigns.surveys import steps
from telephony.models import Cause, Delivery, DeliveryStatus, SandboxMessage
from telephony.pricing import call_credits
from tests.campaigns.surveys.surveying import asks
from tests.engine import run_to_the_end
from tests.factories import make_account, make_sheet

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _media(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.IRIS_SANDBOX_SPEED = 10_000


def make(values: Mapping[str, Sequence[object]], *, service: Service = Service.CALL) -> Campaign:
    """Create a campaign with a recipient for each row of values."""
    rows = [(9_841_000_010 + 10 * n, *row) for n, row in enumerate(zip(*values.values(), strict=True))]
    campaign, errors, _ = services.create_campaign(
        account=make_account(credits=100_000),
        name="Balances",
        service=service,
        sheet=make_sheet(("number", *values), *rows),
    )
    assert not errors
    return campaign


def finish(run: Run) -> list[Delivery]:
    """Run to the end; return the deliveries. Each was heard completely and paid at the documented price."""
    run_to_the_end()
    made = list(Delivery.objects.filter(batch=run.pk).select_related("audio").order_by("item"))
    for delivery in made:
        assert delivery.status == DeliveryStatus.COMPLETED
        assert delivery.audio is not None
        assert delivery.credits == call_credits(delivery.audio.seconds) <= run.call_limit
    assert check_ledger().differences == ()
    return made


# Each was held and paid for one pulse, but lasts longer.
BALANCE = (
    "नमस्कार, यो तपाईंको सहकारीबाट गरिएको कल हो। कृपया यो सूचना अन्तिमसम्म सुन्नुहोस्। "
    + "{name} जी, तपाईंको बाँकी रकम {amount} छ। " * 5
    + "कृपया चाँडै कार्यालयमा आएर रकम बुझाउनुहोला। थप जानकारीको लागि हाम्रो शाखा कार्यालयमा सम्पर्क गर्नुहोला। धन्यवाद।"
)
TOLD_APART = {
    "name": ["राम बहादुर", "सीता"],
    "amount": ["हिसाब मिलेको छैन, कार्यालयमा आउनुहोस्", "रु. 77,77,77,777.77"],
}


@pytest.mark.parametrize("whole", [0, 200])
@pytest.mark.parametrize(
    ("message", "values"),
    [
        (BALANCE, TOLD_APART),
        ("रकम {v} " * 16, {"v": ["....................", "७७,७७,७७,७७७", "९९,९९,९९,९९९"]}),
    ],
)
def test_a_call_that_a_longer_looking_value_hides_is_held_and_paid(
    message: str, values: Mapping[str, Sequence[object]], whole: int, settings: Any
) -> None:
    settings.IRIS_WHOLE_SENTENCES = whole
    run = runs.begin(campaign=make(values), message=message)

    made = finish(run)

    assert max(delivery.credits for delivery in made) >= 4


@pytest.mark.parametrize("whole", [0, 200])
def test_a_survey_that_a_longer_looking_value_hides_is_held_and_paid(whole: int, settings: Any) -> None:
    settings.IRIS_WHOLE_SENTENCES = whole
    campaign = make({"a": ["10,00,000", "9,77,777"]}, service=Service.SURVEY)
    text = "पहिलो {a}, दोस्रो {a}, तेस्रो {a}, चौथो {a}, पाँचौँ {a}"
    steps.set_steps(campaign=campaign, steps=[asks(order, text) for order in range(3)])

    made = finish(runs.begin(campaign=campaign))

    assert max(delivery.credits for delivery in made) == 4


def test_the_hold_of_a_message_without_tags_is_exact() -> None:
    campaign = make({"name": ["राम", "सीता"]})
    run = runs.begin(campaign=campaign, message="भोलि विद्यालय बन्द रहनेछ। " * 30)

    made = finish(run)

    assert run.hold.amount == sum(delivery.credits for delivery in made)
    assert {delivery.credits for delivery in made} == {run.call_limit}


def test_digits_that_a_value_turns_into_a_code_are_held(settings: Any) -> None:
    settings.IRIS_CALL_PULSE_SECONDS = 1
    settings.IRIS_CALL_CREDITS = Decimal(1)
    run = runs.begin(campaign=make({"what": ["कोड", "जम्मा"]}), message="तपाईंको {what} 200000 हो।")

    made = finish(run)

    assert made[0].credits > made[1].credits


def test_a_value_that_cannot_be_spoken_fails_alone() -> None:
    run = runs.begin(campaign=make({"v": ["......................", "राम"]}), message="{v}")
    run_to_the_end()

    outcomes = Delivery.objects.filter(batch=run.pk).order_by("item").values_list("status", "credits")
    assert list(outcomes) == [(DeliveryStatus.FAILED, 0), (DeliveryStatus.COMPLETED, 2)]


@pytest.mark.parametrize("service", [Service.CALL, Service.SURVEY])
@pytest.mark.urls("iris.urls")
def test_a_call_that_is_longer_than_its_hold_is_not_dialled(
    service: Service, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    campaign = make({"name": ["राम", "सीता " * 40]}, service=service)
    if service is Service.SURVEY:
        steps.set_steps(campaign=campaign, steps=[asks(0, "नमस्ते {name}", answer=Answer.NONE)])
    settings.IRIS_CALL_PULSE_SECONDS = 10
    run = runs.begin(campaign=campaign, message=None if service is Service.SURVEY else "नमस्ते {name}")
    # As if the voice had become slower after the run began.
    Run.objects.filter(pk=run.pk).update(longest_call=10)

    with caplog.at_level(logging.WARNING, logger="campaigns.runs.hopper"):
        run_to_the_end()

    short, long = Delivery.objects.filter(batch=run.pk).order_by("item")
    assert (short.status, short.cause) == (DeliveryStatus.COMPLETED, "")
    assert (long.status, long.cause, long.credits) == (DeliveryStatus.FAILED, Cause.TOO_LONG, 0)
    assert long.ref == ""
    assert SandboxMessage.objects.count() == 1
    assert "1 calls are not made" in caplog.text
    run.refresh_from_db()
    run.hold.refresh_from_db()
    assert (run.status, run.too_long, run.hold.remaining) == (RunStatus.COMPLETED, 1, 0)
    assert check_ledger().differences == ()
    shown = Campaign.objects.with_status().get(pk=campaign.pk)
    assert "1 call was not made" in notice_json(shown)["notice"]


def of_previous_release(run: Run, **fields: Any) -> None:
    """Make a run as a release without frozen prices leaves it."""
    unknown = dict.fromkeys(("prices", "longest_call", "most_segments", "cost_limit"))
    Run.objects.filter(pk=run.pk).update(**unknown, **fields)


def test_prices_that_change_in_a_run_of_the_release_before_make_no_call_too_long(settings: Any) -> None:
    run = runs.begin(campaign=make({"name": ["राम"]}), message="नमस्ते {name}")
    of_previous_release(run)
    settings.IRIS_CALL_CREDITS = Decimal(5)

    run_to_the_end()

    (made,) = Delivery.objects.filter(batch=run.pk)
    assert (made.status, made.credits) == (DeliveryStatus.COMPLETED, 2)


def test_a_run_of_the_release_before_makes_no_call_that_costs_more_than_is_held() -> None:
    run = runs.begin(campaign=make({"name": ["राम", "सीता " * 200]}), message="नमस्ते {name}")
    of_previous_release(run, call_limit=Decimal(2), call_seconds=None)

    run_to_the_end()

    outcomes = Delivery.objects.filter(batch=run.pk).order_by("item").values_list("status", "cause")
    assert list(outcomes) == [(DeliveryStatus.COMPLETED, ""), (DeliveryStatus.FAILED, "too_long")]


# Recipients that the release before has added


def unmeasure(campaign: Campaign) -> None:
    """Make a campaign as the release before leaves it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE campaigns_campaign SET spoken_sizes = DEFAULT, measured_to = DEFAULT, measured = DEFAULT WHERE id = %s",
            [campaign.pk],
        )
    campaign.refresh_from_db()


def test_a_campaign_of_the_release_before_is_measured_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "CHUNK", 3)
    campaign = make({"v": [*"abcdefg", "७७७७७७७"], "w": ["राम"] * 8})
    campaign.refresh_from_db()
    measured = campaign.spoken_sizes, campaign.measured_to
    unmeasure(campaign)
    assert (campaign.spoken_sizes, campaign.measured_to, campaign.measured) == ({}, 0, False)

    assert measuring.measure_all(budget=0) is True
    campaign.refresh_from_db()
    assert (campaign.measured, 0 < campaign.measured_to < measured[1]) == (False, True)
    assert measuring.measure_all(budget=60) is False

    campaign.refresh_from_db()
    assert (campaign.spoken_sizes, campaign.measured_to, campaign.measured) == (*measured, True)
    assert list(measuring.due()) == []


def test_an_unmeasured_campaign_begins_with_a_larger_hold_and_pays_the_price() -> None:
    campaign = make({"amount": ["९,७७,७७७", "10,00,000"]})
    unmeasure(campaign)

    run = runs.begin(campaign=campaign, message="रकम {amount} " * 16)

    assert run.call_limit > max(delivery.credits for delivery in finish(run))


def test_recipients_that_are_added_unmeasured_are_noticed_when_the_campaign_begins() -> None:
    campaign = make({"v": ["राम"]})
    value = "७" * 60
    Recipient.objects.create(
        campaign=campaign, number="9841000090", to="+9779841000090", tags={"tags_v": value}
    )
    size = {"septets": 0, "units": 60, "gsm": False, "pairs": 0, "longest": value}
    Campaign.objects.filter(pk=campaign.pk).update(number_count=2, tag_sizes={"tags_v": size})

    run = runs.begin(campaign=campaign, message="{v}")

    assert run.call_limit > 4
    assert list(measuring.due()) == [campaign]


def test_recipients_added_and_edited_one_by_one_are_measured() -> None:
    campaign = make({"v": ["राम"]})
    campaign.refresh_from_db()
    before = campaign.spoken_sizes["tags_v"]

    added = editing.add_recipient(campaign=campaign, number="9841000055", tags={"tags_v": "७७७७७"})
    campaign.refresh_from_db()
    assert campaign.measured_to == added.pk
    assert campaign.spoken_sizes["tags_v"] > before + 3
    editing.edit_recipient(recipient=added, tags={"tags_v": "७" * 20})
    campaign.refresh_from_db()
    larger = campaign.spoken_sizes["tags_v"]
    assert larger > before + 12
    editing.add_recipients(campaign=campaign, rows=[("9841000056", {"tags_v": "७" * 40})])
    campaign.refresh_from_db()
    assert campaign.spoken_sizes["tags_v"] > larger + 12
    assert campaign.measured_to == max(campaign.recipients.values_list("pk", flat=True))
    assert campaign.measured
