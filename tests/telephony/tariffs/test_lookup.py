"""The longest prefix decides what a number costs, in Python and in SQL alike."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from accounts import departments, twins
from telephony import tariffs
from telephony.models import Channel, PriceList, Tariff, TariffOfAccount, TariffPrice
from telephony.pricing import Rates, call_credits, call_credits_sql, rates_of_settings
from telephony.tariffs import price_lists, ranges
from telephony.tariffs.price_lists import range_sql
from tests.factories import make_account
from tests.telephony.tariffs.making import Row, call, make_tariff, price_of, sms

pytestmark = pytest.mark.django_db
OTHERS = Rates(Decimal("7.5"), Decimal("9.25"), 45)

# Few digits, so that prefixes enclose each other, touch each other, and end where numbers end.
digits = st.sampled_from("019")
prefixes = st.builds("{}{}".format, st.sampled_from("19"), st.text(digits, max_size=14))
numbers = st.builds("+{}{}".format, st.sampled_from("19"), st.text(digits, min_size=1, max_size=14))
amounts = st.decimals(0, 10_000, places=4)
prices = st.lists(
    st.one_of(
        st.builds(lambda prefix, credits: sms(prefix, credits), prefixes, amounts),
        st.builds(
            lambda prefix, credits, pulse: call(prefix, credits, pulse),
            prefixes,
            amounts,
            st.integers(1, 3600),
        ),
    ),
    max_size=12,
    unique_by=lambda row: row[:2],
)


def expected(rows: list[Row], to: str, others: Rates) -> Rates:
    text, voice = (price_of(rows, channel, to) for channel in (Channel.SMS, Channel.CALL))
    own = others.sms if text is None else Decimal(text[2])
    if voice is None:
        return Rates(own, others.call, others.pulse_seconds)
    return Rates(own, Decimal(voice[2]), voice[3] or 0)


def divided(rows: list[Row], others: Rates) -> ranges.Ranges:
    found: dict[str, Rates] = {}
    for channel, prefix, credits, pulse in rows:
        known = found.get(prefix, Rates(None, None, 1))
        found[prefix] = (
            known._replace(sms=Decimal(credits))
            if channel == Channel.SMS
            else known._replace(call=Decimal(credits), pulse_seconds=pulse or 1)
        )
    return ranges.divide(found, others=others)


@settings(max_examples=150)
@given(rows=prices, to=st.lists(numbers, min_size=1, max_size=8))
@example(rows=[sms("10", "1"), sms("1000", "2")], to=["+10", "+100", "+1000", "+10000", "+11"])
@example(rows=[sms("19", "1"), sms("199", "2"), sms("1", "3")], to=["+1", "+19", "+199", "+2"])
def test_ranges_find_the_longest_prefix(rows: list[Row], to: list[str]) -> None:
    found = divided(rows, OTHERS)
    assert found.starts == sorted(set(found.starts))
    frozen = price_lists.Prices(None, found.starts, found.places, tuple(found.rates), OTHERS)
    for number in to:
        want = expected(rows, number, OTHERS)
        assert frozen.of(number) == want


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=prices, to=st.lists(numbers, min_size=1, max_size=30), refuses=st.booleans())
def test_python_and_sql_look_up_the_same_rates(rows: list[Row], to: list[str], refuses: bool) -> None:
    account = make_account()
    make_tariff(*rows, account=account, refuses_unpriced=refuses, name=f"of {account.pk}")

    frozen = tariffs.current_prices(account)

    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT {range_sql('r."to"')} FROM unnest(%s::text[]) WITH ORDINALITY AS r ("to", place) ORDER BY place""",
            [frozen.pk, [*to, ""]],
        )
        found = [row[0] for row in cursor.fetchall()]
    assert found[-1] == price_lists.INVALID
    for number, one in zip(to, found, strict=False):
        rates = frozen.at(frozen.place_in(one))
        assert rates == frozen.of(number) == tariffs.rates_now(account, number)
    assert frozen.of("") == rates_of_settings()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    calls=st.lists(
        st.tuples(
            st.one_of(st.floats(0, 100_000), st.integers(0, 4000).map(lambda n: n / 8), st.just(60.0005)),
            amounts,
            st.integers(1, 3600),
        ),
        min_size=1,
        max_size=50,
    )
)
def test_python_and_sql_price_calls_alike(calls: list[tuple[float, Decimal, int]]) -> None:
    sql = call_credits_sql(pulse_credits="rate", seconds="seconds", pulse_seconds="pulse")
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT {sql} FROM unnest(%s::float8[], %s::numeric[], %s::integer[]) WITH ORDINALITY
                    AS c (seconds, rate, pulse, place) ORDER BY place""",
            [list(column) for column in zip(*calls, strict=True)],
        )
        found = [row[0] for row in cursor.fetchall()]
    assert found == [call_credits(seconds, Rates(None, rate, pulse)) for seconds, rate, pulse in calls]


class TestChoice:
    def test_own_tariff_comes_before_the_parents_and_the_default(self) -> None:
        parent = make_account()
        department = departments.create(parent=parent, name="Ward 5")
        assert tariffs.tariff_of(department) is None
        default = make_tariff(is_default=True)
        assert tariffs.tariff_of(department) == default
        above = make_tariff(account=parent)
        assert tariffs.tariff_of(department) == above
        own = make_tariff(account=department)
        assert (tariffs.tariff_of(department), tariffs.tariff_of(parent)) == (own, above)
        assert tariffs.tariff_of(make_account()) == default

    def test_a_test_twin_has_the_tariff_of_its_account(self) -> None:
        parent = make_account()
        department = departments.create(parent=parent, name="Ward 5")
        above = make_tariff(account=parent)
        assert tariffs.tariff_of(twins.open_twin(account=department)) == above
        own = make_tariff(account=department)
        assert tariffs.tariff_of(twins.open_twin(account=department)) == own

    def test_without_a_tariff_the_settings_count(self, settings: Any) -> None:
        account = make_account()
        settings.IRIS_SMS_CREDITS = Decimal("0.35")
        assert tariffs.current_prices(account).of("+9779841000001").sms == Decimal("0.35")
        settings.IRIS_SMS_CREDITS = Decimal("0.45")
        assert tariffs.current_prices(account).of("+9779841000001").sms == Decimal("0.45")


class TestFreezing:
    def test_runs_share_a_list_until_a_price_changes(self) -> None:
        account = make_account()
        tariff = make_tariff(sms("977", "1"), account=account)
        first = tariffs.current_prices(account)
        assert tariffs.current_prices(account).pk == first.pk
        to = "+9779841000001"
        # Whatever changes prices: a save, SQL, a deletion.
        TariffPrice.objects.filter(tariff=tariff).update(credits=2)
        second = tariffs.current_prices(account)
        TariffPrice.objects.create(tariff=tariff, channel=Channel.SMS, prefix="97798", credits=3)
        third = tariffs.current_prices(account)
        TariffPrice.objects.filter(prefix="97798").delete()
        fourth = tariffs.current_prices(account)
        Tariff.objects.update(refuses_unpriced=True)
        assert tariffs.current_prices(account).of("+15551234567").sms is None
        assert [one.of(to).sms for one in (first, second, third, fourth)] == [1, 2, 3, 2]
        price_lists.frozen_prices.cache_clear()
        assert first.pk is not None
        assert price_lists.frozen_prices(first.pk).of(to).sms == 1

    def test_moving_a_price_changes_both_tariffs(self) -> None:
        one, other = make_tariff(sms("977", "1")), make_tariff()
        before = list(Tariff.objects.order_by("pk").values_list("revision", flat=True))
        TariffPrice.objects.filter(tariff=one).update(tariff=other)
        after = list(Tariff.objects.order_by("pk").values_list("revision", flat=True))
        assert [new > old for new, old in zip(after, before, strict=True)] == [True, True]

    def test_a_frozen_list_cannot_be_changed(self) -> None:
        tariffs.current_prices(make_account())
        with pytest.raises(Exception, match="never changes"):
            PriceList.objects.update(rates=[])

    def test_prices_that_change_before_they_are_read_have_the_key_of_their_revision(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        account = make_account()
        make_tariff(sms("977", "1"), account=account)
        really = price_lists._freeze

        def freeze(tariff: Tariff | None) -> Any:
            TariffPrice.objects.update(credits=2)  # by another process
            return really(tariff)

        monkeypatch.setattr(price_lists, "_freeze", freeze)
        first = tariffs.current_prices(account)
        assert first.of("+9779841000001").sms == 2
        assert tariffs.current_prices(account).pk == first.pk

    def test_an_account_given_another_tariff_has_its_prices(self) -> None:
        account = make_account()
        make_tariff(sms("977", "1"), account=account)
        other = make_tariff(sms("977", "5"))
        TariffOfAccount.objects.filter(account=account).update(tariff=other)
        assert tariffs.current_prices(account).of("+9779841000001").sms == 5
