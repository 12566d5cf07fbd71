"""Test statements: they add up to the cent, agree with the ledger, and show every change that was made behind its back."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date, datetime, timedelta
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
from accounts.models import Account, ClosedDay, CreditEntry, CreditHold, Statement
from accounts.statements import Line
from campaigns.reports.statements import MAX_LINES, SETTLING, close_days, statement
from iris.errors import InvalidInput
from telephony.models import Channel, Purpose
from tests.factories import make_account, make_campaign, make_delivery
from tests.scale import at_scale
from tests.v0 import Caller

PATH = "/api/system/credits/statement/"
DAY = timedelta(days=1)
FORGE = """
    INSERT INTO accounts_creditentry
           (user_id, kind, amount, balance_delta, held_delta, cause, note, created_at)
    SELECT user_id, kind, amount, balance_delta, 0, 'forged', '', created_at{}
      FROM accounts_creditentry WHERE id = %s
"""


def today() -> date:
    return timezone.localdate()


def move_bookings_back(days: int) -> None:
    """Date the entries that are in no statement `days` earlier, but never into a closed day."""
    with connection.cursor() as cursor:
        cursor.execute(append_only.ALLOW_CHANGES)
        cursor.execute(
            """WITH closed AS (SELECT coalesce(max(ends_at), '-infinity') AS until FROM accounts_closedday)
               UPDATE accounts_creditentry SET created_at = greatest(created_at - make_interval(days => %s), until)
                 FROM closed WHERE created_at >= until""",
            [days],
        )
        cursor.execute(append_only.FORBID_CHANGES)


def make_sent_campaign(account: Account, *, name: str = "Sample", channel: Channel = Channel.SMS) -> Any:
    """Book what a run of three credits books for two deliveries, of which one is paid."""
    campaign = make_campaign(owner=account, name=name)
    hold = credits.hold(account=account, amount=Decimal(3), cause=f"campaign:{campaign.pk}:run:1")
    delivery = make_delivery(owner=account, channel=channel, purpose=Purpose.CAMPAIGN)
    credits.capture_many(
        captures=[Capture(hold_id=hold.pk, amount=Decimal(1), cause=f"delivery:{delivery.pk}")]
    )
    credits.release(hold_id=hold.pk, cause=f"run:{campaign.pk}:finished")
    return campaign


def shown_lines(shown: Any) -> list[tuple[Any, ...]]:
    return [(one.day, *one.line) for one in shown.lines]


def assert_adds_up(account: Account, *, first: date, last: date) -> Any:
    shown = statement(account=account, first=first, last=last)
    balance = sum((one.line.balance for one in shown.lines), Decimal(0))
    held = sum((one.line.held for one in shown.lines), Decimal(0))
    assert shown.closing_balance == shown.opening_balance + balance
    assert shown.closing_held == shown.opening_held + held
    if last >= today():
        account.refresh_from_db(fields=["balance"])
        assert shown.closing_balance == account.balance
        assert shown.closing_held == sum(
            (hold.remaining for hold in CreditHold.objects.filter(account=account)), Decimal(0)
        )
    return shown


@pytest.fixture
def sita(db: None) -> Account:
    return make_account(email="sita@example.com", credits=100, name="Sita")


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
        closed = list(close_days())
        assert closed == [today() - days * DAY for days in range(43, 0, -1)]
        after = assert_adds_up(sita, **span)
        assert shown_lines(after) == shown_lines(before)
        assert before.closed_until is None
        assert after.closed_until == today() - DAY
        assert list(close_days()) == []

    def test_day_is_closed_only_when_it_has_settled(self, sita: Account) -> None:
        ends_at = timezone.make_aware(datetime.combine(today() + DAY, datetime.min.time()))
        assert list(close_days(now=ends_at + SETTLING - timedelta(seconds=1))) == []
        assert list(close_days(now=ends_at + SETTLING)) == [today()]

    def test_statement_begins_with_the_closing_of_the_day_before(self, sita: Account) -> None:
        move_bookings_back(10)
        list(close_days())
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
            (today(), 1),
        ]
        list(close_days())
        assert shown_lines(assert_adds_up(sita, first=today() - 10 * DAY, last=today())) == shown_lines(shown)

    def test_end_of_a_day_is_found_among_many_entries(
        self, sita: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("campaigns.reports.statements.PROBE", 1)
        for _ in range(4):
            for _ in range(5):
                credits.top_up(account=sita, amount=Decimal(1))
            move_bookings_back(1)
        list(close_days())
        assert [one.entries for one in Statement.objects.order_by("day")] == [6, 5, 5, 5]
        assert list(statements.verify(sita)) == []

    def test_change_of_the_time_zone_loses_no_entry(self, sita: Account, settings: Any) -> None:
        move_bookings_back(2)
        list(close_days())
        make_sent_campaign(sita)
        for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
            settings.TIME_ZONE = zone
            assert_adds_up(sita, first=today() - 10 * DAY, last=today() + DAY)
            list(close_days(now=timezone.now() + 2 * DAY))
            assert_adds_up(sita, first=today() - 10 * DAY, last=today() + 5 * DAY)
        assert list(statements.verify(sita)) + list(statements.verify_days()) == []

    def test_statements_cannot_be_changed_or_deleted(self, sita: Account) -> None:
        move_bookings_back(2)
        list(close_days())
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


class TestVerifying:
    @pytest.fixture
    def closed(self, sita: Account) -> Account:
        """Return an account with three closed days of which the last is yesterday."""
        for _ in range(3):
            make_sent_campaign(sita)
            credits.top_up(account=sita, amount=Decimal(7))
            move_bookings_back(1)
        list(close_days())
        assert list(statements.verify(sita)) == []
        return sita

    @pytest.fixture
    def superuser(self) -> Iterator[Any]:
        """Return a cursor of somebody who may disable triggers."""
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            tables = ("accounts_creditentry", "accounts_statement", "accounts_closedday")
            for table in tables:
                cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
            yield cursor
            for table in tables:
                cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER append_only")

    @pytest.mark.parametrize(
        ("sql", "said"),
        [
            (
                "UPDATE accounts_creditentry SET note = 'x' WHERE id = %s",
                "an entry of the ledger was changed",
            ),
            (
                "UPDATE accounts_creditentry SET cause = 'x' WHERE id = %s",
                "an entry of the ledger was changed",
            ),
            (
                "UPDATE accounts_creditentry SET amount = 8, balance_delta = 8 WHERE id = %s",
                "topup 7.00 in the statement and 8.00 in the ledger",
            ),
            ("DELETE FROM accounts_creditentry WHERE id = %s", "has 4 entries, but the ledger has 3"),
            (
                "UPDATE accounts_creditentry SET created_at = now() WHERE id = %s",
                "has 4 entries, but the ledger has 3",
            ),
            (
                FORGE.format(""),
                "has 4 entries, but the ledger has 5",
            ),
            (
                FORGE.format(" - interval '1 year'"),
                "before the first closed day: the ledger has 1 entry",
            ),
        ],
    )
    def test_changed_removed_or_inserted_entry_is_reported(
        self, closed: Account, superuser: Any, sql: str, said: str
    ) -> None:
        entry = CreditEntry.objects.filter(account=closed, kind="topup", amount=7).latest("pk")
        superuser.execute(sql, [entry.pk])
        assert any(said in sentence for sentence in statements.verify(closed)), list(
            statements.verify(closed)
        )

    @pytest.mark.parametrize(
        ("sql", "said"),
        [
            ("UPDATE accounts_statement SET closing_balance = 1 WHERE id = %s", "the statement was changed"),
            ("UPDATE accounts_statement SET lines = '[]' WHERE id = %s", "the statement was changed"),
            ("DELETE FROM accounts_statement WHERE id = %s", "the statement before was changed, removed"),
        ],
    )
    def test_changed_or_removed_statement_is_reported(
        self, closed: Account, superuser: Any, sql: str, said: str
    ) -> None:
        middle = Statement.objects.filter(account=closed).order_by("day")[1]
        superuser.execute(sql, [middle.pk])
        assert any(said in sentence for sentence in statements.verify(closed))

    def test_statement_that_was_changed_with_its_hash_breaks_the_chain(
        self, closed: Account, superuser: Any
    ) -> None:
        middle = Statement.objects.filter(account=closed).order_by("day")[1]
        lines = [Line.loaded(values) for values in middle.lines]
        middle.lines = [line._replace(amount=line.amount + 1).stored() for line in lines]
        superuser.execute(
            "UPDATE accounts_statement SET hash = %s WHERE id = %s", [statements.hash_of(middle), middle.pk]
        )
        assert any("the statement before" in sentence for sentence in statements.verify(closed))

    def test_removed_last_statement_is_reported(self, closed: Account, superuser: Any) -> None:
        last = Statement.objects.filter(account=closed).latest("day")
        superuser.execute("DELETE FROM accounts_statement WHERE id = %s", [last.pk])
        assert list(statements.verify(closed)) == [
            f"{last.day}: the ledger has 4 entries, but there is no statement that contains them"
        ]

    def test_command_says_what_differs_and_exits_with_1(
        self, closed: Account, superuser: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        call_command("verify_statement")
        assert "statements exact: 1 accounts, 3 statements, difference 0" in capsys.readouterr().out
        superuser.execute("DELETE FROM accounts_creditentry WHERE amount = 7")
        with pytest.raises(SystemExit) as ended:
            call_command("verify_statement", "sita@example.com")
        assert ended.value.code == 1
        assert "statements wrong: 3 differences" in capsys.readouterr().err


class TestApi:
    def test_statement_is_json_with_exact_amounts(self, sita: Account) -> None:
        campaign = make_sent_campaign(sita, name="=1+1")
        answer = Caller(sita).get(f"{PATH}?from={today()}&to={today()}")["data"]["statement"]
        assert answer["opening"] == {"balance": "0.00", "held": "0.00"}
        assert answer["closing"] == {"balance": "99.00", "held": "0.00"}
        assert answer["lines"][0] == {
            "day": f"{today()}",
            "kind": "capture",
            "purpose": "campaign",
            "campaign_id": campaign.pk,
            "campaign": "=1+1",
            "channel": "SMS",
            "entries": 1,
            "amount": "1.00",
            "balance": "0.00",
            "held": "-1.00",
        }
        assert answer["time_zone"] == "Asia/Kathmandu"

    def test_csv_adds_up_and_contains_no_formula(self, sita: Account) -> None:
        make_sent_campaign(sita, name="=1+1")
        caller = Caller(sita)
        response = caller.client.get(PATH, {"format": "csv"})
        assert response["Content-Type"] == "text/csv; charset=utf-8"
        text = response.getvalue().decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text)))
        assert [rows[0]["kind"], rows[-1]["kind"]] == ["opening", "closing"]
        for column in ("balance", "held"):
            assert sum(Decimal(row[column]) for row in rows[:-1]) == Decimal(rows[-1][column])
        assert {row["campaign"] for row in rows} == {"", "'=1+1"}

    def test_period_is_the_present_month_by_default(self, sita: Account) -> None:
        answer = Caller(sita).get(PATH)["data"]["statement"]
        assert (answer["from"], answer["to"]) == (f"{today().replace(day=1)}", f"{today()}")

    @pytest.mark.parametrize(
        ("query", "said"),
        [
            ("from=2026-02-30", "“2026-02-30” is not a date: write it as 2026-01-31."),
            ("to=yesterday", "“yesterday” is not a date"),
            ("to=２０２６-01-01", "is not a date"),
            ("from=2026-03-02&to=2026-03-01", "The first day, 2026-03-02, is after the last day"),
            ("from=2025-01-01&to=2026-01-02", "at most 366 days; these are 367"),
            ("from=0001-01-01&to=9999-12-31", "at most 366 days"),
            ("from=2083-01-01&to=2083-02-01", "looks like a Bikram Sambat date"),
            ("format=xml", "it must be one of json, csv"),
        ],
    )
    def test_wrong_period_is_a_400_with_a_sentence(self, sita: Account, query: str, said: str) -> None:
        answer = Caller(sita).fails("GET", f"{PATH}?{query}", status=400)
        assert said in answer["message"]

    @pytest.mark.parametrize("query", ["from=0001-01-01&to=0001-01-02", "from=9999-12-30&to=9999-12-31"])
    def test_days_without_entries_are_no_error(self, sita: Account, query: str) -> None:
        assert Caller(sita).get(f"{PATH}?{query}")["data"]["statement"]["lines"] == []

    def test_statement_with_too_many_lines_is_refused(
        self, sita: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert MAX_LINES == 100_000
        for _ in range(2):
            make_sent_campaign(sita)
            move_bookings_back(1)
        monkeypatch.setattr("campaigns.reports.statements.MAX_LINES", 3)
        for _ in range(2):  # from the ledger, and from stored statements
            answer = Caller(sita).fails("GET", f"{PATH}?from={today() - 5 * DAY}&to={today()}", status=400)
            assert "more than 3 lines" in answer["message"]
            list(close_days())


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
                        list(close_days())
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
        list(close_days())
        assert shown_lines(assert_adds_up(account, first=first, last=today())) == shown_lines(whole)
        assert list(statements.verify(account)) + list(statements.verify(other)) == []
        transaction.set_rollback(True)
