"""Departments: accounts with budgets of their own, for which the members of the parent account act, too.

A department's balance is its budget. It is an account like any other, except that it cannot have departments.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from django.db import connection, transaction
from django.db.models import Q

from accounts import audit, transfers
from accounts.models import Account
from accounts.transfers import NotRelated, Transfer
from iris.errors import Conflict, InvalidInput, NotFound

MAX_DEPARTMENTS = 1000  # of one account


class NestedDepartment(Conflict):
    """The account cannot have departments, because it is a department or a test twin itself."""

    default_code = "nested_department"


class Direction(StrEnum):
    """Which way the credits of a transfer move."""

    TO_DEPARTMENT = "to_department"
    FROM_DEPARTMENT = "from_department"


@dataclass(frozen=True, kw_only=True, slots=True)
class Spending:
    """The credits of an account that are on hold, and those that it has spent: charges, and captures from holds."""

    on_hold: Decimal = Decimal(0)
    spent: Decimal = Decimal(0)


def create(*, parent: Account, name: str) -> Account:
    """Create a department without credits and without members of its own.

    Raises NestedDepartment, InvalidInput (no name) and Conflict (too many departments).
    """
    name = name.strip()
    if not name:
        raise InvalidInput(
            "Give the department a name, such as “Ward 5”.",
            errors=[{"field": "name", "message": "This is missing."}],
        )
    with transaction.atomic():
        check_parent(parent)
        department = Account.objects.create(name=name, parent=parent)
        note_created(department)
    return department


def note_created(department: Account) -> None:
    """Append to the audit log of the parent that it has a new department. A trigger writes the entry of the department."""
    audit.note(
        account_id=department.parent_id,
        action="department_created",
        kind="account",
        object_id=department.pk,
        name=department.name,
    )


def check_parent(parent: Account) -> None:
    """Lock an account that is about to get a department. Raises NestedDepartment and Conflict (too many departments)."""
    parent = Account.objects.select_for_update(no_key=True).get(pk=parent.pk)
    if parent.is_twin:
        raise NestedDepartment(f"{parent} is a test twin. Test twins have no departments.")
    if parent.parent_id is not None:
        raise NestedDepartment(f"{parent} is a department. A department cannot have departments.")
    if parent.departments.count() >= MAX_DEPARTMENTS:
        raise Conflict(
            f"An account can have at most {MAX_DEPARTMENTS:,} departments, and this account already has that many.",
            code="too_many_departments",
        )


def find(*, parent: Account, department_id: int) -> Account:
    """Return a department of this account. Raises NotFound."""
    department = Account.objects.filter(parent=parent, pk=department_id).first()
    if department is None:
        raise NotFound(
            "This account has no such department. The list of departments has their ids.",
            code="no_such_department",
        )
    return department


def rename(*, parent: Account, department_id: int, name: str) -> Account:
    """Rename a department. Raises NotFound."""
    department = find(parent=parent, department_id=department_id)
    department.name = name
    department.save(update_fields=["name"])
    return department


def check_budget(*, parent: Account, department_id: int) -> Account:
    """Return a department of this account whose credits can be moved.

    Raises NotFound, and NotRelated for the test twin of the account or of a department, and for a suspended department.
    """
    of_family = Q(twin_of=parent) | Q(twin_of__parent=parent)
    if Account.objects.filter(of_family, pk=department_id).exists():
        raise NotRelated("This is a test twin, whose credits are for tests only. They cannot be transferred.")
    department = find(parent=parent, department_id=department_id)
    if department.is_suspended:
        raise NotRelated(
            f"{department} is suspended, so its credits cannot be moved. Ask the operator of this server."
        )
    return department


def transfer(
    *,
    parent: Account,
    department_id: int,
    amount: Decimal,
    direction: Direction,
    cause: str | None = None,
    note: str = "",
) -> Transfer:
    """Move credits between an account and one of its departments. See `check_budget` and `transfers.transfer`."""
    department = check_budget(parent=parent, department_id=department_id)
    source, target = parent, department
    if direction is Direction.FROM_DEPARTMENT:
        source, target = department, parent
    return transfers.transfer(source=source, target=target, amount=amount, cause=cause, note=note)


def spending_of(account_ids: Iterable[int]) -> dict[int, Spending]:
    """Return the spending of several accounts, by id, with one statement. Accounts that have never spent are left out."""
    ids = list(account_ids)
    with connection.cursor() as cursor:
        cursor.execute(_SPENDING, [ids, ids])
        return {
            account_id: Spending(on_hold=on_hold, spent=spent)
            for account_id, on_hold, spent in cursor.fetchall()
        }


_SPENDING = """
    SELECT user_id, sum(on_hold), sum(spent) FROM (
        SELECT user_id, sum(amount - captured - released) AS on_hold, sum(captured) AS spent
          FROM accounts_credithold WHERE user_id = ANY(%s) GROUP BY user_id
         UNION ALL
        SELECT user_id, 0, coalesce(sum(amount) FILTER (WHERE kind = 'charge'), 0) FROM accounts_creditentry
         WHERE user_id = ANY(%s) AND kind IN ('topup', 'charge') GROUP BY user_id  -- as in the partial index
    ) AS part GROUP BY user_id
"""
