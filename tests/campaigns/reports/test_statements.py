"""Test statements: they add up to the cent, and closed days stay as they are."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import hypothesis.strategies as st
import pytest
from django.core.management import call_command
from django.db import Error, connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings

from accounts import append_only, credits, statements
from accounts.credits import Capture
from accounts.models import Account, ClosedDay, CreditHold, Statement
from campaigns.reports.statements import SETTLING, close_days
from iris.errors import InvalidInput
from telephony.models import Channel
from tests.campaigns.reports.bookings import (
    DAY,
    assert_adds_up,
    close_until_yesterday,
    make_sent_campaign,
    move_bookings_back,
    shown_lines,
    today,
)
from tests.factories import make_account, make_campaign, make_delivery
from tests.scale import at_scale


class TestLines:
    def test_lines_are_by_kind_campaign_and_channel(self, sita: Account) -> None:
        campaign = make_sent_campaign(sita)
        credits.charge(account=sita, amount=Decimal(5), cause="phone_number:7:abc")
        shown = assert_adds_up(sita, first=today(), last=today())
        assert (shown.opening_balance, shown.closing_balance) == (0, 94)
        one, three = Decimal(1), Decimal(3)
        assert shown_lines(shown) == [
            (today(), "capture", "campaign", campaign.pk, "sms", 1, one, Decimal(0), -one),
            (today(), "charge", "phone_number", None, "", 1, Decimal(5), Decimal(-5), Decimal(0)),
            (today(), "hold", "campaign", campaign.pk, "", 1, three, -three, three),
            (today(), "release", "campaign", campaign.pk, "", 1, Decimal(2), Decimal(2), Decimal(-2)),
            (today(), "topup", "", None, "", 1, Decimal(100), Decimal(100), Decimal(0)),
        ]
        assert shown.names == {campaign.pk: "Sample"}

    def test_calls_and_sms_of_a_campaign_are_two_lines(self, sita: Account) -> None:
        campaign = make_campaign(owner=sita)
        hold = credits.hold(account=sita, amount=Decimal(10), cause=f"campaign:{campaign.pk}:run:1")
        for channel, price in ((Channel.CALL, 2), (Channel.SMS, 1), (Channel.SMS, 1)):
            cause = f"delivery:{make_delivery(owner=sita, channel=channel).pk}"
            credits.capture_many(captures=[Capture(hold_id=hold.pk, amount=Decimal(price), cause=cause)])
        shown = assert_adds_up(sita, first=today(), last=today())
        captured = {one.line.channel: one.line[4:6] for one in shown.lines if one.line.kind == "capture"}
        assert captured == {"call": (1, Decimal(2)), "sms": (2, Decimal(2))}

    def test_top_up_whose_cause_looks_like_a_delivery_has_no_channel(self, sita: Account) -> None:
        delivery = make_delivery(owner=sita)
        credits.top_up(account=sita, amount=Decimal(1), cause=f"delivery:{delivery.pk}")
        credits.top_up(account=sita, amount=Decimal(1), cause="delivery:" + "9" * 40)
        shown = assert_adds_up(sita, first=today(), last=today())
        assert {one.line.channel for one in shown.lines} == {""}

    def test_statement_contains_nothing_of_other_accounts(self, sita: Account) -> None:
        make_sent_campaign(make_account(credits=50))
        shown = assert_adds_up(sita, first=today(), last=today())
        assert [one.line.amount for one in shown.lines] == [Decimal(100)]

    def test_account_without_entries_has_an_empty_statement(self, db: None) -> None:
        shown = assert_adds_up(make_account(), first=today(), last=today())
        assert (shown.opening_balance, shown.lines, shown.closing_balance, shown.hash) == (0, [], 0, "")


class TestClosing:
    def test_closed_days_show_the_same_lines_as_before(self, sita: Account) -> None:
        make_sent_campaign(sita)
        move_bookings_back(40)
        make_sent_campaign(sita, name="Later", channel=Channel.CALL)
        move_bookings_back(3)
        credits.top_up(account=sita, amount=Decimal("0.05"))
        span = {"first": today() - 60 * DAY, "last": today()}
        before = assert_adds_up(sita, **span)
        closed = close_until_yesterday()
        # In the first hours of a day, the first booking may belong to the day before.
        first = timezone.localdate(timezone.now() - 43 * DAY - SETTLING)
        assert closed == [first + days * DAY for days in range((today() - first).days)]
        after = assert_adds_up(sita, **span)
        assert shown_lines(after) == shown_lines(before)
        assert before.closed_until is None
        assert after.closed_until == today() - DAY
        assert close_until_yesterday() == []

    def test_day_is_closed_only_when_it_has_settled(self, sita: Account) -> None:
        ends_at = timezone.make_aware(datetime.combine(today() + DAY, datetime.min.time()))
        assert today() not in list(close_days(now=ends_at + SETTLING - timedelta(seconds=1)))
        assert list(close_days(now=ends_at + SETTLING)) == [today()]

    def test_statement_begins_with_the_closing_of_the_day_before(self, sita: Account) -> None:
        move_bookings_back(10)
        close_until_yesterday()
        make_sent_campaign(sita)
        shown = assert_adds_up(sita, first=today(), last=today())
        assert (shown.opening_balance, shown.closing_balance) == (100, 99)
        assert assert_adds_up(sita, first=today() - 5 * DAY, last=today() - 4 * DAY).lines == []

    def test_opening_contains_days_that_are_not_closed_yet(self, sita: Account) -> None:
        move_bookings_back(1)
        make_sent_campaign(sita)
        shown = assert_adds_up(sita, first=today(), last=today())
        assert (shown.opening_balance, shown.closing_balance) == (100, 99)

    def test_entries_whose_ids_are_not_in_the_order_of_time_are_shown_once(self, sita: Account) -> None:
        move_bookings_back(20)
        midnight = timezone.make_aware(datetime.combine(today() - 3 * DAY, datetime.min.time()))
        for seconds in (60, -60, 30, -30):  # in the order of their ids
            credits.top_up(account=sita, amount=Decimal(1))
            with connection.cursor() as cursor:
                cursor.execute(append_only.ALLOW_CHANGES)
                cursor.execute(
                    "UPDATE accounts_creditentry SET created_at = %s WHERE id = (SELECT max(id) FROM accounts_creditentry)",
                    [midnight + timedelta(seconds=seconds)],
                )
                cursor.execute(append_only.FORBID_CHANGES)
        list(close_days(now=midnight + SETTLING))
        shown = assert_adds_up(sita, first=today() - 10 * DAY, last=today())
        assert [(one.day, one.line.entries) for one in shown.lines] == [
            (today() - 4 * DAY, 2),
            (today() - 3 * DAY, 2),
        ]
        close_until_yesterday()
        assert shown_lines(assert_adds_up(sita, first=today() - 10 * DAY, last=today())) == shown_lines(shown)

    def test_end_of_a_day_is_found_among_many_entries(
        self, sita: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("campaigns.reports.statements.PROBE", 1)
        for _ in range(4):
            for _ in range(5):
                credits.top_up(account=sita, amount=Decimal(1))
            move_bookings_back(1)
        close_until_yesterday()
        assert [one.entries for one in Statement.objects.order_by("day")] == [6, 5, 5, 5]
        assert list(statements.verify(sita)) == []

    def test_change_of_the_time_zone_loses_no_entry(self, sita: Account, settings: Any) -> None:
        move_bookings_back(2)
        close_until_yesterday()
        make_sent_campaign(sita)
        for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
            settings.TIME_ZONE = zone
            # Between 10 and 11 o'clock UTC the dates of these zones differ by two days.
            assert_adds_up(sita, first=today() - 10 * DAY, last=today() + 2 * DAY)
            list(close_days(now=timezone.now() + 2 * DAY))
            assert_adds_up(sita, first=today() - 10 * DAY, last=today() + 5 * DAY)
        assert list(statements.verify(sita)) + list(statements.verify_days()) == []

    def test_statements_cannot_be_changed_or_deleted(self, sita: Account) -> None:
        move_bookings_back(2)
        close_until_yesterday()
        for model in (Statement, ClosedDay):
            for sql in (
                f"UPDATE {model._meta.db_table} SET day = day + 1000",
                f"DELETE FROM {model._meta.db_table}",
            ):
                with (
                    pytest.raises(Error, match="never changed"),
                    transaction.atomic(),
                    connection.cursor() as cursor,
                ):
                    cursor.execute(sql)
            with pytest.raises(TypeError):
                model.objects.latest("pk").save()
            with pytest.raises(TypeError):
                model.objects.latest("pk").delete()

    def test_command_closes_days(self, sita: Account, capsys: pytest.CaptureFixture[str]) -> None:
        move_bookings_back(3)
        call_command("closestatements")
        assert "Closed 3 days" in capsys.readouterr().out
        call_command("closestatements")
        assert "Nothing to do" in capsys.readouterr().out


kinds = st.sampled_from(["topup", "charge", "hold", "capture", "release", "back", "close"])
steps = st.lists(
    st.tuples(kinds, st.decimals(Decimal("0.01"), Decimal(30), places=2), st.integers(0, 3)), max_size=25
)


@pytest.mark.field
@pytest.mark.django_db
@hypothesis_settings(
    max_examples=at_scale(15, 500), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=steps)
def test_statements_add_up_after_any_sequence_of_bookings(steps: list[tuple[str, Decimal, int]]) -> None:
    with transaction.atomic():
        account, other = make_account(credits=100), make_account(credits=100)
        for number, (kind, amount, chosen) in enumerate(steps):
            holds = list(CreditHold.objects.filter(account=account).order_by("pk"))
            hold = holds[chosen % len(holds)] if holds else None
            try:
                with transaction.atomic():
                    if kind == "topup":
                        credits.top_up(account=account if chosen else other, amount=amount)
                    elif kind == "charge":
                        credits.charge(account=account, amount=amount, cause=f"charge:{number}")
                    elif kind == "hold":
                        credits.hold(account=account, amount=amount, cause=f"campaign:{chosen}:run:{number}")
                    elif kind == "capture" and hold:
                        credits.capture_many(
                            captures=[Capture(hold_id=hold.pk, amount=amount, cause=f"delivery:{number}")]
                        )
                    elif kind == "release" and hold:
                        credits.release(
                            hold_id=hold.pk, keep=amount if chosen else Decimal(0), cause=f"r{number}"
                        )
                    elif kind == "back":
                        move_bookings_back(chosen + 1)
                    elif kind == "close":
                        close_until_yesterday()
            except (credits.InsufficientCredits, credits.HoldExceeded, InvalidInput):
                pass
        first = today() - 200 * DAY
        whole = assert_adds_up(account, first=first, last=today())
        for cut in (1, 3, 30):
            until = today() - cut * DAY
            early = assert_adds_up(account, first=first, last=until)
            late = assert_adds_up(account, first=until + DAY, last=today())
            assert (early.closing_balance, early.closing_held) == (late.opening_balance, late.opening_held)
            assert shown_lines(early) + shown_lines(late) == shown_lines(whole)
        close_until_yesterday()
        assert shown_lines(assert_adds_up(account, first=first, last=today())) == shown_lines(whole)
        assert list(statements.verify(account)) + list(statements.verify(other)) == []
        transaction.set_rollback(True)
