"""Compute the figures of an account's departments: their credits and their campaigns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db.models import Count

from accounts.departments import Spending, spending_of
from accounts.models import Account
from campaigns.models import Campaign, RunStatus


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The credits of one or several departments, and the number of their campaigns by the status of the latest run."""

    balance: Decimal = Decimal(0)
    on_hold: Decimal = Decimal(0)
    spent: Decimal = Decimal(0)
    campaigns: Counter[RunStatus | None] = field(default_factory=Counter)


def figures_of(departments: Sequence[Account]) -> Mapping[int, Figures]:
    """Return the figures of each department, by id. Executes two SQL statements for any number of departments."""
    ids = [department.pk for department in departments]
    spending = spending_of(ids)
    campaigns: dict[int, Counter[RunStatus | None]] = {pk: Counter() for pk in ids}
    counted: Any = Campaign.objects.filter(owner__in=ids, deleted_at__isnull=True).with_status().order_by()
    for owner_id, status, number in counted.values_list("owner_id", "run_status").annotate(n=Count("pk")):
        campaigns[owner_id][RunStatus(status) if status else None] += number
    return {
        department.pk: Figures(
            balance=department.balance,
            on_hold=spending.get(department.pk, Spending()).on_hold,
            spent=spending.get(department.pk, Spending()).spent,
            campaigns=campaigns[department.pk],
        )
        for department in departments
    }


def total(figures: Mapping[int, Figures]) -> Figures:
    """Return the sums over these departments."""
    campaigns: Counter[RunStatus | None] = Counter()
    for one in figures.values():
        campaigns.update(one.campaigns)
    return Figures(
        balance=sum((one.balance for one in figures.values()), Decimal(0)),
        on_hold=sum((one.on_hold for one in figures.values()), Decimal(0)),
        spent=sum((one.spent for one in figures.values()), Decimal(0)),
        campaigns=campaigns,
    )
