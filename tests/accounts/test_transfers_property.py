"""No sequence of transfers, holds, captures, late captures, releases, top-ups and charges creates or loses credits.

The machine is that of `test_credits_property`, with an account and its department, and with transfers between them. Days
end and are closed in between, and after each step the statements of both accounts add up.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import hypothesis.strategies as st
import pytest
from django.db.models import Sum
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from accounts import statements, transfers
from accounts.credits import Capture
from accounts.late_captures import capture_late
from accounts.models import Account, CreditEntry, CreditHold
from accounts.services import create_account
from campaigns.reports.statements import statement
from tests.accounts.test_credits_property import NONE, Ledger, Model, amounts, causes, people
from tests.campaigns.reports.bookings import close_until_yesterday, move_bookings_back
from tests.scale import at_scale

LONG_AGO = timedelta(days=300)
late_captures = st.lists(st.tuples(causes, amounts, st.sampled_from("stuvwxyz")), max_size=4)


class TransferModel(Model):
    def transfer(self, giver: int, amount: Decimal, cause: str) -> object:
        taker = 1 - giver
        if amount == 0:
            return "invalid"
        if ("transfer", f"{cause}:out") in self.booked:
            same = self.booked["transfer", f"{cause}:out"] == (giver, amount)
            return amount if same else "transferred_differently"
        if amount > self.balances[giver]:
            return "insufficient_credits"
        self.balances[giver] -= amount
        self.balances[taker] += amount
        self.booked["transfer", f"{cause}:out"] = (giver, amount)
        self.booked["transfer", f"{cause}:in"] = (taker, amount)
        return amount

    def capture_late(self, captures: list[tuple[str, Decimal, str]]) -> object:
        wanted = {cause: (hold, amount) for hold, amount, cause in reversed(captures) if amount}
        done = {}
        for cause, (hold, amount) in wanted.items():
            if hold not in self.holds or ("capture", cause) in self.booked:
                continue
            held = self.holds[hold]
            at_first = self.booked.get(("hold", hold), (0, NONE))[1]
            captured = min(amount, held.remaining)
            unused = max(at_first - held.captured, NONE)
            charged = min(amount - captured, unused - captured, self.balances[held.owner])
            self.balances[held.owner] -= charged
            held.amount += charged
            held.captured += captured + charged
            if charged:
                self.booked["hold", cause] = (held.owner, charged)
            if captured + charged:
                self.booked["capture", cause] = (held.owner, captured + charged)
            done[cause] = (captured, charged)
        return done


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

    def _capture_late(self, captures: list[tuple[str, Decimal, str]]) -> object:
        done = capture_late(
            captures=[
                Capture(hold_id=self._id(hold), amount=amount, cause=cause)
                for hold, amount, cause in captures
            ],
            reserved=lambda hold_ids: {},
        )
        return {cause: (one.captured, one.charged) for cause, one in done.items()}

    @rule(captures=late_captures)
    def capture_late(self, captures: list[tuple[str, Decimal, str]]) -> None:
        self.first("capture_late", captures)

    @rule(days=st.integers(1, 3), closes=st.booleans())
    def days_end(self, days: int, closes: bool) -> None:
        move_bookings_back(days)
        if closes:
            close_until_yesterday()

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

    @invariant()
    def statements_add_up(self) -> None:
        """Check a statement of everything, and the two into which some day divides it."""
        today = timezone.localdate()
        for person, account in enumerate(self.accounts):
            whole = statement(account=account, first=today - LONG_AGO, last=today)
            held = sum((one.remaining for one in self.model.holds.values() if one.owner == person), NONE)
            assert (whole.opening_balance, whole.opening_held) == (0, 0)
            assert (whole.closing_balance, whole.closing_held) == (self.model.balances[person], held)
            assert sum((one.line.balance for one in whole.lines), NONE) == whole.closing_balance
            assert sum((one.line.held for one in whole.lines), NONE) == whole.closing_held
            booked = [amount for owner, amount in self.model.booked.values() if owner == person]
            assert sum(one.line.entries for one in whole.lines) == len(booked)
            assert sum((one.line.amount for one in whole.lines), NONE) == sum(booked, NONE)
            self._divide(account, at=today - timedelta(days=2), whole=whole.lines)

    def _divide(self, account: Account, *, at: date, whole: list[Any]) -> None:
        early = statement(account=account, first=timezone.localdate() - LONG_AGO, last=at)
        late = statement(account=account, first=at + timedelta(days=1), last=timezone.localdate())
        assert (early.closing_balance, early.closing_held) == (late.opening_balance, late.opening_held)
        assert early.lines + late.lines == whole

    def teardown(self) -> None:
        try:
            close_until_yesterday()
            for account in self.accounts:
                assert list(statements.verify(account)) == []
        finally:
            super().teardown()


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
