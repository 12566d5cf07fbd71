"""No sequence of holds, captures, releases, top-ups and charges creates or loses credits.

Hypothesis generates the sequences, duplicates included. A simple model in Python predicts the result of each call and
the remaining credits.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import hypothesis.strategies as st
import pytest
from django.db import transaction
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from accounts import credits
from accounts.credits import Capture
from accounts.ledger import check_ledger
from accounts.models import Account, CreditEntry, CreditHold
from accounts.services import create_account
from iris.errors import IrisError
from tests.scale import at_scale

NONE = Decimal(0)

people = st.integers(0, 1)
amounts = st.decimals(min_value=NONE, max_value=Decimal(20), places=2)
# Only four causes, so that sequences repeat them: duplicate calls, and conflicts about a cause.
causes = st.sampled_from(["a", "b", "c", "d"])


@dataclass
class ModelHold:
    owner: int
    amount: Decimal
    captured: Decimal = NONE
    released: Decimal = NONE
    closed: bool = False

    @property
    def remaining(self) -> Decimal:
        return self.amount - self.captured - self.released


class Model:
    """A simple model of the ledger. A refused call changes nothing and returns its error code."""

    def __init__(self) -> None:
        self.balances = {0: NONE, 1: NONE}
        self.holds: dict[str, ModelHold] = {}
        self.booked: dict[tuple[str, str], tuple[int, Decimal]] = {}

    def top_up(self, person: int, amount: Decimal, cause: str) -> object:
        return "invalid" if amount == 0 else self._direct("topup", person, amount, amount, cause)

    def charge(self, person: int, amount: Decimal, cause: str) -> object:
        return NONE if amount == 0 else self._direct("charge", person, amount, -amount, cause)

    def _direct(self, kind: str, person: int, amount: Decimal, delta: Decimal, cause: str) -> object:
        if (kind, cause) in self.booked:
            return amount if self.booked[kind, cause] == (person, amount) else "conflict"
        if self.balances[person] + delta < 0:
            return "insufficient_credits"
        self.balances[person] += delta
        self.booked[kind, cause] = (person, amount)
        return amount

    def hold(self, person: int, amount: Decimal, cause: str) -> object:
        if cause in self.holds:
            held = self.holds[cause]
            return amount if (held.owner, held.amount) == (person, amount) else "conflict"
        if amount > self.balances[person]:
            return "insufficient_credits"
        self.balances[person] -= amount
        self.holds[cause] = ModelHold(owner=person, amount=amount)
        if amount:
            self.booked["hold", cause] = (person, amount)
        return amount

    def capture_many(self, captures: list[tuple[str, Decimal, str]]) -> object:
        new: dict[str, tuple[str, Decimal]] = {}
        for hold, amount, cause in captures:
            if amount:
                new.setdefault(cause, (hold, amount))
        if any(hold not in self.holds for hold, _ in new.values()):
            return "not_found"
        new = {cause: taken for cause, taken in new.items() if ("capture", cause) not in self.booked}
        for hold, held in self.holds.items():
            if sum((amount for name, amount in new.values() if name == hold), NONE) > held.remaining:
                return "hold_exceeded"
        for cause, (hold, amount) in new.items():
            self.holds[hold].captured += amount
            self.booked["capture", cause] = (self.holds[hold].owner, amount)
        return sum((amount for _, amount in new.values()), NONE)

    def release(self, hold: str, keep: Decimal, cause: str) -> object:
        if hold not in self.holds:
            return "not_found"
        held = self.holds[hold]
        excess = max(held.remaining - keep, NONE)
        if excess:
            if ("release", cause) in self.booked:
                return "conflict"
            self.booked["release", cause] = (held.owner, excess)
            held.released += excess
            self.balances[held.owner] += excess
        held.closed = held.closed or keep == 0
        return excess


class Ledger(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.atomic = transaction.atomic()
        self.atomic.__enter__()
        self.accounts = [create_account(email=f"person{number}@example.com") for number in range(2)]
        self.model = Model()
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.atomic.__exit__(None, None, None)

    def apply_to_ledger_and_model(self, verb: str, *args: Any) -> None:
        """Make the same call to the ledger and to the model, and compare the results."""
        try:
            answer: object = getattr(self, f"_{verb}")(*args)
        except IrisError as error:
            answer = error.code
        assert answer == getattr(self.model, verb)(*args)

    def first(self, verb: str, *args: Any) -> None:
        self.calls.append((verb, args))
        self.apply_to_ledger_and_model(verb, *args)

    def _top_up(self, person: int, amount: Decimal, cause: str) -> object:
        return credits.top_up(account=self.accounts[person], amount=amount, cause=cause).amount

    def _charge(self, person: int, amount: Decimal, cause: str) -> object:
        entry = credits.charge(account=self.accounts[person], amount=amount, cause=cause)
        return NONE if entry is None else entry.amount

    def _hold(self, person: int, amount: Decimal, cause: str) -> object:
        return credits.hold(account=self.accounts[person], amount=amount, cause=cause).amount

    def _capture_many(self, captures: list[tuple[str, Decimal, str]]) -> object:
        return credits.capture_many(
            captures=[
                Capture(hold_id=self._id(hold), amount=amount, cause=cause)
                for hold, amount, cause in captures
            ]
        )

    def _release(self, hold: str, keep: Decimal, cause: str) -> object:
        return credits.release(hold_id=self._id(hold), keep=keep, cause=cause)

    def _id(self, cause: str) -> int:
        return CreditHold.objects.filter(cause=cause).values_list("id", flat=True).first() or 0

    @initialize(opening=amounts)
    def open(self, opening: Decimal) -> None:
        for person in range(2):
            self.first("top_up", person, opening, f"opening:{person}")

    @rule(person=people, amount=amounts, cause=causes)
    def top_up(self, person: int, amount: Decimal, cause: str) -> None:
        self.first("top_up", person, amount, cause)

    @rule(person=people, amount=amounts, cause=causes)
    def charge(self, person: int, amount: Decimal, cause: str) -> None:
        self.first("charge", person, amount, cause)

    @rule(person=people, amount=amounts, cause=causes)
    def hold(self, person: int, amount: Decimal, cause: str) -> None:
        self.first("hold", person, amount, cause)

    @rule(captures=st.lists(st.tuples(causes, amounts, st.sampled_from("stuvwxyz")), max_size=4))
    def capture_many(self, captures: list[tuple[str, Decimal, str]]) -> None:
        self.first("capture_many", captures)

    @rule(hold=causes, keep=amounts, cause=causes)
    def release_some(self, hold: str, keep: Decimal, cause: str) -> None:
        self.first("release", hold, keep, cause)

    @rule(hold=causes, cause=causes)
    def release_all(self, hold: str, cause: str) -> None:
        self.first("release", hold, NONE, cause)

    @rule(data=st.data())
    def repeat_a_call(self, data: st.DataObject) -> None:
        verb, args = data.draw(st.sampled_from(self.calls))
        self.apply_to_ledger_and_model(verb, *args)

    @invariant()
    def no_credits_are_created_or_lost(self) -> None:
        assert check_ledger().differences == ()
        for person, account in enumerate(self.accounts):
            assert (
                Account.objects.values_list("balance", flat=True).get(pk=account.pk)
                == self.model.balances[person]
            )
        holds = {held.cause: held for held in CreditHold.objects.all()}
        assert holds.keys() == self.model.holds.keys()
        for cause, expected in self.model.holds.items():
            held = holds[cause]
            assert (held.amount, held.captured, held.released) == (
                expected.amount,
                expected.captured,
                expected.released,
            )
            assert (held.closed_at is not None) == expected.closed
        booked = {(e.kind, e.cause): (self.accounts.index(e.account), e.amount) for e in self._entries()}
        assert booked == self.model.booked

    def _entries(self) -> list[CreditEntry]:
        return list(CreditEntry.objects.select_related("account"))


@pytest.mark.field
@pytest.mark.django_db
def test_no_sequence_of_calls_creates_or_loses_credits() -> None:
    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=at_scale(12, 1000),
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
