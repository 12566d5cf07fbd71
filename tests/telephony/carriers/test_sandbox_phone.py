"""Acting as the recipients of the sandbox: replies to SMS, keys pressed in calls, and faults."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone

from accounts.models import Account
from campaigns import runs
from campaigns.models import Campaign, Service, SurveyAnswer
from iris.errors import Conflict, InvalidInput, NotFound
from telephony import sandbox_phone
from telephony.carriers.base import Accepted, Later, Submission
from telephony.carriers.registry import get_carrier
from telephony.carriers.sandbox import fates, inbox
from telephony.carriers.sandbox.fates import Fate, Faults
from telephony.models import Channel, Delivery, DeliveryStatus, InboundMessage, OptOut, SandboxMessage
from tests import engine
from tests.campaigns.surveys.surveying import make_survey
from tests.factories import make_account, make_campaign
from tests.telephony.carriers.sandboxing import sent

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def slow_sandbox(settings: Any) -> None:
    """Let calls last so long that none of them ends by itself during a test."""
    settings.IRIS_SANDBOX_SPEED = 0.1


def end_all() -> None:
    """Let the time pass in which all calls and SMS end."""
    past = timezone.now() - timedelta(seconds=1)
    SandboxMessage.objects.filter(answer_at__isnull=False).update(ring_at=past, answer_at=past)
    SandboxMessage.objects.update(end_at=past)
    SandboxMessage.objects.filter(report_at__isnull=False).update(report_at=F("end_at"))
    engine.run_all_loops_once()


class TestReplies:
    def test_a_reply_is_an_inbound_sms_of_the_account_that_sent_the_message(self) -> None:
        first, second = make_campaign(message="Namaste"), make_campaign(message="Namaste")
        message = sent(first)[0]
        sent(second)  # to the same numbers, later
        sandbox_phone.reply(message=message, text="धन्यवाद")
        received = InboundMessage.objects.get()
        assert (received.owner_id, received.sender, received.text) == (first.owner_id, message.to, "धन्यवाद")
        assert received.to == message.caller

    def test_stop_opts_out_of_the_account_of_the_message(self) -> None:
        campaign = make_campaign(message="Namaste")
        message = sent(campaign)[0]
        sandbox_phone.reply(message=message, text="STOP")
        assert OptOut.objects.get().owner_id == campaign.owner_id
        sandbox_phone.reply(message=message, text="STOP")  # a second one has an id of its own
        assert InboundMessage.objects.count() == 2

    def test_only_an_sms_has_a_reply(self) -> None:
        call = sent(make_campaign(service=Service.CALL, message="Namaste"))[0]
        with pytest.raises(Conflict):
            sandbox_phone.reply(message=call, text="Hi")

    @pytest.mark.parametrize("text", ["", "  ", "x" * 1001])
    def test_an_empty_or_endless_reply_is_refused(self, text: str) -> None:
        message = sent(make_campaign(message="Namaste"))[0]
        with pytest.raises(InvalidInput):
            sandbox_phone.reply(message=message, text=text)
        assert not InboundMessage.objects.exists()

    def test_what_is_no_longer_kept_has_no_reply(self) -> None:
        message = sent(make_campaign(message="Namaste"))[0]
        SandboxMessage.objects.filter(pk=message.pk).update(delivery_key="999999999999")
        message.refresh_from_db()
        with pytest.raises(Conflict):
            sandbox_phone.reply(message=message, text="Hi")


def answers(campaign: Campaign) -> dict[str, list[str]]:
    """Return the answers to the questions of a survey in their order, by number."""
    found: dict[str, list[str]] = {}
    for one in SurveyAnswer.objects.filter(run__campaign=campaign).order_by("step__order"):
        found.setdefault(one.recipient.to, []).append(one.text)
    return found


class TestKeys:
    def test_keys_of_a_call_answer_its_questions_in_their_order(self) -> None:
        campaign = make_survey(numbers=[9841000012, 9841000034])
        first, second = sent(campaign)
        for key in "35":
            sandbox_phone.press(message=first, keys=key)
        assert answers(campaign) == {}  # reported when the call ends
        end_all()
        # Nobody pressed keys in the other call, so its number answers.
        assert answers(campaign) == {first.to: ["3", "5"], second.to: ["4", "3"]}
        assert Delivery.objects.get(to=first.to).digits == "35"

    def test_the_last_question_gets_all_other_keys_and_one_key_answers_one_question(self) -> None:
        campaign = make_survey(numbers=[9841000012, 9841000034])
        first, second = sent(campaign)
        sandbox_phone.press(message=first, keys="127")
        sandbox_phone.press(message=second, keys="8")
        end_all()
        assert answers(campaign) == {first.to: ["1", "27"], second.to: ["8"]}

    def test_keys_that_come_a_little_late_count_and_do_not_take_away_an_answer(self) -> None:
        campaign = make_survey(numbers=[9841000012])
        (call,) = sent(campaign)
        sandbox_phone.press(message=call, keys="3")
        end_all()
        assert answers(campaign) == {call.to: ["3"]}
        sandbox_phone.press(message=call, keys="5")
        assert answers(campaign) == {call.to: ["3", "5"]}
        SandboxMessage.objects.update(end_at=timezone.now() - timedelta(minutes=2))
        with pytest.raises(Conflict) as refused:
            sandbox_phone.press(message=call, keys="5")
        assert refused.value.code == "call_ended"

    def test_nine_opts_out_where_the_call_offers_it(self) -> None:
        account = make_account(credits=1000)
        Account.objects.filter(pk=account.pk).update(opt_out_key=True)
        account.refresh_from_db()
        call = sent(make_campaign(owner=account, service=Service.CALL, message="Namaste"))[0]
        sandbox_phone.press(message=call, keys="9")
        end_all()
        assert OptOut.objects.get().number == call.to

    def test_an_alert_is_heard_with_one(self) -> None:
        from campaigns.reports.hearing import latest_hearing
        from campaigns.runs.urgent import HeardRule, UrgentRule

        campaign = make_campaign(service=Service.CALL, message="Flood", numbers=[9841000012, 9841000032])
        runs.begin(campaign=campaign, urgent=UrgentRule(reason="Flood", heard=HeardRule()))
        engine.run_all_loops_once()
        first, _ = SandboxMessage.objects.order_by("to")
        sandbox_phone.press(message=first, keys="1")
        end_all()
        hearing = latest_hearing(campaign)
        assert hearing is not None
        counts = {state.name: count for state, count in hearing.counts.items() if count}
        assert counts == {"HEARD": 1, "NOT_HEARD": 1}

    @pytest.mark.parametrize("keys", ["", "a", "1 2", "१", "1" * 21])
    def test_only_keys_can_be_pressed(self, keys: str) -> None:
        call = sent(make_campaign(service=Service.CALL, message="Namaste"))[0]
        with pytest.raises(InvalidInput):
            sandbox_phone.press(message=call, keys=keys)

    def test_a_call_has_a_limit_of_keys(self) -> None:
        call = sent(make_campaign(service=Service.CALL, message="Namaste"))[0]
        sandbox_phone.press(message=call, keys="1" * 20)
        with pytest.raises(Conflict):
            sandbox_phone.press(message=call, keys="1")

    @pytest.mark.parametrize("number", [9841009901, 9841009902, 9841009905])
    def test_nobody_presses_keys_in_a_call_that_nobody_answers(self, number: int) -> None:
        call = sent(make_campaign(service=Service.CALL, message="Namaste", numbers=[number]))[0]
        with pytest.raises(Conflict):
            sandbox_phone.press(message=call, keys="1")

    def test_an_sms_has_no_keys(self) -> None:
        with pytest.raises(Conflict):
            sandbox_phone.press(message=sent(make_campaign(message="Namaste"))[0], keys="1")

    def test_a_call_that_is_reported_twice_counts_late_keys_once(self) -> None:
        campaign = make_survey(numbers=[9841009906])
        (call,) = sent(campaign)
        end_all()
        sandbox_phone.press(message=call, keys="12")
        assert Delivery.objects.get(to=call.to).status == DeliveryStatus.COMPLETED
        assert SurveyAnswer.objects.count() == 2


def submission(key: int, *, owner_id: int, channel: Channel = Channel.CALL, attempt: int = 1) -> Submission:
    return Submission(
        key=str(key),
        channel=channel,
        to=f"+97798410{key:05}",
        caller="",
        text="Namaste",
        audio_name="",
        audio_seconds=3.0,
        valid_until=timezone.now() + timedelta(minutes=1),
        attempt=attempt,
        owner_id=owner_id,
    )


class TestFaults:
    def test_shares_are_as_they_were_set_and_the_same_for_the_same_call(self) -> None:
        faults = Faults(busy=20, lost=30, throttled=40)

        def drawn(channel: Channel) -> Counter[Fate]:
            return Counter(
                fates.fate_of(to="+9779841000000", key=str(key), channel=channel, faults=faults)
                for key in range(10_000)
            )

        shares = drawn(Channel.CALL)
        assert shares == drawn(Channel.CALL)
        expected = {Fate.BUSY: 20, Fate.SILENT: 30, Fate.THROTTLED: 40, Fate.COMPLETES: 10}
        assert {fate: round(count / 100) for fate, count in shares.items()} == pytest.approx(expected, abs=2)
        assert Fate.BUSY not in drawn(Channel.SMS)

    def test_the_number_decides_before_the_faults(self) -> None:
        faults = Faults(busy=100)
        fate = fates.fate_of(to="+9779841009903", key="1", channel=Channel.CALL, faults=faults)
        assert fate is Fate.HANGS_UP

    def test_an_account_has_its_own_faults_or_those_of_everybody(self) -> None:
        fates.set_faults(fates.EVERYBODY, Faults(busy=100))
        fates.set_faults(7, Faults())
        fates.set_faults(8, Faults(lost=5))
        fates.set_faults(8, Faults(lost=6))
        assert fates.faults_by_owner({6, 7, 8}) == {6: Faults(busy=100), 7: Faults(), 8: Faults(lost=6)}
        assert fates.faults_of(6) == Faults()

    def test_what_is_throttled_is_accepted_at_the_second_attempt(self) -> None:
        fates.set_faults(7, Faults(throttled=100))
        carrier = get_carrier("sandbox")
        first, other = carrier.submit([submission(1, owner_id=7), submission(2, owner_id=8)])
        assert isinstance(first, Later)
        assert isinstance(other, Accepted)
        (again,) = carrier.submit([submission(1, owner_id=7, attempt=2)])
        assert isinstance(again, Accepted)

    def test_latency_delays_all_reports(self) -> None:
        carrier = get_carrier("sandbox")
        carrier.submit([submission(1, owner_id=7)])
        fates.set_faults(7, Faults(latency_seconds=30))
        carrier.submit([submission(2, owner_id=7)])
        first, second = SandboxMessage.objects.order_by("delivery_key")
        for name in ("ring_at", "answer_at", "end_at"):
            late = getattr(second, name) - getattr(first, name)
            assert timedelta(seconds=29) < late < timedelta(seconds=40), name


class TestWaiting:
    def test_a_request_waits_until_something_is_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        naps: list[float] = []
        monkeypatch.setattr(f"{inbox.__name__}.time.sleep", naps.append)
        found = iter([[], [], [1]])
        assert inbox.wait_until(lambda: next(found), seconds=20) == [1]
        assert len(naps) == 2

    def test_it_ends_after_its_time(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = [0.0]
        monkeypatch.setattr(f"{inbox.__name__}.time.monotonic", lambda: now[0])
        monkeypatch.setattr(
            f"{inbox.__name__}.time.sleep", lambda seconds: now.__setitem__(0, now[0] + seconds)
        )
        assert inbox.wait_until(list, seconds=5) == []
        assert now[0] == pytest.approx(5)
        assert inbox.wait_until(list, seconds=500) == []
        assert now[0] == pytest.approx(5 + inbox.MAX_WAIT_SECONDS)

    def test_only_a_few_requests_wait_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        depth = 0

        def wait_again(seconds: float) -> None:
            nonlocal depth
            depth += 1
            assert inbox.wait_until(list, seconds=20) == []
            raise TimeoutError

        monkeypatch.setattr(f"{inbox.__name__}.time.sleep", wait_again)
        with pytest.raises(TimeoutError):
            inbox.wait_until(list, seconds=20)
        assert depth == inbox.MAX_WAITING
        monkeypatch.undo()
        assert inbox.wait_until(lambda: [1], seconds=0) == [1]
        for _ in range(inbox.MAX_WAITING):  # all places are free again
            assert inbox._places.acquire(blocking=False)
        for _ in range(inbox.MAX_WAITING):
            inbox._places.release()


def test_an_unknown_message_is_said() -> None:
    with pytest.raises(NotFound):
        sandbox_phone.find_message(2**63)
