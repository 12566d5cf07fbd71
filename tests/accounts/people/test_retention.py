"""What accounts no longer keep is erased after its time, in bounded passes, and everything else stays."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.ledger import check_ledger
from accounts.models import Account, Retention
from accounts.people import passes, registry, retention
from accounts.people.registry import Expiry
from campaigns import runs
from campaigns.models import Answer, Campaign, Recipient, Run, SurveyAnswer
from campaigns.recipients import editing
from otp.models import Otp
from otp.services import send_otp
from telephony import inbox
from telephony.carriers.base import InboundSms
from telephony.models import Audio, Channel, Delivery, DeliveryStatus, InboundMessage, SandboxMessage
from tests.accounts.people.erasing import tables_with
from tests.campaigns.surveys.surveying import asks, make_survey
from tests.engine import run_to_the_end
from tests.factories import client_of, make_account, make_campaign, make_empty_campaign

pytestmark = pytest.mark.django_db

NUMBER, TO, NAME = "9841000012", "+9779841000012", "Kamalavati"
SETTINGS = "/api/system/settings/"


def keep(account: Account, **days: int | None) -> None:
    Account.objects.filter(pk=account.pk).update(**{f"keep_{kind}_days": n for kind, n in days.items()})


def ended_long_ago(account: Account, *, days: int = 31) -> None:
    """Move everything that the account has sent and received into the past."""
    at = timezone.now() - timedelta(days=days)
    Run.objects.filter(campaign__owner=account).exclude(finished_at=None).update(finished_at=at)
    Campaign.objects.filter(owner=account).update(updated_at=at)
    Delivery.objects.filter(owner=account).update(ended_at=at)
    Otp.objects.filter(owner=account).update(created_at=at)
    InboundMessage.objects.filter(owner=account).update(received_at=at)
    SandboxMessage.objects.filter(owner_id=account.pk).update(created_at=at)


def sent(account: Account) -> Campaign:
    campaign = make_empty_campaign(owner=account, message="Namaste {tags_name}")
    editing.add_recipients(campaign=campaign, rows=[(NUMBER, {"tags_name": NAME})])
    runs.begin(campaign=campaign)
    run_to_the_end()
    return campaign


def erase(*, budget: float = 60) -> None:
    retention.erase_expired(budget=budget)


class TestMessages:
    def test_calls_sms_otps_and_the_inbox_are_erased_and_recipients_stay(self, account: Account) -> None:
        sent(account)
        send_otp(account=account, number=NUMBER, message=f"{NAME}: {{otp}}", channel=Channel.SMS)
        run_to_the_end()
        inbox.receive("sandbox", [InboundSms(sender=TO, to="", text=NAME, at=timezone.now(), ref="1")])
        keep(account, messages=30)
        ended_long_ago(account)
        credits = list(Delivery.objects.order_by("pk").values_list("credits", "status"))
        erase()
        assert tables_with(NUMBER) == {"campaigns_recipient"}
        assert list(Delivery.objects.order_by("pk").values_list("credits", "status")) == credits
        assert Recipient.objects.get().tags == {"tags_name": NAME}
        assert not check_ledger().differences

    def test_what_is_younger_and_what_others_keep_stays(self, account: Account) -> None:
        other = make_account(credits=100)
        sent(account)
        sent(other)
        keep(account, messages=30)
        ended_long_ago(account, days=29)
        ended_long_ago(other)
        erase()
        assert set(Delivery.objects.values_list("to", flat=True)) == {TO}

    def test_run_that_has_not_ended_keeps_its_messages(self, account: Account) -> None:
        campaign = sent(account)
        Run.objects.filter(campaign=campaign).update(finished_at=None, status="running")
        keep(account, messages=1)
        ended_long_ago(account)
        erase()
        assert Delivery.objects.get().to == TO

    def test_otp_under_way_is_erased_later(self, account: Account) -> None:
        otps = [
            send_otp(account=account, number=NUMBER, message="{otp}", channel=Channel.SMS) for _ in range(2)
        ]
        Delivery.objects.update(status=DeliveryStatus.COMPLETED, ended_at=timezone.now())
        Delivery.objects.filter(pk=otps[0].delivery_id or 0).update(status=DeliveryStatus.UNKNOWN)
        keep(account, messages=1)
        ended_long_ago(account)
        erase()
        assert set(Otp.objects.values_list("number", flat=True)) == {NUMBER}
        Delivery.objects.update(status=DeliveryStatus.FAILED)
        erase()
        assert set(Otp.objects.values_list("number", "code")) == {("erased", "")}

    def test_inbox_is_erased_by_the_time_of_receipt_whatever_the_order_of_arrival(
        self, account: Account
    ) -> None:
        sent(account)
        now = timezone.now()
        for days in (20, 40):  # the carrier delivers the older SMS last
            at = now - timedelta(days=days)
            inbox.receive("sandbox", [InboundSms(sender=TO, to="", text=f"{days}", at=at, ref=f"{days}")])
        keep(account, messages=30)
        erase()
        assert set(InboundMessage.objects.values_list("sender", "text")) == {(TO, "20"), ("erased", "")}
        keep(account, messages=10)
        erase()
        assert set(InboundMessage.objects.values_list("sender", "text")) == {("erased", "")}


class TestRecordings:
    def test_recorded_answers_are_removed_and_pressed_keys_stay(self, account: Account) -> None:
        plans = [asks(0, "Are you well?"), asks(1, "What do you need?", answer=Answer.SPEECH)]
        survey = make_survey(owner=account, numbers=[NUMBER], plans=plans)
        runs.begin(campaign=survey)
        run_to_the_end()
        recording = SurveyAnswer.objects.get(audio__isnull=False).audio_id
        assert recording is not None
        keep(account, recordings=7)
        ended_long_ago(account, days=6)
        erase()
        assert Audio.objects.filter(pk=recording).exists()
        ended_long_ago(account, days=8)
        erase()
        assert not Audio.objects.filter(pk=recording).exists()
        assert list(SurveyAnswer.objects.order_by("step").values_list("text", "audio")) == [
            ("2", None),
            ("erased", None),
        ]
        assert Recipient.objects.get().number == NUMBER


class TestRecipients:
    def test_numbers_tags_and_messages_of_old_campaigns_are_erased(self, account: Account) -> None:
        sent(account)
        keep(account, recipients=30)
        ended_long_ago(account)
        erase()
        assert tables_with(NUMBER, NAME) <= {"telephony_sandboxmessage", "campaigns_campaign"}
        assert Recipient.objects.get().status == DeliveryStatus.COMPLETED

    def test_latest_run_of_a_campaign_decides(self, account: Account) -> None:
        campaign = sent(account)
        ended_long_ago(account)
        runs.begin(campaign=campaign)
        run_to_the_end()
        keep(account, recipients=30)
        erase()
        assert Recipient.objects.get().number == NUMBER
        ended_long_ago(account)
        erase()
        assert Recipient.objects.get().number == "erased"

    def test_lists_that_were_never_used_are_erased_after_their_last_change(self, account: Account) -> None:
        make_campaign(owner=account, numbers=[NUMBER])
        keep(account, recipients=30)
        erase()
        assert Recipient.objects.get().number == NUMBER
        ended_long_ago(account)
        erase()
        assert Recipient.objects.get().number == "erased"


class TestPasses:
    def test_pass_stops_after_its_time_and_the_next_one_goes_on(
        self, account: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(passes, "BATCH", 2)
        make_campaign(owner=account, numbers=range(9841000001, 9841000008))
        keep(account, recipients=30)
        ended_long_ago(account)
        left = []
        for _ in range(4):
            erase(budget=0)
            left.append(Recipient.objects.exclude(number="erased").count())
        assert left == [5, 3, 1, 0]
        assert not retention.erase_expired(budget=60)

    def test_settings_show_what_was_erased_last(self, account: Account) -> None:
        client = client_of(account)
        assert client.get(SETTINGS).json()["data"]["settings"]["erased"] is None
        sent(account)
        keep(account, messages=30, recipients=30)
        ended_long_ago(account)
        erase()
        shown = client.get(SETTINGS).json()["data"]["settings"]["erased"]
        assert (shown["messages"], shown["recipients"]) == (1, 1)
        erase()
        assert client.get(SETTINGS).json()["data"]["settings"]["erased"] == shown

    def test_counts_begin_again_on_another_day(self, account: Account) -> None:
        yesterday = timezone.now() - timedelta(days=1)
        Retention.objects.create(account=account, counts={"messages": 5}, erased_at=yesterday)
        sent(account)
        keep(account, messages=30)
        ended_long_ago(account)
        erase()
        assert Retention.objects.get().counts == {"messages": 1}

    def test_failing_account_stops_no_other(self, account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
        other = make_account(credits=100)
        for one in (account, other):
            make_campaign(owner=one, numbers=[NUMBER])
            keep(one, recipients=30)
            ended_long_ago(one)
        real = registry.expiries()

        def failing(one: Any, before: Any) -> None:
            if one.account == account:
                raise ValueError("broken")

        monkeypatch.setattr(registry, "expiries", lambda: [Expiry("keep_recipients_days", failing), *real])
        erase()
        numbers = dict(Recipient.objects.values_list("campaign__owner", "number"))
        assert numbers == {account.pk: NUMBER, other.pk: "erased"}
