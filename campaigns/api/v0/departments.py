"""The departments of an account in the v0 dialect. TingTing's API has none; this is an addition of iris."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import departments
from accounts.api.account import account_of
from accounts.api.amounts import Amount, credits_json
from accounts.api.permissions import needs
from accounts.departments import Direction
from accounts.models import Account
from accounts.permissions import AccountKind, Permission
from campaigns.api.v0.serializers import CAMPAIGN_STATUSES
from campaigns.reports.departments import Figures, figures_of, total
from iris.api.envelope import success
from iris.api.fields import Text, Word, validated
from iris.api.pagination import paginate
from iris.api.viewsets import V0ViewSet


class DepartmentName(serializers.Serializer[Any]):
    name = Text(max_length=255, error_messages={"required": "Give the department a name, such as “Ward 5”."})


class NewTransfer(serializers.Serializer[Any]):
    """Credits to move, and the direction. The amount is never negative."""

    amount = Amount()
    direction = Word({one.value: one for one in Direction})
    note = Text(required=False, max_length=200)


class DepartmentViewSet(V0ViewSet):
    @needs(Permission.VIEW, only=AccountKind.LIVE)
    def list(self, request: Request) -> Response:
        """List the departments with their figures, and the sums over all departments, also over those on other pages."""
        account = account_of(request)
        rows = Account.objects.filter(parent=account).order_by("pk")
        figures = figures_of(list(rows))
        page = paginate(request, rows, count=len(figures))
        return success(
            {
                "pagination": page.pagination,
                "departments": [
                    department_json(one, figures[one.pk]) for one in page.items if one.pk in figures
                ],
                "total": figures_json(total(figures)),
            }
        )

    @needs(Permission.MANAGE_ACCOUNT, only=AccountKind.LIVE)
    def create(self, request: Request) -> Response:
        sent = validated(DepartmentName(data=request.data))
        department = departments.create(parent=account_of(request), name=sent["name"])
        return _shown(department, "Department created.", status=201)

    @needs(Permission.MANAGE_ACCOUNT, only=AccountKind.LIVE)
    def rename(self, request: Request, department_id: int) -> Response:
        account = account_of(request)
        departments.find(
            parent=account, department_id=department_id
        )  # first, so that a wrong id is a 404 even if the body is invalid
        sent = validated(DepartmentName(data=request.data))
        department = departments.rename(parent=account, department_id=department_id, name=sent["name"])
        return _shown(department, "Department renamed.")

    @needs(Permission.MANAGE_CREDITS, only=AccountKind.LIVE)
    def transfer(self, request: Request, department_id: int) -> Response:
        account = account_of(request)
        departments.check_budget(parent=account, department_id=department_id)
        sent = validated(NewTransfer(data=request.data))
        moved = departments.transfer(parent=account, department_id=department_id, **sent)
        balances = dict(
            Account.objects.filter(pk__in=(account.pk, department_id)).values_list("pk", "balance")
        )
        return success(
            {
                "transfer": {
                    "amount": credits_json(moved.outgoing.amount),
                    "direction": sent["direction"].value,
                    "note": sent.get("note", ""),
                    "created_at": timezone.localtime(moved.outgoing.created_at).isoformat(),
                },
                "account": {"id": account.pk, "balance": credits_json(balances[account.pk])},
                "department": {"id": department_id, "balance": credits_json(balances[department_id])},
            },
            message=f"{moved.outgoing.amount:f} credits transferred.",
            status=201,
        )


def _shown(department: Account, message: str, *, status: int = 200) -> Response:
    figures = figures_of([department])[department.pk]
    return success({"department": department_json(department, figures)}, message=message, status=status)


def department_json(department: Account, figures: Figures) -> dict[str, Any]:
    return {
        "id": department.pk,
        "name": department.name,
        "is_suspended": department.is_suspended,
        "created_at": timezone.localtime(department.created_at).isoformat(),
        **figures_json(figures),
    }


def figures_json(figures: Figures) -> dict[str, Any]:
    campaigns = dict.fromkeys(dict.fromkeys(CAMPAIGN_STATUSES.values()), 0)
    for status, number in figures.campaigns.items():
        campaigns[CAMPAIGN_STATUSES[status]] += number
    return {
        "balance": credits_json(figures.balance),
        "on_hold": credits_json(figures.on_hold),
        "spent": credits_json(figures.spent),
        "campaigns": {"total": sum(campaigns.values()), **campaigns},
    }
