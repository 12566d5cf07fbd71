"""Test transfers between an account and its departments."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from accounts import credits, departments, twins
from accounts.departments import Direction
from accounts.ledger import check_ledger
from accounts.models import Account, CreditEntry
from accounts.transfers import NotRelated, transfer
from iris.errors import Conflict
from tests.accounts.departments.acting import acting, balances
from tests.factories import make_account, make_hold, owner_of
from tests.v0 import Caller, assert_refusal, row_counts_and_balances

pytestmark = pytest.mark.django_db

DEPARTMENTS = "/api/system/departments/"


class TestTransfers:
    def send(self, account: Account, department: int, **body: Any) -> Any:
        return Caller(account).call("POST", f"{DEPARTMENTS}{department}/transfer/", body)

    def test_credits_move_both_ways(self, city: Account, ward: Account) -> None:
        to = self.send(city, ward.pk, amount=500, direction="to_department", note="July")
        assert (to["status"], to["message"]) == (201, "500.00 credits transferred.")
        assert to["data"]["account"] == {"id": city.pk, "balance": 500}
        assert to["data"]["department"] == {"id": ward.pk, "balance": 500}
        back = self.send(city, ward.pk, amount="12.50", direction="FROM_DEPARTMENT")
        assert back["data"]["department"]["balance"] == 487.5
        assert balances(city, ward) == [Decimal("512.50"), Decimal("487.50")]
        entries = CreditEntry.objects.filter(kind="transfer").order_by("pk")
        assert [(e.account_id, e.counterpart_id, e.balance_delta, e.note) for e in entries] == [
            (city.pk, ward.pk, Decimal(-500), "July"),
            (ward.pk, city.pk, Decimal(500), "July"),
            (ward.pk, city.pk, Decimal("-12.50"), "To City"),
            (city.pk, ward.pk, Decimal("12.50"), "From Ward 5"),
        ]
        assert check_ledger().differences == ()

    @pytest.mark.parametrize("direction", list(Direction))
    def test_a_transfer_beyond_the_balance_is_a_402_and_moves_nothing(
        self, city: Account, ward: Account, direction: Direction
    ) -> None:
        transfer(source=city, target=ward, amount=Decimal(100))
        before = row_counts_and_balances()
        answer = self.send(city, ward.pk, amount=900.01, direction=direction.value)
        assert_refusal(answer, 402)
        assert "has only" in answer["message"]
        assert row_counts_and_balances() == before

    @pytest.mark.parametrize(
        "amount",
        [
            0,
            -1,
            "-0.01",
            0.001,
            "1.005",
            "NaN",
            "nan",
            "sNaN",
            "Infinity",
            "-inf",
            True,
            [5],
            {"a": 1},
            "1_000",
            "१००",
        ]
        + ["five", "1,000", 1e300, 10**30, "9" * 400, 1000000000000, None, ""],
    )
    def test_an_amount_that_is_none_is_a_400(self, city: Account, ward: Account, amount: Any) -> None:
        before = row_counts_and_balances()
        answer = self.send(city, ward.pk, amount=amount, direction="to_department")
        assert_refusal(answer, 400)
        assert answer["errors"][0]["field"] == "amount"
        assert row_counts_and_balances() == before

    def test_nan_as_a_json_word_is_a_400(self, city: Account, ward: Account) -> None:
        for word in ("NaN", "Infinity", "-Infinity", "1e999", "0x10"):
            Caller(city).fails(
                "POST",
                f"{DEPARTMENTS}{ward.pk}/transfer/",
                f'{{"amount": {word}, "direction": "to_department"}}',
                content_type="application/json",
                status=400,
            )

    @pytest.mark.parametrize("direction", [None, "", "up", 1, ["to_department", "from_department"]])
    def test_a_transfer_needs_a_direction(self, city: Account, ward: Account, direction: Any) -> None:
        assert_refusal(self.send(city, ward.pk, amount=1, direction=direction), 400)

    def test_another_accounts_department_is_a_404(self, city: Account, ward: Account) -> None:
        stranger = make_account(credits=100)
        other = departments.create(parent=stranger, name="Ward 6")
        for account, department in (
            (city, other.pk),
            (stranger, ward.pk),
            (city, stranger.pk),
            (city, city.pk),
        ):
            assert_refusal(self.send(account, department, amount=1, direction="to_department"), 404)
            Caller(account).fails("PATCH", f"{DEPARTMENTS}{department}/", {"name": "Mine"}, status=404)
        assert balances(ward, other) == [0, 0]

    def test_a_test_twin_cannot_give_or_receive_credits(self, city: Account, ward: Account) -> None:
        for twin in (twins.open_twin(account=city), twins.open_twin(account=ward)):
            for direction in Direction:
                answer = self.send(city, twin.pk, amount=1, direction=direction.value)
                assert_refusal(answer, 409)
                assert "test twin" in answer["message"]
            for source, target in ((city, twin), (twin, ward), (twin, city)):
                with pytest.raises(NotRelated, match="test twin"):
                    transfer(source=source, target=target, amount=Decimal(1))
        assert check_ledger().differences == ()

    def test_the_twin_of_a_stranger_is_a_404(self, city: Account) -> None:
        twin = twins.open_twin(account=make_account())
        assert_refusal(self.send(city, twin.pk, amount=1, direction="from_department"), 404)

    def test_unrelated_accounts_and_sisters_cannot_transfer(self, city: Account, ward: Account) -> None:
        sister = departments.create(parent=city, name="Health")
        transfer(source=city, target=ward, amount=Decimal(10))
        for source, target in ((ward, sister), (city, make_account()), (city, city)):
            with pytest.raises(NotRelated):
                transfer(source=source, target=target, amount=Decimal(1))

    def test_credits_of_a_suspended_department_stay(self, city: Account, ward: Account) -> None:
        transfer(source=city, target=ward, amount=Decimal(10))
        Account.objects.filter(pk=ward.pk).update(is_suspended=True)
        for direction in Direction:
            assert_refusal(self.send(city, ward.pk, amount=1, direction=direction.value), 409)

    def test_a_cause_is_booked_once(self, city: Account, ward: Account) -> None:
        first = transfer(source=city, target=ward, amount=Decimal(10), cause="budget:7")
        assert transfer(source=city, target=ward, amount=Decimal(10), cause="budget:7") == first
        for amount, source, target in ((11, city, ward), (10, ward, city)):
            with pytest.raises(Conflict, match="already transferred"):
                transfer(source=source, target=target, amount=Decimal(amount), cause="budget:7")
        assert balances(city, ward) == [990, 10]

    def test_the_target_cannot_exceed_the_largest_balance(self, city: Account, ward: Account) -> None:
        credits.top_up(account=ward, amount=credits.MAX_AMOUNT - 5)
        make_hold(account=ward, amount=1000)
        assert_refusal(self.send(city, ward.pk, amount=6, direction="to_department"), 400)
        assert self.send(city, ward.pk, amount=5, direction="to_department")["status"] == 201

    def test_the_database_refuses_a_transfer_without_its_counterpart(self, city: Account) -> None:
        fields = {"kind": "transfer", "account": city, "held_delta": 0, "cause": "x:out", "amount": 5}
        for wrong in ({"balance_delta": -5}, {"balance_delta": 4, "counterpart": city}):
            with pytest.raises(IntegrityError), transaction.atomic():
                CreditEntry.objects.create(**fields, **wrong)

    def test_check_ledger_finds_a_transfer_with_one_side(self, city: Account, ward: Account) -> None:
        transfer(source=city, target=ward, amount=Decimal(10), cause="good")
        CreditEntry.objects.create(
            kind="transfer",
            account=ward,
            counterpart=city,
            amount=3,
            balance_delta=3,
            held_delta=0,
            cause="bad:in",
        )
        (difference,) = [one for one in check_ledger().differences if one.startswith("transfer")]
        assert difference == (
            "transfer bad: 3.00 credits must leave one account and reach the other, but its entries add up to 3.00"
        )

    def test_moved_credits_count_as_received_in_the_dashboard(self, city: Account, ward: Account) -> None:
        transfer(source=city, target=ward, amount=Decimal(100))
        transfer(source=ward, target=city, amount=Decimal(30))
        for account, purchased in ((city, 930), (ward, 70)):
            figures = acting(owner_of(city), account).get("/api/v1/dashboard/").json()
            assert purchased in figures.values() or str(purchased) in str(figures)
