"""Concurrent calls on real transactions: nothing is booked twice, and nothing is spent twice."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal
from functools import partial
from random import Random
from threading import Barrier
from typing import Any

import pytest
from django.db import connection, transaction

from accounts import credits
from accounts.credits import Capture, HoldExceeded, InsufficientCredits
from accounts.ledger import check_ledger
from accounts.models import Account, CreditEntry, CreditHold
from iris.errors import Conflict, IrisError
from tests.accounts.booking import balance_of
from tests.factories import make_account, make_hold

pytestmark = pytest.mark.django_db(transaction=True)


def at_once(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Start all calls at the same moment, each on its own connection. Return their results or exceptions."""
    start = Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        try:
            connection.ensure_connection()
            start.wait(60)
            return call()
        except IrisError as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def kinds(answers: Sequence[Any]) -> list[str]:
    return sorted(type(answer).__name__ for answer in answers)


def test_one_of_two_concurrent_holds_gets_the_last_credits() -> None:
    for _ in range(5):
        account = make_account(credits=10)
        answers = at_once(
            [
                partial(credits.hold, account=account, amount=Decimal(7), cause=f"run:{account.pk}:{number}")
                for number in range(2)
            ]
        )
        assert kinds(answers) == ["CreditHold", "InsufficientCredits"]
        assert balance_of(account) == 3
    assert check_ledger().differences == ()


def test_a_hold_and_a_charge_cannot_spend_the_same_credits() -> None:
    account = make_account(credits=10)
    answers = at_once(
        [
            lambda: credits.hold(account=account, amount=Decimal(7), cause="run:1"),
            lambda: credits.charge(account=account, amount=Decimal(7), cause="number:1"),
        ]
    )
    assert sum(isinstance(answer, InsufficientCredits) for answer in answers) == 1
    assert balance_of(account) == 3


def test_four_concurrent_identical_calls_are_booked_once() -> None:
    account = make_account(credits=10)
    held = make_hold(account=account, amount=5)
    top_ups = at_once([lambda: credits.top_up(account=account, amount=Decimal(5), cause="invoice:1")] * 4)
    holds = at_once([lambda: credits.hold(account=account, amount=Decimal(2), cause="run:1")] * 4)
    charges = at_once([lambda: credits.charge(account=account, amount=Decimal(1), cause="number:1")] * 4)
    taken = [Capture(hold_id=held.pk, amount=Decimal(1), cause=f"delivery:{n}") for n in range(3)]
    captured = at_once([lambda: credits.capture_many(captures=taken)] * 4)
    released = at_once([lambda: credits.release(hold_id=held.pk, cause="run:0:end")] * 4)
    assert len(set(top_ups)) == len(set(holds)) == len(set(charges)) == 1
    assert sorted(captured) == [0, 0, 0, 3]
    assert sorted(released) == [0, 0, 0, 2]
    assert balance_of(account) == 10 - 5 + 5 - 2 - 1 + 2
    assert check_ledger().differences == ()


def test_concurrent_holds_with_one_cause_and_two_amounts_book_one_of_them() -> None:
    account = make_account()
    answers = at_once(
        [
            lambda: credits.top_up(account=account, amount=Decimal(5), cause="invoice:1"),
            lambda: credits.top_up(account=account, amount=Decimal(6), cause="invoice:1"),
        ]
    )
    assert kinds(answers) == ["Conflict", "CreditEntry"]
    assert balance_of(account) in (5, 6)


def test_concurrent_captures_and_release_of_one_hold_leave_an_exact_ledger() -> None:
    for _ in range(5):
        held = make_hold(amount=10)
        taken = [Capture(hold_id=held.pk, amount=Decimal(1), cause=f"{held.pk}:{n}") for n in range(10)]
        captured, released = at_once(
            [
                partial(credits.capture_many, captures=taken),
                partial(credits.release, hold_id=held.pk, cause=f"{held.pk}:end"),
            ]
        )
        assert (captured, released) == (10, 0) or (isinstance(captured, HoldExceeded) and released == 10)
    assert check_ledger().differences == ()


def test_concurrent_batches_in_different_order_do_not_deadlock() -> None:
    account = make_account(credits=10_000)
    holds = [make_hold(account=account, amount=2000) for _ in range(4)]
    taken = [Capture(hold_id=holds[n % 4].pk, amount=Decimal(1), cause=f"delivery:{n}") for n in range(2000)]
    shuffled = [Random(seed).sample(taken, len(taken)) for seed in range(4)]
    answers = at_once([partial(credits.capture_many, captures=batch) for batch in shuffled])
    assert sorted(answers) == [0, 0, 0, 2000]
    assert check_ledger().differences == ()


def test_random_concurrent_calls_leave_an_exact_ledger() -> None:
    users = [make_account(credits=50) for _ in range(2)]
    holds = [make_hold(account=account, amount=20) for account in users for _ in range(2)]

    def worker(seed: int) -> None:
        random = Random(seed)
        for _ in range(40):
            account, held, cause = random.choice(users), random.choice(holds), f"x:{random.randrange(40)}"
            amount = Decimal(random.randrange(1, 300)) / 100
            calls: list[Callable[[], Any]] = [
                lambda: credits.top_up(account=account, amount=amount, cause=cause),  # noqa: B023 – called in this iteration
                lambda: credits.charge(account=account, amount=amount, cause=cause),  # noqa: B023
                lambda: credits.hold(account=account, amount=amount, cause=cause),  # noqa: B023
                lambda: credits.capture_many(
                    captures=[Capture(hold_id=h.pk, amount=amount, cause=f"{cause}:{h.pk}") for h in holds]  # noqa: B023
                ),
                lambda: credits.release(hold_id=held.pk, keep=amount, cause=cause),  # noqa: B023
            ]
            with suppress(InsufficientCredits, Conflict):
                random.choice(calls)()

    at_once([partial(worker, seed) for seed in range(4)])
    assert check_ledger().differences == ()
    assert CreditEntry.objects.count() > 50


def test_saving_a_stale_account_object_does_not_undo_a_top_up() -> None:
    account = make_account(credits=10)
    old = Account.objects.get(pk=account.pk)
    credits.top_up(account=account, amount=Decimal(5))
    old.name = "Sita"
    old.save()
    assert balance_of(account) == 15
    assert Account.objects.get(pk=account.pk).name == "Sita"


def test_a_hold_in_a_rolled_back_transaction_leaves_nothing() -> None:
    account = make_account(credits=10)
    with transaction.atomic():
        credits.hold(account=account, amount=Decimal(7), cause="run:1")
        transaction.set_rollback(True)
    assert balance_of(account) == 10
    assert CreditHold.objects.count() == 0
