"""Transfers in statements: both accounts have them, they add up, and a changed one is reported."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from accounts import departments, statements, transfers
from accounts.models import Account, CreditEntry
from campaigns.reports.statements import SETTLING
from tests.campaigns.reports.bookings import (
    DAY,
    assert_adds_up,
    close_until_yesterday,
    make_sent_campaign,
    move_bookings_back,
    shown_lines,
    today,
)
from tests.factories import make_account
from tests.v0 import Caller

pytestmark = pytest.mark.django_db

ZERO = Decimal(0)
PATH = "/api/system/credits/statement/"


@pytest.fixture
def city() -> Account:
    return make_account(email="city@example.com", credits=1000, name="City")


@pytest.fixture
def ward(city: Account) -> Account:
    return departments.create(parent=city, name="Ward 5")


def move(source: Account, target: Account, amount: str) -> None:
    transfers.transfer(source=source, target=target, amount=Decimal(amount))


def transfers_in(shown: Any) -> list[tuple[int, Decimal, Decimal, Decimal]]:
    lines = [one.line for one in shown.lines if one.line.kind == "transfer"]
    assert {(line.purpose, line.campaign, line.channel) for line in lines} <= {("", None, "")}
    return [(line.entries, line.amount, line.balance, line.held) for line in lines]


@pytest.fixture
def moved(city: Account, ward: Account) -> None:
    """Move credits both ways, more than once, and spend some."""
    move(city, ward, "500")
    move(city, ward, "0.05")
    move(ward, city, "100.01")
    make_sent_campaign(ward)


def test_both_accounts_have_a_line_for_each_direction(city: Account, ward: Account, moved: None) -> None:
    given, returned = Decimal("500.05"), Decimal("100.01")
    of_city = assert_adds_up(city, first=today(), last=today())
    of_ward = assert_adds_up(ward, first=today(), last=today())
    assert transfers_in(of_city) == [(2, given, -given, ZERO), (1, returned, returned, ZERO)]
    assert transfers_in(of_ward) == [(1, returned, -returned, ZERO), (2, given, given, ZERO)]
    assert of_city.closing_balance == 1000 - given + returned
    assert of_ward.closing_balance == given - returned - 1


def test_closed_days_show_the_same_transfers_and_verify(city: Account, ward: Account, moved: None) -> None:
    move_bookings_back(40)
    move(city, ward, "7")
    move_bookings_back(3)
    move(ward, city, "3")
    span = {"first": today() - 60 * DAY, "last": today()}
    before = {account.pk: shown_lines(assert_adds_up(account, **span)) for account in (city, ward)}
    # In the first hours of a day, the first booking may belong to the day before.
    first = timezone.localdate(timezone.now() - 43 * DAY - SETTLING)
    assert len(close_until_yesterday()) == (today() - first).days
    for account in (city, ward):
        assert shown_lines(assert_adds_up(account, **span)) == before[account.pk]
        assert list(statements.verify(account)) == []
        early = assert_adds_up(account, first=today() - 60 * DAY, last=today() - 10 * DAY)
        late = assert_adds_up(account, first=today() - 9 * DAY, last=today())
        assert early.closing_balance == late.opening_balance
        assert shown_lines(early) + shown_lines(late) == before[account.pk]


@pytest.mark.parametrize("column", ["counterpart_id", "balance_delta"])
def test_a_transfer_that_was_changed_is_reported(
    city: Account, ward: Account, moved: None, column: str, capsys: pytest.CaptureFixture[str]
) -> None:
    move_bookings_back(2)
    close_until_yesterday()
    call_command("verify_statement")
    assert "difference 0" in capsys.readouterr().out
    entry = CreditEntry.objects.filter(account=ward, kind="transfer").earliest("pk")
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE accounts_creditentry DISABLE TRIGGER append_only")
        cursor.execute(f"UPDATE accounts_creditentry SET {column} = -{column} WHERE id = %s", [entry.pk])
        cursor.execute("ALTER TABLE accounts_creditentry ENABLE TRIGGER append_only")
    assert list(statements.verify(city)) == []
    assert any("an entry of the ledger was changed" in sentence for sentence in statements.verify(ward))
    with pytest.raises(SystemExit):
        call_command("verify_statement")


def test_the_api_shows_transfers_in_both_statements(city: Account, ward: Account) -> None:
    move(city, ward, "12.50")
    (line,) = [
        one
        for one in Caller(city).get(f"{PATH}?from={today()}&to={today()}")["data"]["statement"]["lines"]
        if one["kind"] == "transfer"
    ]
    assert (line["entries"], line["amount"], line["balance"], line["held"]) == (1, "12.50", "-12.50", "0.00")
    caller = Caller(city)
    answer = caller.client.get(PATH, HTTP_X_ACCOUNT=str(ward.pk)).json()["data"]["statement"]
    assert (answer["closing"]["balance"], answer["lines"][0]["kind"]) == ("12.50", "transfer")
