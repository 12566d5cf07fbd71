"""Calls that offer to opt out: the hint is in the call, its price and its hold, and not in the playback."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from accounts.ledger import check_ledger
from accounts.models import Account
from campaigns import runs
from campaigns.models import Answer, Campaign, Service, SurveyAnswer
from campaigns.runs import hopper
from campaigns.runs.opt_out_hint import HINTS
from telephony.call_scripts import HINT, OPT_OUT
from telephony.models import Cause, Channel, Delivery, DeliveryStatus, OptOut
from telephony.pricing import call_credits
from tests.campaigns.runs.trying import RETRY, S, begun, claim, end, shown, step, tries
from tests.campaigns.surveys.surveying import asks, make_survey
from tests.engine import run_to_the_end
from tests.factories import make_account, make_audio, make_campaign, opt_out

pytestmark = pytest.mark.django_db

PRESSES_9 = 9841209909


def account_with_key(*, offers: bool = True) -> Account:
    account = make_account(credits=1000)
    account.opt_out_key = offers
    account.save(update_fields=["opt_out_key"])
    return account


def queued_call(campaign: Campaign, **begin: Any) -> Delivery:
    runs.begin(campaign=campaign, **begin)
    hopper.fill_all(budget=0, waits_for_room=False)
    return Delivery.objects.select_related("audio", "hold").get(batch=campaign.runs.get().pk)


def spoken_campaign(account: Account, number: int = 9841000012) -> Campaign:
    return make_campaign(owner=account, service=Service.CALL, numbers=[number])


def seconds_of(call: Delivery) -> float:
    assert call.audio is not None
    return call.audio.seconds


def test_hint_comes_last_and_is_paid() -> None:
    plain = queued_call(spoken_campaign(account_with_key(offers=False)), message="Namaste")
    offered = queued_call(spoken_campaign(account_with_key()), message="Namaste")
    assert plain.text == "Namaste"
    assert plain.script is None
    assert offered.text == f"Namaste\n{HINTS['ne']}"
    message, hint = offered.script or []
    assert (message["step"], hint["step"]) == (OPT_OUT, HINT)
    assert message["seconds"] == pytest.approx(seconds_of(plain), abs=0.01)
    assert message["seconds"] + hint["seconds"] == pytest.approx(seconds_of(offered), abs=0.01)
    assert hint["seconds"] > 4
    assert offered.hold is not None
    assert offered.hold.amount >= call_credits(seconds_of(offered)) > Decimal(0)
    assert offered.cause == Cause.NONE


def test_uploaded_recording_gets_the_hint_too() -> None:
    campaign = spoken_campaign(account_with_key())
    campaign.audio = make_audio(seconds=3.0)
    campaign.save()
    call = queued_call(campaign)
    assert call.script is not None
    assert call.script[0]["seconds"] == 3.0
    assert seconds_of(call) == pytest.approx(3.0 + call.script[1]["seconds"], abs=0.01)
    assert (call.text, call.cause) == (HINTS["ne"], Cause.NONE)


def test_sms_have_no_hint() -> None:
    campaign = make_campaign(owner=account_with_key(), service=Service.SMS, numbers=[9841000012])
    assert queued_call(campaign, message="Namaste").text == "Namaste"
    assert not campaign.runs.get().offers_opt_out


def test_recipient_presses_the_key_and_is_reached_no_more(settings: Any) -> None:
    settings.IRIS_SANDBOX_SPEED = 100_000
    account = account_with_key()
    campaign = spoken_campaign(account, PRESSES_9)
    for status in (DeliveryStatus.COMPLETED, DeliveryStatus.FAILED):
        runs.begin(campaign=campaign, message="Namaste")
        run_to_the_end()
        assert campaign.recipients.get().status == status
        assert OptOut.objects.get().number == f"+977{PRESSES_9}"
    assert Delivery.objects.latest("pk").cause == Cause.OPTED_OUT
    assert check_ledger().differences == ()


def test_survey_has_its_answers_and_the_hint(settings: Any) -> None:
    settings.IRIS_SANDBOX_SPEED = 100_000
    account = account_with_key()
    account.announce_recording = True
    account.save()
    plans = [asks(0, "Are you well?"), asks(1, "What do you need?", answer=Answer.SPEECH)]
    survey = make_survey(owner=account, numbers=[PRESSES_9], plans=plans)
    runs.begin(campaign=survey)
    run_to_the_end()
    call = Delivery.objects.get()
    assert call.text.endswith(HINTS["ne"])
    assert [one["step"] for one in call.script or []][-1] == HINT
    assert call.digits == "99", "the first key answers the question, the second one opts out"
    keys, spoken = SurveyAnswer.objects.order_by("step__order")
    assert (keys.text, bool(spoken.audio)) == ("9", True)
    assert OptOut.objects.get().evidence["delivery"] == call.pk
    assert survey.recipients.get().playback == 100


def test_answer_to_a_question_does_not_opt_out(settings: Any) -> None:
    settings.IRIS_SANDBOX_SPEED = 100_000
    survey = make_survey(owner=account_with_key(), numbers=[9841200009], plans=[asks(0, "Are you well?")])
    runs.begin(campaign=survey)
    run_to_the_end()
    assert SurveyAnswer.objects.get().text == "9"
    assert not OptOut.objects.exists()


def test_setting_applies_to_later_runs() -> None:
    account = account_with_key(offers=False)
    campaign = spoken_campaign(account)
    runs.begin(campaign=campaign, message="Namaste")
    Account.objects.filter(pk=account.pk).update(opt_out_key=True)
    hopper.fill_all(budget=0, waits_for_room=False)
    assert Delivery.objects.get().text == "Namaste"


def test_recipient_who_opts_out_during_the_call_is_not_tried_again() -> None:
    campaign, run = begun(
        retry=RETRY, fields={"failover_statuses": [DeliveryStatus.HUNGUP], "sms_message": "We called you."}
    )
    hopper.fill_all(budget=0)
    claimed = claim()
    opt_out(campaign.owner_id, "+9779841000001")
    end(claimed, "hungup")
    assert tries() == [(1, "HUNGUP")]
    assert shown(campaign).status == S.HUNGUP
    assert step("completed") == []
    run.refresh_from_db()
    assert run.hold.remaining == 0
    assert not Delivery.objects.filter(channel=Channel.SMS).exists()


def test_opt_out_between_two_tries_ends_the_recipient() -> None:
    campaign, _ = begun(retry={**RETRY, "delay_seconds": 1})
    step("busy")
    opt_out(campaign.owner_id, "+9779841000001")
    Delivery.objects.filter(status=DeliveryStatus.QUEUED).update(not_before="2020-01-01T00:00:00Z")
    from telephony.engine import dispatch

    dispatch.run("sandbox", budget=2)
    assert tries() == [(1, "UNANSWERED"), (2, "FAILED")]
    assert shown(campaign).status == S.FAILED
