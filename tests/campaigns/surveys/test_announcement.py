"""Calls that record answers say so if the account wants it: in the price and the hold, and not in the playback."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from accounts.ledger import check_ledger
from accounts.models import Account
from campaigns import runs
from campaigns.models import Answer, Campaign, SurveyAnswer
from campaigns.runs.survey_calls import ANNOUNCEMENTS
from telephony.engine.lifecycle import Report, apply_reports
from telephony.models import Delivery, DeliveryStatus
from telephony.pricing import call_credits
from tests.campaigns.surveys.surveying import asks, make_survey
from tests.engine import run_all_loops_once, run_to_the_end
from tests.factories import make_account

pytestmark = pytest.mark.django_db

SPOKEN = [asks(0, "Are you well?"), asks(1, "What do you need?", answer=Answer.SPEECH)]


@pytest.fixture
def account() -> Account:
    account = make_account(credits=1000)
    account.announce_recording = True
    account.save(update_fields=["announce_recording"])
    return account


def queued_call(survey: Campaign, settings: Any) -> Delivery:
    """Begin the survey, and return its call. Nothing is dispatched."""
    from campaigns.runs import hopper

    settings.IRIS_SANDBOX_SPEED = 100_000
    runs.begin(campaign=survey)
    hopper.fill_all(budget=0, waits_for_room=False)
    return Delivery.objects.select_related("audio", "hold").get(batch=survey.runs.get().pk)


def test_announcement_comes_first_and_is_paid(account: Account, settings: Any) -> None:
    plain = queued_call(make_survey(numbers=[9841000012], plans=SPOKEN), settings)
    announced = queued_call(make_survey(owner=account, numbers=[9841000012], plans=SPOKEN), settings)
    assert announced.text.startswith(ANNOUNCEMENTS["ne"])
    assert plain.text in announced.text
    assert announced.audio is not None
    assert plain.audio is not None
    assert announced.script is not None
    longer = announced.audio.seconds - plain.audio.seconds
    assert longer == pytest.approx(announced.script[0]["seconds"], abs=0.01)
    assert longer > 1
    assert announced.hold is not None
    assert announced.hold.amount >= call_credits(announced.audio.seconds) > Decimal(0)


def test_answers_belong_to_their_steps_and_the_ledger_is_exact(account: Account, settings: Any) -> None:
    survey = make_survey(owner=account, numbers=[9841000012], plans=SPOKEN)
    settings.IRIS_SANDBOX_SPEED = 100_000
    runs.begin(campaign=survey)
    run_to_the_end()
    keys, spoken = SurveyAnswer.objects.order_by("step__order")
    assert (keys.step.order, keys.text, spoken.step.order) == (0, "2", 1)
    assert spoken.audio is not None
    assert survey.recipients.get().playback == 100
    assert not check_ledger().differences


@pytest.mark.parametrize(("share_of_message", "shown"), [(-1.0, 0), (0.0, 0), (0.5, 50), (1.0, 100)])
def test_playback_is_the_share_of_the_message_without_the_announcement(
    account: Account, settings: Any, share_of_message: float, shown: int
) -> None:
    call = queued_call(make_survey(owner=account, numbers=[9841000012], plans=SPOKEN), settings)
    assert call.script is not None
    announced = call.script[0]["seconds"]
    whole = sum(step["seconds"] for step in call.script)
    heard = announced + share_of_message * (whole - announced) if share_of_message >= 0 else announced / 2
    Delivery.objects.filter(pk=call.pk).update(status=DeliveryStatus.ANSWERED)
    apply_reports(
        [
            Report(
                id=call.pk,
                status=DeliveryStatus.HUNGUP,
                at=None,
                seconds=heard,
                playback=round(100 * heard / whole),
            )
        ]
    )
    call.refresh_from_db()
    assert call.playback == pytest.approx(shown, abs=2)


def test_survey_that_records_nothing_announces_nothing(account: Account, settings: Any) -> None:
    call = queued_call(make_survey(owner=account, numbers=[9841000012], plans=SPOKEN[:1]), settings)
    assert call.text == "Are you well?"


def test_run_that_was_begun_before_the_setting_stays_as_it_was(settings: Any) -> None:
    account = make_account(credits=1000)
    survey = make_survey(owner=account, numbers=[9841000012], plans=SPOKEN)
    runs.begin(campaign=survey)
    Account.objects.filter(pk=account.pk).update(announce_recording=True)
    run_all_loops_once()
    assert not Delivery.objects.get().text.startswith(ANNOUNCEMENTS["ne"])


def test_voice_of_another_language_announces_in_its_language(account: Account, settings: Any) -> None:
    from telephony import speech

    english = [voice.name for voice in speech.catalogue().values() if voice.language == "en"]
    if not english:
        pytest.skip("No voice speaks English.")
    call = queued_call(
        make_survey(owner=account, numbers=[9841000012], plans=SPOKEN, voice=english[0]), settings
    )
    assert call.text.startswith(ANNOUNCEMENTS["en"])
