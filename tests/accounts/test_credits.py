"""Top-ups and charges, and changes of the ledger that the database refuses."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from accounts import append_only, credits
from accounts.credits import InsufficientCredits
from accounts.models import Account, CreditEntry, CreditHold
from iris.errors import Conflict, InvalidInput
from tests.accounts.booking import assert_exact, balance_of, capture
from tests.factories import make_account, make_hold

pytestmark = pytest.mark.django_db

NONE = Decimal(0)


class TestTopUp:
    def test_a_top_up_raises_the_balance_and_records_its_cause(self) -> None:
        account = make_account()
        entry = credits.top_up(
            account=account, amount=Decimal("12.50"), cause="invoice:1", note="Paid in cash"
        )
        assert balance_of(account) == Decimal("12.50")
        assert (entry.kind, entry.balance_delta, entry.held_delta) == ("topup", Decimal("12.50"), NONE)
        assert (entry.cause, entry.note) == ("invoice:1", "Paid in cash")
        assert_exact()

    def test_top_ups_without_a_cause_are_booked_each_time(self) -> None:
        account = make_account()
        credits.top_up(account=account, amount=Decimal(5))
        credits.top_up(account=account, amount=Decimal(5))
        assert balance_of(account) == 10

    def test_a_duplicate_top_up_is_booked_once_and_returns_the_first_entry(self) -> None:
        account = make_account()
        first = credits.top_up(account=account, amount=Decimal(5), cause="invoice:1")
        assert credits.top_up(account=account, amount=Decimal("5.00"), cause="invoice:1") == first
        assert balance_of(account) == 5

    def test_a_top_up_with_a_booked_cause_and_another_amount_is_a_conflict(self) -> None:
        account = make_account()
        credits.top_up(account=account, amount=Decimal(5), cause="invoice:1")
        with pytest.raises(Conflict, match="invoice:1"):
            credits.top_up(account=account, amount=Decimal(6), cause="invoice:1")
        with pytest.raises(Conflict):
            credits.top_up(account=make_account(), amount=Decimal(5), cause="invoice:1")
        assert balance_of(account) == 5

    @pytest.mark.parametrize("amount", ["0", "-1", "0.001", "NaN", "Infinity", "-Infinity", "1e12", "1e40"])
    def test_a_top_up_refuses_an_invalid_amount(self, amount: str) -> None:
        with pytest.raises(InvalidInput):
            credits.top_up(account=make_account(), amount=Decimal(amount))
        assert CreditEntry.objects.count() == 0

    def test_a_top_up_beyond_the_maximum_balance_is_refused(self) -> None:
        account = make_account(credits=credits.MAX_AMOUNT)
        with pytest.raises(InvalidInput, match=r"999,999,999,999\.99"):
            credits.top_up(account=account, amount=Decimal("0.01"))
        assert balance_of(account) == credits.MAX_AMOUNT
        assert_exact()

    def test_a_top_up_leaves_room_for_the_credits_of_open_holds(self) -> None:
        account = make_account(credits=credits.MAX_AMOUNT)
        hold = make_hold(account=account, amount=10)
        with pytest.raises(InvalidInput, match="including held credits"):
            credits.top_up(account=account, amount=Decimal("0.01"))
        credits.capture_many(captures=[capture(hold, 4, "delivery:1")])
        credits.top_up(account=account, amount=Decimal(4))
        credits.release(hold_id=hold.pk, cause="run:1")
        assert balance_of(account) == credits.MAX_AMOUNT
        assert_exact()


class TestCharge:
    def test_a_charge_lowers_the_balance(self) -> None:
        account = make_account(credits=50)
        entry = credits.charge(account=account, amount=Decimal(40), cause="number:1")
        assert entry is not None
        assert (entry.kind, entry.balance_delta) == ("charge", -40)
        assert balance_of(account) == 10
        assert_exact()

    def test_a_charge_without_enough_credits_changes_nothing_and_names_the_balance(self) -> None:
        account = make_account(credits=39)
        with pytest.raises(InsufficientCredits, match=r"needs 40.* only 39\.00"):
            credits.charge(account=account, amount=Decimal(40), cause="number:1")
        assert balance_of(account) == 39
        assert not CreditEntry.objects.filter(kind="charge").exists()

    def test_a_failed_charge_succeeds_after_a_top_up(self) -> None:
        account = make_account(credits=39)
        with pytest.raises(InsufficientCredits):
            credits.charge(account=account, amount=Decimal(40), cause="number:1")
        credits.top_up(account=account, amount=Decimal(1))
        assert credits.charge(account=account, amount=Decimal(40), cause="number:1") is not None
        assert balance_of(account) == 0

    def test_a_duplicate_charge_is_booked_once_even_with_an_empty_balance(self) -> None:
        account = make_account(credits=40)
        first = credits.charge(account=account, amount=Decimal(40), cause="number:1")
        assert credits.charge(account=account, amount=Decimal(40), cause="number:1") == first
        assert balance_of(account) == 0

    def test_a_charge_of_zero_books_nothing(self) -> None:
        assert credits.charge(account=make_account(), amount=NONE, cause="number:1") is None
        assert CreditEntry.objects.count() == 0


class TestLedgerConstraints:
    def test_entries_cannot_be_saved_or_deleted_again(self) -> None:
        entry = credits.top_up(account=make_account(), amount=Decimal(1))
        entry.note = "Changed my mind"
        with pytest.raises(TypeError, match="append-only"):
            entry.save()
        with pytest.raises(TypeError, match="append-only"):
            entry.delete()

    @pytest.mark.parametrize(
        "statement", ["UPDATE accounts_creditentry SET note = 'x'", "DELETE FROM accounts_creditentry"]
    )
    def test_postgresql_refuses_to_change_entries(self, statement: str) -> None:
        make_account(credits=1)
        with connection.cursor() as cursor:
            cursor.execute(
                append_only.FORBID_CHANGES
            )  # the migration did this already if the tests run with migrations
            with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
                cursor.execute(statement)
            cursor.execute(append_only.ALLOW_CHANGES)
            cursor.execute(append_only.FORBID_CHANGES)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"kind": "topup", "balance_delta": -1, "held_delta": 0},
            {"kind": "charge", "balance_delta": 1, "held_delta": 0},
            {"kind": "topup", "balance_delta": 1, "held_delta": 1},
            {"kind": "hold", "balance_delta": -1, "held_delta": 1},  # without a hold
            {"kind": "capture", "balance_delta": 0, "held_delta": -1},
            {"kind": "gift", "balance_delta": 1, "held_delta": 0},
            {"kind": "topup", "balance_delta": 0, "held_delta": 0, "amount": 0},
            {"kind": "topup", "balance_delta": -1, "held_delta": 0, "amount": -1},
        ],
    )
    def test_the_database_refuses_deltas_that_do_not_fit_their_kind(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(IntegrityError), transaction.atomic():
            CreditEntry.objects.create(account=make_account(), cause="x", **{"amount": 1, **wrong})

    def test_the_database_refuses_negative_balances_and_holds(self) -> None:
        account = make_account(credits=1)
        held = make_hold(account=account, amount=1)
        with pytest.raises(IntegrityError), transaction.atomic():
            Account.objects.filter(pk=account.pk).update(balance=-1)
        for wrong in ({"captured": 2}, {"captured": -1}, {"released": -1}, {"captured": 1, "released": 1}):
            with pytest.raises(IntegrityError), transaction.atomic():
                CreditHold.objects.filter(pk=held.pk).update(**wrong)

    def test_an_account_with_ledger_entries_cannot_be_deleted(self) -> None:
        account = make_account(credits=1)
        with pytest.raises(IntegrityError), transaction.atomic():
            account.delete()
