"""check_ledger reports every difference that a manual change of the tables can cause."""

from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from pytest_django import DjangoAssertNumQueries

from accounts import append_only, credits
from accounts.ledger import check_ledger
from accounts.models import Account, CreditHold
from tests.factories import make_account, make_hold

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> Account:
    """Return an account with a top-up of 100, a hold of 10 (3 captured, 7 released) and an open one of 20 (5 captured)."""
    account = make_account(email="sita@example.com", credits=100)
    closed, still_open = (
        make_hold(account=account, amount=10, cause="run:1"),
        make_hold(account=account, amount=20, cause="run:2"),
    )
    credits.capture_many(
        captures=[
            credits.Capture(hold_id=closed.pk, amount=Decimal(3), cause="delivery:1"),
            credits.Capture(hold_id=still_open.pk, amount=Decimal(5), cause="delivery:2"),
        ]
    )
    credits.release(hold_id=closed.pk, cause="run:1:end")
    return account


def corrupt(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")  # no triggers, no foreign keys
        cursor.execute(append_only.ALLOW_CHANGES)
        cursor.execute(statement)


def test_an_untouched_ledger_is_exact(
    account: Account, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(5):  # three parts, in one transaction
        checked = check_ledger()
    assert (checked.accounts, checked.entries, checked.differences) == (1, 6, ())


def test_a_ledger_without_accounts_is_exact() -> None:
    checked = check_ledger()
    assert (checked.accounts, checked.entries, checked.differences) == (0, 0, ())


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (
            "UPDATE accounts_account SET balance = balance + 1",
            "sita@example.com: the balance is 78.00, but its entries add up to 77.00",
        ),
        (
            "UPDATE accounts_credithold SET captured = 6 WHERE cause = 'run:2'",
            "hold run:2: 6.00 is captured, but the entries add up to 5.00",
        ),
        (
            "UPDATE accounts_credithold SET released = 1 WHERE cause = 'run:2'",
            "hold run:2: 1.00 is released, but the entries add up to 0",
        ),
        (
            "UPDATE accounts_credithold SET amount = 30 WHERE cause = 'run:2'",
            "hold run:2: the amount is 30.00, but its entries add up to 20.00",
        ),
        ("UPDATE accounts_credithold SET closed_at = now()", "hold run:2: it is closed, but 15.00 remains"),
        (
            "DELETE FROM accounts_creditentry WHERE cause = 'delivery:1'",
            "hold run:1: 3.00 is captured, but the entries add up to 0",
        ),
        (
            "DELETE FROM accounts_creditentry WHERE kind = 'topup'",
            "sita@example.com: the balance is 77.00, but its entries add up to -23.00",
        ),
        ("DELETE FROM accounts_credithold WHERE cause = 'run:2'", "it does not exist"),
    ],
)
def test_check_ledger_reports_a_difference_with_both_amounts(
    account: Account, statement: str, found: str
) -> None:
    corrupt(statement)
    assert any(found in difference for difference in check_ledger().differences), check_ledger().differences


def test_check_ledger_reports_an_entry_of_another_account(account: Account) -> None:
    other = make_account(email="other@example.com")
    corrupt(f"UPDATE accounts_creditentry SET user_id = {other.pk} WHERE cause = 'delivery:2'")
    assert any("run:2: an entry of another account" in line for line in check_ledger().differences)


def test_the_command_prints_the_number_of_checked_accounts_and_entries(account: Account) -> None:
    out = StringIO()
    call_command("check_ledger", stdout=out)
    assert out.getvalue() == "ledger exact: 1 accounts, 6 entries, difference 0\n"


def test_the_command_lists_differences_and_exits_with_1(account: Account) -> None:
    Account.objects.update(balance=0)
    CreditHold.objects.filter(cause="run:2").update(captured=0)
    out, err = StringIO(), StringIO()
    with pytest.raises(SystemExit, match="1"):
        call_command("check_ledger", stdout=out, stderr=err)
    assert "sita@example.com: the balance is 0.00, but its entries add up to 77.00" in err.getvalue()
    assert "hold run:2: 0.00 is captured, but the entries add up to 5.00" in err.getvalue()
    assert out.getvalue() == ""
