"""Each function of `accounts.credits` on its own."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from pytest_django import DjangoAssertNumQueries

from accounts import append_only, credits
from accounts.credits import Capture, HoldExceeded, InsufficientCredits
from accounts.ledger import check_ledger
from accounts.models import Account, CreditEntry, CreditHold
from iris.errors import Conflict, InvalidInput, NotFound
from tests.factories import make_account, make_hold

pytestmark = pytest.mark.django_db

NONE = Decimal(0)


def balance_of(account: Account) -> Decimal:
    return Account.objects.values_list("balance", flat=True).get(pk=account.pk)


def capture(hold: CreditHold, amount: int | str, cause: str) -> Capture:
    return Capture(hold_id=hold.pk, amount=Decimal(amount), cause=cause)


def assert_exact() -> None:
    assert check_ledger().differences == ()


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


class TestHold:
    def test_a_hold_moves_credits_from_the_balance_to_the_hold(self) -> None:
        account = make_account(credits=10)
        held = credits.hold(account=account, amount=Decimal(8), cause="run:1")
        assert balance_of(account) == 2
        assert (held.amount, held.captured, held.released, held.remaining) == (8, 0, 0, 8)
        assert held.closed_at is None
        assert_exact()

    def test_a_hold_without_enough_credits_changes_nothing_and_names_the_balance(self) -> None:
        account = make_account(credits=5)
        with pytest.raises(InsufficientCredits, match=r"needs 8.* only 5\.00"):
            credits.hold(account=account, amount=Decimal(8), cause="run:1")
        assert balance_of(account) == 5
        assert CreditHold.objects.count() == 0
        assert_exact()

    def test_a_duplicate_hold_returns_the_first_hold(self) -> None:
        account = make_account(credits=10)
        first = credits.hold(account=account, amount=Decimal(8), cause="run:1")
        assert credits.hold(account=account, amount=Decimal(8), cause="run:1") == first
        assert balance_of(account) == 2

    def test_a_hold_with_a_booked_cause_and_another_amount_or_account_is_a_conflict(self) -> None:
        account = make_account(credits=100)
        credits.hold(account=account, amount=Decimal(8), cause="run:1")
        with pytest.raises(Conflict, match="run:1"):
            credits.hold(account=account, amount=Decimal(9), cause="run:1")
        with pytest.raises(Conflict):
            credits.hold(account=make_account(credits=8), amount=Decimal(8), cause="run:1")

    def test_a_hold_of_zero_has_no_entry(self) -> None:
        account = make_account()
        held = credits.hold(account=account, amount=NONE, cause="run:free")
        assert credits.hold(account=account, amount=NONE, cause="run:free") == held
        assert held.remaining == 0
        assert CreditEntry.objects.count() == 0
        assert_exact()


class TestCaptureMany:
    def test_captures_lower_their_holds_and_not_the_balance(self) -> None:
        account = make_account(credits=30)
        first, second = make_hold(account=account, amount=10), make_hold(account=account, amount=10)
        booked = credits.capture_many(
            captures=[capture(second, 2, "d:1"), capture(first, 3, "d:2"), capture(second, "0.50", "d:3")]
        )
        first.refresh_from_db()
        second.refresh_from_db()
        assert booked == Decimal("5.50")
        assert (first.captured, second.captured) == (3, Decimal("2.50"))
        assert balance_of(account) == 10
        entry = CreditEntry.objects.get(cause="d:2")
        assert (entry.account, entry.hold, entry.kind, entry.amount) == (account, first, "capture", 3)
        assert_exact()

    def test_duplicate_captures_book_nothing(self) -> None:
        held = make_hold(amount=10)
        captures = [capture(held, 2, "d:1"), capture(held, 2, "d:2")]
        assert credits.capture_many(captures=captures) == 4
        assert credits.capture_many(captures=captures) == 0
        assert credits.capture_many(captures=[*captures, capture(held, 2, "d:3")]) == 2
        held.refresh_from_db()
        assert held.captured == 6
        assert_exact()

    def test_the_first_of_two_captures_with_the_same_cause_is_booked(self) -> None:
        held = make_hold(amount=10)
        assert credits.capture_many(captures=[capture(held, 2, "d:1"), capture(held, 5, "d:1")]) == 2
        assert_exact()

    def test_captures_of_zero_are_skipped(self) -> None:
        held = make_hold(amount=10)
        assert credits.capture_many(captures=[]) == 0
        assert credits.capture_many(captures=[capture(held, 0, "d:1")]) == 0
        assert not CreditEntry.objects.filter(kind="capture").exists()

    def test_captures_that_exceed_a_hold_book_nothing_at_all(self) -> None:
        account = make_account(credits=30)
        small, large = make_hold(account=account, amount=5), make_hold(account=account, amount=10)
        with pytest.raises(HoldExceeded):
            credits.capture_many(
                captures=[capture(large, 1, "d:1"), capture(small, 3, "d:2"), capture(small, 3, "d:3")]
            )
        large.refresh_from_db()
        assert large.captured == 0
        assert not CreditEntry.objects.filter(kind="capture").exists()
        assert_exact()

    def test_a_capture_from_a_closed_hold_is_refused(self) -> None:
        held = make_hold(amount=5)
        credits.release(hold_id=held.pk, cause="run:1:end")
        with pytest.raises(HoldExceeded):
            credits.capture_many(captures=[capture(held, 1, "d:1")])
        assert_exact()

    def test_a_capture_from_an_unknown_hold_is_refused(self) -> None:
        held = make_hold(amount=5)
        with pytest.raises(NotFound):
            credits.capture_many(
                captures=[
                    capture(held, 1, "d:1"),
                    Capture(hold_id=held.pk + 1, amount=Decimal(1), cause="d:2"),
                ]
            )
        assert not CreditEntry.objects.filter(kind="capture").exists()

    @pytest.mark.parametrize("number", [1, 500])
    def test_captures_execute_three_statements_for_any_number(
        self, number: int, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        account = make_account(credits=2 * number)
        holds = [make_hold(account=account, amount=number) for _ in range(2)]
        captures = [capture(holds[n % 2], 1, f"d:{n}") for n in range(number)]
        with django_assert_num_queries(5):  # with the savepoint and its release
            assert credits.capture_many(captures=captures) == number

    def test_causes_may_contain_any_characters(self) -> None:
        held = make_hold(amount=10)
        odd = ["'; DROP TABLE x; --", '{"a": "b"}', "\\,{}\"'", "नेपाल", "a" * 120]
        assert credits.capture_many(captures=[capture(held, 1, cause) for cause in odd]) == 5
        assert set(CreditEntry.objects.filter(kind="capture").values_list("cause", flat=True)) == set(odd)


class TestRelease:
    def test_release_returns_uncaptured_credits_and_closes_the_hold(self) -> None:
        account = make_account(credits=10)
        held = make_hold(account=account, amount=8)
        credits.capture_many(captures=[capture(held, 3, "d:1")])
        assert credits.release(hold_id=held.pk, cause="run:1:end") == 5
        held.refresh_from_db()
        assert (held.captured, held.released, held.remaining) == (3, 5, 0)
        assert held.closed_at is not None
        assert balance_of(account) == 7
        assert_exact()

    def test_release_keeps_the_requested_amount_on_hold(self) -> None:
        account = make_account(credits=10)
        held = make_hold(account=account, amount=10)
        credits.capture_many(captures=[capture(held, 3, "d:1")])
        assert credits.release(hold_id=held.pk, keep=Decimal(2), cause="run:1:stop") == 5
        held.refresh_from_db()
        assert held.remaining == 2
        assert held.closed_at is None
        assert credits.capture_many(captures=[capture(held, 2, "d:2")]) == 2
        assert credits.release(hold_id=held.pk, cause="run:1:end") == 0
        held.refresh_from_db()
        assert held.closed_at is not None
        assert_exact()

    def test_release_that_keeps_more_than_remains_returns_nothing(self) -> None:
        held = make_hold(amount=5)
        assert credits.release(hold_id=held.pk, keep=Decimal(6), cause="run:1:stop") == 0
        held.refresh_from_db()
        assert (held.remaining, held.closed_at) == (5, None)

    def test_a_duplicate_release_returns_nothing_and_keeps_the_closing_time(self) -> None:
        held = make_hold(amount=5)
        assert credits.release(hold_id=held.pk, cause="run:1:end") == 5
        held.refresh_from_db()
        closed_at = held.closed_at
        assert credits.release(hold_id=held.pk, cause="run:1:end") == 0
        assert credits.release(hold_id=held.pk, cause="run:1:another end") == 0
        held.refresh_from_db()
        assert held.closed_at == closed_at
        assert_exact()

    def test_release_with_a_booked_cause_that_kept_more_is_a_conflict(self) -> None:
        held = make_hold(amount=5)
        credits.release(hold_id=held.pk, keep=Decimal(2), cause="run:1")
        with pytest.raises(Conflict, match="run:1"):
            credits.release(hold_id=held.pk, cause="run:1")
        held.refresh_from_db()
        assert held.remaining == 2

    def test_release_of_an_unknown_hold_is_refused(self) -> None:
        with pytest.raises(NotFound):
            credits.release(hold_id=1, cause="run:1:end")


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


class TestReleaseMany:
    def test_release_many_closes_all_holds_and_pays_each_account_once(self) -> None:
        first, second = make_account(credits=100), make_account(credits=100)
        holds = [
            credits.hold(account=account, amount=Decimal(10), cause=f"many:{n}")
            for n, account in enumerate([first, second, first])
        ]
        credits.capture_many(
            captures=[Capture(hold_id=holds[0].pk, amount=Decimal(4), cause="delivery:many")]
        )
        causes = {hold.pk: f"end:{hold.pk}" for hold in holds}
        assert credits.release_many(causes=causes) == Decimal(26)
        assert credits.release_many(causes=causes) == 0
        first.refresh_from_db()
        second.refresh_from_db()
        assert (first.balance, second.balance) == (Decimal(96), Decimal(100))
        assert check_ledger().differences == ()

    def test_release_many_executes_a_constant_number_of_statements(
        self, django_assert_num_queries: Any
    ) -> None:
        account = make_account(credits=100)
        holds = [make_hold(account=account, amount=1) for _ in range(20)]
        with django_assert_num_queries(7):
            credits.release_many(causes={hold.pk: f"end:{hold.pk}" for hold in holds})
