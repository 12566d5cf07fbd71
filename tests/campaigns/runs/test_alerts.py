"""Alerts ask whether people have heard. The others receive an SMS, and the next number of their household is called."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from campaigns import runs
from campaigns.models import AlertRecipient, AlertState, Campaign, Run, RunStatus, Service
from campaigns.reports.hearing import latest_hearing
from campaigns.runs import hopper
from campaigns.runs.heard_key import SECONDS
from campaigns.runs.outcomes import note_heard
from campaigns.runs.urgent import UrgentRule
from telephony.call_scripts import HEARD, HINT
from telephony.engine import lifecycle as deliveries
from telephony.engine.lifecycle import Claimed, Report
from telephony.engine.survey_responses import MatchedResponse
from telephony.models import Channel, Delivery, DeliveryStatus, Purpose
from tests.campaigns.runs.trying import ENDS, RETRY, assert_settled, claim, end, tick
from tests.factories import make_account, make_audio, make_campaign

pytestmark = pytest.mark.django_db

S = AlertState


@pytest.fixture(autouse=True)
def prices(settings: Any) -> None:
    settings.IRIS_CALL_CREDITS, settings.IRIS_SMS_CREDITS = Decimal(2), Decimal(1)


def alert(
    *houses: str | None,
    sms: bool = False,
    household: bool = True,
    opt_out_key: bool = False,
    **rules: Any,
) -> tuple[Campaign, Run]:
    """Begin an alert with one number for each house that is named, in this order."""
    owner = make_account(credits=1000)
    owner.opt_out_key = opt_out_key
    owner.save()
    campaign = make_campaign(
        owner=owner,
        service=Service.CALL,
        numbers=[9841000001 + place for place in range(len(houses))],
        audio=make_audio(seconds=3.0),
        message="Flood" if sms else "",
        sms_message="Flood" if sms else "",
        source="audio",
        tags=["house"],
    )
    for recipient, house in zip(campaign.recipients.order_by("pk"), houses, strict=True):
        recipient.tags = {} if house is None else {"house": house}
        recipient.save()
    heard = {"sms": sms, "household": "house" if household else None}
    rule = UrgentRule.parse({"reason": "Flood", "heard": heard})
    return campaign, runs.begin(campaign=campaign, urgent=rule, **rules)


def called() -> list[Claimed]:
    """Queue and claim what is due; return the calls."""
    tick()
    return [one for one in claim() if one.channel == Channel.CALL]


def script() -> list[dict[str, Any]]:
    """Return the script of the only delivery."""
    return list(Delivery.objects.get().script or ())


def press(calls: list[Claimed], key: str = "1", how: str = "completed") -> None:
    """End these calls, in which people pressed a key."""
    deliveries.apply_reports([Report(id=one.id, at=None, digits=key, **ENDS[how]) for one in calls])


def places(calls: list[Claimed]) -> list[int]:
    """Return the place of each called number in its campaign, from 1 on."""
    return sorted(int(one.to[-3:]) for one in calls)


def states_of(run: Run) -> list[AlertState]:
    rows = AlertRecipient.objects.filter(run=run).order_by("recipient")
    return [S(state) for state in rows.values_list("state", flat=True)]


def assert_completed(run: Run) -> None:
    tick()
    assert_settled(run)
    assert run.status == RunStatus.COMPLETED


class TestKey:
    def test_calls_end_with_the_request_and_the_hold_pays_for_it(self) -> None:
        _, run = alert(None)
        (call,) = called()
        assert call.audio_seconds is not None
        assert 3.0 + SECONDS < call.audio_seconds < 20
        assert run.longest_call == pytest.approx(call.audio_seconds, abs=0.1)
        (one,) = script()
        assert (one["step"], one["answer"]) == (HEARD, "keys")

    def test_the_hint_of_opt_outs_follows_the_request(self) -> None:
        _, run = alert(None, opt_out_key=True)
        (call,) = called()
        asked, hint = script()
        assert (asked["step"], hint["step"]) == (HEARD, HINT)
        assert asked["seconds"] + hint["seconds"] == pytest.approx(call.audio_seconds)
        assert run.longest_call == pytest.approx(call.audio_seconds, abs=0.1)

    def test_who_pressed_the_key_has_heard_and_others_have_not(self) -> None:
        campaign, run = alert(None, None, None, None)
        first, second, third, fourth = called()
        press([first])
        press([second], key="7")
        press([third], key="1", how="hungup")
        end([fourth], "unanswered")
        assert states_of(run) == [S.HEARD, S.NOT_HEARD, S.HEARD, S.NOT_HEARD]
        assert_completed(run)
        hearing = latest_hearing(campaign)
        assert hearing is not None
        assert (hearing.counts[S.HEARD], hearing.counts[S.NOT_HEARD]) == (2, 2)

    def test_the_key_counts_while_the_call_goes_on_and_once(self) -> None:
        _, run = alert(None)
        (call,) = called()
        item = Delivery.objects.get().item
        pressed = MatchedResponse(Purpose.CAMPAIGN, run.pk, item, HEARD, "1", run.created_at)
        note_heard([pressed])
        assert states_of(run) == [S.HEARD]
        since = AlertRecipient.objects.get().heard_at
        note_heard([pressed])
        press([call])
        assert AlertRecipient.objects.get().heard_at == since
        assert_completed(run)

    def test_who_has_heard_is_not_called_again_although_the_call_was_cut_off(self) -> None:
        _, run = alert(None, None, retry=RETRY | {"delay_seconds": 1})
        first, second = called()
        press([first], how="hungup")
        press([second], key="", how="hungup")
        assert list(Delivery.objects.filter(try_number=2).values_list("to", flat=True)) == [second.to]
        assert states_of(run) == [S.HEARD, S.CALLED]


class TestSms:
    def test_everybody_who_has_not_heard_receives_one_sms(self) -> None:
        campaign, run = alert(None, None, None, sms=True)
        first, second, third = called()
        press([first])
        end([second], "completed")
        end([third], "busy")
        tick()
        texts = [one for one in claim() if one.channel == Channel.SMS]
        assert places(texts) == [2, 3]
        end(texts, "completed")
        assert_completed(run)
        assert Delivery.objects.filter(channel=Channel.SMS).count() == 2

    def test_the_sms_waits_for_the_last_try(self) -> None:
        _, run = alert(None, sms=True, retry=RETRY | {"tries": 2})
        end(called(), "busy")
        assert not Delivery.objects.filter(channel=Channel.SMS).exists()
        Delivery.objects.filter(try_number=2).update(not_before=run.created_at)
        end(called(), "busy")
        assert Delivery.objects.filter(channel=Channel.SMS).count() == 1

    def test_the_hold_pays_for_calls_and_sms_to_all(self) -> None:
        _, run = alert("a", "a", sms=True)
        assert run.hold.amount == 2 * (run.call_limit + run.sms_limit)
        assert run.sms_limit > 0

    def test_the_sms_of_a_paused_run_waits(self) -> None:
        campaign, _ = alert(None, sms=True)
        calls = called()
        runs.pause(campaign=campaign)
        end(calls, "busy")
        assert claim() == []
        runs.resume(campaign=campaign)
        assert [one.channel for one in claim()] == [Channel.SMS]


class TestHouseholds:
    def test_one_number_of_each_household_is_called_at_a_time_until_one_has_heard(self) -> None:
        campaign, run = alert("a", "a", "b", "a", None, "b")
        assert places(calls := called()) == [1, 3, 5]
        assert called() == []
        press([calls[1]])
        end([calls[0], calls[2]], "unanswered")
        assert places(calls := called()) == [2]
        end(calls, "busy")
        assert places(calls := called()) == [4]
        press(calls)
        assert states_of(run) == [S.NOT_HEARD, S.NOT_HEARD, S.HEARD, S.HEARD, S.NOT_HEARD, S.SPARED]
        assert_completed(run)
        spared = campaign.recipients.order_by("pk").last()
        assert spared is not None
        assert spared.status == DeliveryStatus.TERMINATED

    def test_spelling_of_the_household_does_not_matter(self) -> None:
        alert("House 1", " house  1", "HOUSE 1")
        assert places(called()) == [1]

    def test_members_that_come_in_later_chunks_wait_or_are_called_or_spared(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(hopper, "room_of", lambda run: 2)
        _, run = alert("a", "b", "a", "b", "a", "b")
        hopper.fill_all(budget=0)
        first = claim()
        assert places(first) == [1, 2]
        end([first[0]], "busy")  # before the other numbers of this household are known
        press([first[1]])
        hopper.fill_all(budget=0)
        assert states_of(run) == [S.NOT_HEARD, S.HEARD, S.CALLED, S.SPARED]
        calls = called()
        assert places(calls) == [3]
        press(calls)
        assert states_of(run) == [S.NOT_HEARD, S.HEARD, S.HEARD, S.SPARED, S.SPARED, S.SPARED]
        assert_completed(run)

    def test_a_household_that_ends_unheard_while_a_chunk_is_prepared_is_called(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What was decided before the transaction may be outdated in it: no number may wait for ever."""
        from campaigns.runs import alerts

        monkeypatch.setattr(hopper, "room_of", lambda run: 1)
        _, run = alert("a", "a")
        hopper.fill_all(budget=0)
        (first,) = claim()
        choose = alerts.choose

        def choosing(*arguments: Any) -> alerts.Chosen:
            chosen = choose(*arguments)
            end([first], "busy")
            return chosen

        monkeypatch.setattr(alerts, "choose", choosing)
        hopper.fill_all(budget=0)
        assert states_of(run) == [S.NOT_HEARD, S.DUE]
        monkeypatch.setattr(alerts, "choose", choose)
        assert places(calls := called()) == [2]
        end(calls, "busy")
        assert_completed(run)

    def test_a_paused_run_calls_the_next_number_after_it_goes_on(self) -> None:
        campaign, run = alert("a", "a")
        calls = called()
        runs.pause(campaign=campaign)
        end(calls, "busy")
        assert called() == []
        runs.resume(campaign=campaign)
        assert places(called()) == [2]

    def test_a_stopped_run_calls_nobody_else_and_ends(self) -> None:
        campaign, run = alert("a", "a", "b")
        calls = called()
        runs.stop(campaign=campaign)
        end(calls, "busy")
        assert called() == []
        assert_settled(run)
        assert run.status == RunStatus.TERMINATED
        assert states_of(run)[1] is S.STOPPED
        waiting = campaign.recipients.order_by("pk")[1]
        assert waiting.status == DeliveryStatus.TERMINATED

    def test_a_run_ends_whatever_happens_to_its_calls(self) -> None:
        ways: list[str | Callable[[Claimed], str]] = [
            "invalid",
            "lost",
            "failed",
            "opted_out",
            "expired",
            "hungup",
        ]
        _, run = alert(*("a" for _ in ways), "a")
        for place, how in enumerate(ways, start=1):
            assert places(calls := called()) == [place]
            end(calls, how)
        press(called())
        assert_completed(run)

    def test_a_spending_limit_ends_the_run_and_pays_for_every_call(self) -> None:
        campaign, run = alert("a", "a", "a")
        runs.stop(campaign=campaign)
        campaign.spending_limit = run.call_limit
        campaign.save()
        again = runs.begin(
            campaign=campaign, urgent=UrgentRule.parse({"reason": "x", "heard": {"household": "house"}})
        )
        end(called(), "completed")
        assert called() == []
        assert_completed(again)
