"""Concurrent transfers on real transactions: none deadlocks, and nothing is moved twice or spent twice."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from random import Random

import pytest

from accounts import credits, departments, twins
from accounts.credits import InsufficientCredits
from accounts.ledger import check_ledger
from accounts.models import Account, CreditEntry
from accounts.transfers import Transfer, transfer
from iris.errors import Conflict
from tests.accounts.booking import balance_of
from tests.accounts.test_credits_races import at_once
from tests.factories import make_account, make_hold

pytestmark = pytest.mark.django_db(transaction=True)


def family(*, parent: int, child: int) -> tuple[Account, Account]:
    """Create an account with a department, both with credits."""
    account = make_account(credits=parent)
    department = departments.create(parent=account, name="Ward 5")
    if child:
        credits.top_up(account=department, amount=Decimal(child))
    return account, department


def test_opposite_transfers_do_not_deadlock() -> None:
    account, department = family(parent=100, child=100)
    random = Random(1)

    def worker(seed: int) -> int:
        for number in range(30):
            source, target = (account, department) if (seed + number) % 2 else (department, account)
            transfer(source=source, target=target, amount=Decimal(random.randrange(1, 300)) / 100)
        return 30

    assert at_once([partial(worker, seed) for seed in range(4)]) == [30] * 4
    assert balance_of(account) + balance_of(department) == 200
    assert CreditEntry.objects.filter(kind="transfer").count() == 2 * 4 * 30
    assert check_ledger().differences == ()


def test_transfers_beside_holds_captures_and_releases_do_not_deadlock() -> None:
    account, department = family(parent=1000, child=1000)
    holds = [make_hold(account=one, amount=20) for one in (account, department) for _ in range(2)]

    def worker(seed: int) -> None:
        random = Random(seed)
        for number in range(25):
            amount, cause = Decimal(random.randrange(1, 100)) / 100, f"{seed}:{number}"
            source, target = random.sample([account, department], 2)
            calls: list[Callable[[], object]] = [
                partial(transfer, source=source, target=target, amount=amount, cause=cause),
                partial(credits.hold, account=source, amount=amount, cause=cause),
                partial(credits.charge, account=source, amount=amount, cause=cause),
                partial(credits.release, hold_id=random.choice(holds).pk, keep=Decimal(5), cause=cause),
                partial(
                    credits.release_many,
                    causes={
                        credits.hold(
                            account=one, amount=amount, cause=f"{cause}:{one.pk}"
                        ).pk: f"{cause}:{one.pk}"
                        for one in (source, target)
                    },
                ),
            ]
            random.choice(calls)()

    assert at_once([partial(worker, seed) for seed in range(4)]) == [None] * 4
    assert check_ledger().differences == ()


def test_one_of_two_concurrent_transfers_gets_the_last_credits() -> None:
    for _ in range(3):
        account, department = family(parent=10, child=0)
        answers = at_once([partial(transfer, source=account, target=department, amount=Decimal(7))] * 2)
        assert sorted(type(answer).__name__ for answer in answers) == ["InsufficientCredits", "Transfer"]
        assert (balance_of(account), balance_of(department)) == (3, 7)


def test_four_concurrent_transfers_with_one_cause_are_booked_once() -> None:
    account, department = family(parent=10, child=0)
    answers = at_once(
        [partial(transfer, source=account, target=department, amount=Decimal(2), cause="budget:2026")] * 4
    )
    assert all(isinstance(answer, Transfer) for answer in answers)
    assert len({answer.outgoing.pk for answer in answers}) == 1
    assert (balance_of(account), balance_of(department)) == (8, 2)


def test_one_cause_is_not_booked_for_two_families() -> None:
    families = [family(parent=10, child=0) for _ in range(3)]
    answers = at_once(
        [
            partial(transfer, source=account, target=department, amount=Decimal(2), cause="budget")
            for account, department in families
        ]
    )
    assert sorted(isinstance(answer, Conflict) for answer in answers) == [False, True, True]
    assert check_ledger().differences == ()


def test_concurrent_calls_open_one_twin() -> None:
    account = make_account()
    opened = at_once([partial(twins.open_twin, account=account)] * 4)
    assert len({twin.pk for twin in opened}) == 1
    assert balance_of(opened[0]) == twins.TWIN_CREDITS
    filled = at_once([partial(twins.fill_up, account=account)] * 4)
    assert {twin.balance for twin in filled} == {twins.TWIN_CREDITS}


def test_a_transfer_and_a_hold_cannot_spend_the_same_credits() -> None:
    account, department = family(parent=10, child=0)
    answers = at_once(
        [
            lambda: transfer(source=account, target=department, amount=Decimal(7)),
            lambda: credits.hold(account=account, amount=Decimal(7), cause="run:1"),
        ]
    )
    assert sum(isinstance(answer, InsufficientCredits) for answer in answers) == 1
    assert balance_of(account) == 3
