"""Holds: they are opened, captured from and released."""

from decimal import Decimal
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from accounts import credits
from accounts.credits import Capture, HoldExceeded, InsufficientCredits
from accounts.ledger import check_ledger
from accounts.models import CreditEntry, CreditHold
from iris.errors import Conflict, NotFound
from tests.accounts.booking import assert_exact, balance_of, capture
from tests.factories import make_account, make_hold

pytestmark = pytest.mark.django_db

NONE = Decimal(0)


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
