"""No sequence of transfers, holds, captures, releases, top-ups and charges creates or loses credits.

The machine is that of `test_credits_property`, with an account and its department, and with transfers between them.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import hypothesis.strategies as st
import pytest
from django.db.models import Sum
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from accounts import transfers
from accounts.models import Account, CreditEntry, CreditHold
from accounts.services import create_account
from tests.accounts.test_credits_property import NONE, Ledger, Model, amounts, causes, people
from tests.scale import at_scale


class TransferModel(Model):
    def transfer(self, giver: int, amount: Decimal, cause: str) -> object:
        taker = 1 - giver
        if amount == 0:
            return "invalid"
        if ("transfer", f"{cause}:out") in self.booked:
            same = self.booked["transfer", f"{cause}:out"] == (giver, amount)
            return amount if same else "conflict"
        if amount > self.balances[giver]:
            return "insufficient_credits"
        self.balances[giver] -= amount
        self.balances[taker] += amount
        self.booked["transfer", f"{cause}:out"] = (giver, amount)
        self.booked["transfer", f"{cause}:in"] = (taker, amount)
        return amount


class Family(Ledger):
    def __init__(self) -> None:
        super().__init__()
        self.model = TransferModel()
        self.accounts[1] = create_account(email="department@example.com", parent=self.accounts[0])

    def _transfer(self, giver: int, amount: Decimal, cause: str) -> object:
        source, target = self.accounts[giver], self.accounts[1 - giver]
        moved = transfers.transfer(source=source, target=target, amount=amount, cause=cause)
        assert moved.outgoing.amount == moved.incoming.amount
        return moved.outgoing.amount

    @rule(giver=people, amount=amounts, cause=causes)
    def transfer(self, giver: int, amount: Decimal, cause: str) -> None:
        self.first("transfer", giver, amount, cause)

    @rule(data=st.data(), giver=people)
    def transfer_everything(self, data: st.DataObject, giver: int) -> None:
        beyond = data.draw(st.sampled_from([NONE, Decimal("0.01")]))
        self.first("transfer", giver, self.model.balances[giver] + beyond, data.draw(causes))

    @invariant()
    def balances_and_holds_are_what_came_in_and_was_not_used(self) -> None:
        def booked(kind: str) -> Decimal:
            total = CreditEntry.objects.filter(kind=kind).aggregate(sum=Sum("amount"))["sum"]
            return total or NONE

        held = sum((hold.remaining for hold in CreditHold.objects.all()), NONE)
        balances = sum(Account.objects.values_list("balance", flat=True), NONE)
        assert balances + held == booked("topup") - booked("charge") - booked("capture")


@pytest.mark.field
@pytest.mark.django_db
def test_no_sequence_of_calls_with_transfers_creates_or_loses_credits() -> None:
    machine: Any = Family
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=at_scale(8, 1000),
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
