"""A run costs what its frozen prices say: quote ≥ hold ≥ capture, for every tariff."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import cycle
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.ledger import check_ledger
from campaigns import runs
from campaigns.models import Campaign, Run, RunStatus, Service, Source
from campaigns.recipients import editing
from campaigns.runs import hopper, run_statuses
from iris.errors import InvalidInput
from otp.services import send_otp
from telephony import tariffs
from telephony.engine import lifecycle as deliveries
from telephony.models import Cause, Channel, Delivery, DeliveryStatus, Purpose, Tariff, TariffPrice
from telephony.pricing import Rates, call_credits, sms_credits
from telephony.segments import segments_of
from tests import engine
from tests.factories import make_account, make_audio, make_campaign
from tests.telephony.tariffs.making import Row, call, make_tariff, price_of, sms

pytestmark = pytest.mark.django_db

NEPAL, INDIA, BRITAIN = "+9779841000001", "+919810000001", "+447400123456"
NUMBERS = [NEPAL, "+9779801000002", INDIA, BRITAIN]
amounts = st.decimals(0, 500, places=4)
prefixes = st.sampled_from(["9", "977", "97798", "9779841", "9779841000001", "91", "4", "44", "447400123456"])
prices = st.lists(
    st.one_of(
        st.builds(lambda prefix, credits: sms(prefix, credits), prefixes, amounts),
        st.builds(lambda *row: call(*row), prefixes, amounts, st.integers(1, 100)),
    ),
    max_size=8,
    unique_by=lambda row: row[:2],
)


def begin(rows: Sequence[Row], *numbers: str, service: Service = Service.SMS, **options: Any) -> Run:
    """Begin a campaign to these numbers with a tariff that has these prices."""
    account = make_account(credits=options.pop("credits", 100_000_000))
    make_tariff(*rows, account=account, refuses_unpriced=options.pop("refuses", False), name=f"{account.pk}")
    fields = options.pop("fields", {})
    campaign = make_campaign(owner=account, numbers=numbers or NUMBERS, service=service, **fields)
    return runs.begin(campaign=campaign, **{"message": "Namaste", **options})


def costs(run: Run) -> dict[str, Decimal]:
    return dict(Delivery.objects.filter(batch=run.pk).values_list("to", "credits"))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=prices,
    length=st.floats(0.1, 600),
    heard=st.lists(st.one_of(st.none(), st.floats(0, 5000)), min_size=8, max_size=8),
    text=st.sampled_from(["Namaste", "न" * 71, "a" * 500]),
    changed=st.booleans(),
)
def test_quote_covers_the_hold_and_the_hold_covers_what_is_captured(
    rows: list[Row], length: float, heard: list[float | None], text: str, changed: bool
) -> None:
    run = begin(
        rows,
        service=Service.BOTH,
        fields={"audio": make_audio(seconds=length)},
        source=Source.AUDIO,
        message=text,
    )
    if changed:  # what changes later does not concern the run
        TariffPrice.objects.update(credits=9999)
        Tariff.objects.update(refuses_unpriced=True)
    hopper.fill(run.pk)
    made = list(Delivery.objects.filter(batch=run.pk).order_by("pk"))
    assert len(made) == 2 * len(NUMBERS)
    assert run.hold.amount == run.cost_limit == sum(one.credit_limit for one in made)

    reports = [
        deliveries.Report(
            id=one.pk,
            status=DeliveryStatus.COMPLETED,
            at=None,
            seconds=seconds if one.channel == Channel.CALL else None,
        )
        for one, seconds in zip(made, cycle(heard), strict=False)
    ]
    deliveries.apply_reports(reports)

    lengths = {report.id: report.seconds or 0.0 for report in reports}
    for one in Delivery.objects.filter(batch=run.pk):
        row = price_of(rows, Channel(one.channel), one.to)
        if one.channel == Channel.SMS:
            rates = Rates(Decimal(row[2]), None, 1) if row else None
            assert one.credits == one.credit_limit == sms_credits(segments_of(text), rates)
        else:
            rates = Rates(None, Decimal(row[2]), row[3] or 0) if row else None
            assert one.credit_limit == call_credits(length, rates)
            assert one.credits == min(one.credit_limit, call_credits(lengths[one.pk], rates))
    run.hold.refresh_from_db()
    assert run.hold.captured <= run.hold.amount
    assert check_ledger().differences == ()


def test_each_destination_costs_its_own_price_and_the_rest_is_released() -> None:
    run = begin([sms("977", "1.5"), sms("9779801", "0.333"), sms("91", "4")])
    assert run.hold.amount == Decimal("1.5") + Decimal("0.33") + 4 + 1
    assert (run.sms_limit, run.is_capped) == (4, False)
    engine.run_to_the_end()
    assert costs(run) == {
        NEPAL: Decimal("1.5"),
        NUMBERS[1]: Decimal("0.33"),
        INDIA: 4,
        BRITAIN: 1,  # the settings
    }
    run.campaign.owner.refresh_from_db()
    assert run.campaign.owner.balance == 100_000_000 - Decimal("6.83")
    assert check_ledger().differences == ()


def test_numbers_that_cannot_exist_cost_nothing_and_are_not_refused() -> None:
    run = begin([sms("977", "2")], NEPAL, "1234567", refuses=True)
    assert run.hold.amount == 3
    engine.run_to_the_end()
    assert costs(run) == {NEPAL: 2, "": 0}
    run.hold.refresh_from_db()
    assert run.hold.remaining == 0


class TestUnpriced:
    def test_destinations_without_a_price_are_refused_with_their_prefixes(self) -> None:
        numbers = [NEPAL, *(f"+44740012345{n}" for n in range(3)), INDIA]
        with pytest.raises(InvalidInput) as caught:
            begin([sms("977", "1")], *numbers, refuses=True)
        assert caught.value.code == "no_price"
        assert caught.value.message == (
            "4 of 5 numbers are at destinations that this account has no price for: +4474… (3), +9198… (1)."
            " Remove these numbers, or ask the operator for a price."
        )
        assert not Run.objects.exists()

    def test_both_channels_of_a_number_need_a_price(self) -> None:
        rows = [sms("977", "1"), call("977", "2"), sms("91", "1")]
        recorded = {"audio": make_audio()}
        options: dict[str, Any] = {"source": Source.AUDIO, "refuses": True}
        begin(rows, NEPAL, service=Service.CALL, fields=recorded, **options)
        for service, fields in [
            (Service.CALL, {}),
            (Service.BOTH, {}),
            (Service.CALL, {"failover_statuses": [DeliveryStatus.UNANSWERED]}),
        ]:
            with pytest.raises(InvalidInput, match=r"\+9198… \(1\)"):
                begin(rows, NEPAL, INDIA, service=service, fields={**recorded, **fields}, **options)
        with pytest.raises(InvalidInput, match=r"\+9779… \(1\)"):
            begin(
                [call("977", "1")],
                NEPAL,
                service=Service.CALL,
                fields={**recorded, "failover_statuses": [DeliveryStatus.UNANSWERED]},
                **options,
            )

    def test_only_the_recipients_of_the_run_need_a_price(self) -> None:
        account = make_account(credits=100)
        make_tariff(sms("977", "1"), account=account, refuses_unpriced=True)
        campaign = make_campaign(owner=account, numbers=[NEPAL, INDIA])
        first = campaign.recipients.order_by("pk")[0]
        run = runs.begin(campaign=campaign, message="Namaste", individual=[first.pk], trial=True)
        assert (run.recipient_count, run.hold.amount) == (1, 1)

    def test_a_tariff_without_prices_refuses_everything(self) -> None:
        with pytest.raises(InvalidInput, match=r"2 of 2 numbers .* \+9198… \(1\), \+9779… \(1\)"):
            begin([], NEPAL, INDIA, refuses=True)

    def test_a_recipient_who_has_no_price_after_all_is_not_reached(self) -> None:
        run = begin([sms("977", "1")], NEPAL, "+9779801000002", refuses=True)
        run.campaign.recipients.filter(to=NEPAL).update(to=INDIA)  # as no verb of iris does
        engine.run_to_the_end()
        refused = Delivery.objects.get(to=INDIA)
        assert (refused.status, refused.cause, refused.credits) == (DeliveryStatus.FAILED, Cause.NO_PRICE, 0)
        assert refused.ref == ""


class TestFreezing:
    def test_prices_changed_between_begin_and_end_do_not_count(self) -> None:
        run = begin([sms("977", "2")], NEPAL)
        TariffPrice.objects.update(credits=50)
        engine.run_to_the_end()
        assert costs(run) == {NEPAL: 2}
        again = runs.begin(campaign=run.campaign, message="Namaste")
        assert again.hold.amount == 50

    def test_settings_changed_between_begin_and_end_do_not_count(self, settings: Any) -> None:
        settings.IRIS_SMS_CREDITS = Decimal(2)
        run = runs.begin(campaign=make_campaign(numbers=[NEPAL]), message="Namaste")
        settings.IRIS_SMS_CREDITS = Decimal(1)
        engine.run_to_the_end()
        assert costs(run) == {NEPAL: 2}

    def test_a_scheduled_run_that_is_replaced_has_the_prices_of_that_time(self) -> None:
        run = begin([sms("977", "2"), sms("91", "7")], NEPAL, starts_at=timezone.now() + timedelta(hours=1))
        TariffPrice.objects.filter(prefix="977").update(credits=3)
        editing.add_recipient(campaign=run.campaign, number=INDIA)
        live = run_statuses.live_run(run.campaign_id)
        assert live is not None
        assert live.hold.amount == 10

    def test_a_run_of_the_previous_release_goes_on_with_the_settings(self, settings: Any) -> None:
        settings.IRIS_SMS_CREDITS = Decimal(3)
        run = begin([sms("977", "2")], NEPAL)
        Run.objects.filter(pk=run.pk).update(
            prices=None, longest_call=None, most_segments=None, cost_limit=None, sms_limit=2
        )
        engine.run_to_the_end()
        assert costs(run) == {NEPAL: 2}  # no more than is held for it

    def test_a_call_of_the_previous_release_costs_what_the_settings_say(self, settings: Any) -> None:
        settings.IRIS_CALL_CREDITS, settings.IRIS_CALL_PULSE_SECONDS = Decimal("0.5"), 10
        account = make_account(credits=100)
        make_tariff(call("977", "9"), account=account)
        campaign = make_campaign(
            owner=account, numbers=[NEPAL], service=Service.CALL, audio=make_audio(seconds=60)
        )
        run = runs.begin(campaign=campaign, source=Source.AUDIO)
        hopper.fill(run.pk)
        Delivery.objects.update(pulse_credits=None, pulse_seconds=None)
        done = DeliveryStatus.COMPLETED
        deliveries.apply_reports(
            [deliveries.Report(id=Delivery.objects.get().pk, status=done, at=None, seconds=25.0)]
        )
        assert costs(run) == {NEPAL: Decimal("1.5")}


class TestSpendingLimit:
    ROWS = (sms("977", "1"), sms("91", "6"))

    def test_it_must_cover_the_most_expensive_number(self) -> None:
        with pytest.raises(InvalidInput, match="too low for one number, which can cost up to 6"):
            begin(self.ROWS, NEPAL, INDIA, fields={"spending_limit": Decimal(5)})

    def test_it_is_spent_on_the_first_numbers_that_it_pays_for(self) -> None:
        numbers = ["+919810000001", *(f"+97798410000{n:02}" for n in range(10))]
        run = begin(self.ROWS, *numbers, fields={"spending_limit": Decimal(9)})
        assert (run.hold.amount, run.cost_limit, run.is_capped) == (9, 16, True)
        engine.run_to_the_end()
        assert sorted(costs(run).values()) == [1, 1, 1, 6]
        run.refresh_from_db()
        assert run.status == RunStatus.COMPLETED

    def test_a_sum_of_different_prices_is_no_spending_limit(self) -> None:
        numbers = [INDIA, *(f"+97798410000{n:02}" for n in range(10))]
        run = begin(self.ROWS, *numbers)
        assert (run.hold.amount, run.is_capped) == (16, False)
        engine.run_to_the_end()
        assert sum(costs(run).values()) == 16


class TestOtp:
    def test_an_otp_costs_the_price_of_its_number(self) -> None:
        account = make_account(credits=100)
        make_tariff(sms("977", "1.25"), call("97798", "3", 1), account=account)
        one = send_otp(account=account, number=NEPAL, message="{otp}", channel=Channel.SMS)
        other = send_otp(account=account, number=NEPAL, message="{otp}", channel=Channel.CALL)
        assert one.hold is not None
        assert other.hold is not None
        call_made = Delivery.objects.get(purpose=Purpose.OTP, channel=Channel.CALL)
        assert call_made.audio is not None
        assert one.hold.amount == Decimal("1.25")
        rates = tariffs.rates_now(account, NEPAL)
        assert other.hold.amount == call_credits(call_made.audio.seconds, rates)
        TariffPrice.objects.update(credits=50)
        engine.run_to_the_end()
        call_made.refresh_from_db()
        assert call_made.credits == call_credits(call_made.seconds or 0, rates)

    @pytest.mark.parametrize("channel", Channel)
    def test_an_otp_to_a_destination_without_a_price_is_refused(self, channel: Channel) -> None:
        account = make_account(credits=100)
        make_tariff(account=account, refuses_unpriced=True)
        with pytest.raises(InvalidInput, match=r"no price for .* to \+977") as caught:
            send_otp(account=account, number=NEPAL, message="{otp}", channel=channel)
        assert caught.value.code == "no_price"
        account.refresh_from_db()
        assert account.balance == 100


def test_filling_needs_no_more_queries_for_many_prices_and_recipients() -> None:
    def queries(count: int, rows: Sequence[Row]) -> int:
        run = begin(rows, *(f"+97798410{n:05}" for n in range(count)))
        hopper.fill(run.pk)  # reads the frozen list
        Run.objects.filter(pk=run.pk).update(cursor=0, filled_at=None)
        Delivery.objects.all().delete()
        with CaptureQueriesContext(connection) as context:
            assert hopper.fill(run.pk) == count
        return len(context)

    few = queries(2, [])
    many = [sms(f"9779841{n:04}", Decimal(n) / 4) for n in range(2000)]
    assert queries(300, many) == few


@pytest.mark.django_db(transaction=True)
def test_a_tariff_that_changes_while_runs_begin_gives_each_run_one_price() -> None:
    account = make_account(credits=100_000)
    tariff = make_tariff(sms("977", "1"), sms("97798", "1"), account=account)
    campaigns = [make_campaign(owner=account, numbers=[NEPAL, "+9779741000001"]) for _ in range(12)]
    stop = threading.Event()

    def change() -> None:
        try:
            for credits in cycle(range(1, 50)):
                if stop.is_set():
                    return
                TariffPrice.objects.filter(tariff=tariff).update(credits=credits)
        finally:
            connection.close()

    changing = threading.Thread(target=change)
    changing.start()
    try:
        begun: list[tuple[Campaign, Run]] = [
            (campaign, runs.begin(campaign=campaign, message="Namaste")) for campaign in campaigns
        ]
    finally:
        stop.set()
        changing.join()
    for _, run in begun:
        assert run.hold.amount == 2 * run.sms_limit  # both prices are of the same moment
        hopper.fill(run.pk)
        limits = Delivery.objects.filter(batch=run.pk).values_list("credit_limit", flat=True)
        assert list(limits) == [run.sms_limit] * 2
    assert check_ledger().differences == ()
