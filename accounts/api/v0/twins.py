"""The test twin of an account: its id and its credits. TingTing's API has none; this is an addition of iris."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from accounts import departments, twins
from accounts.api.account import account_of
from accounts.api.amounts import credits_json
from accounts.api.permissions import needs
from accounts.models import Account
from accounts.permissions import Permission
from iris.api.envelope import success
from iris.api.viewsets import V0ViewSet


class TwinViewSet(V0ViewSet):
    @needs(Permission.VIEW)
    def retrieve(self, request: Request) -> Response:
        """Show the test twin, or null if nobody has created it."""
        twin = twins.find(account=account_of(request))
        return success({"twin": None if twin is None else twin_json(twin)})

    @needs(Permission.SEND)  # members who may call and text people may also test it
    def fill_up(self, request: Request) -> Response:
        """Create the test twin if it does not exist, and fill up its credits."""
        twin = twins.fill_up(account=account_of(request))
        return success({"twin": twin_json(twin)}, message=f"The test twin has {twin.balance:f} credits.")


def twin_json(twin: Account) -> dict[str, Any]:
    spending = departments.spending_of([twin.pk]).get(twin.pk, departments.Spending())
    return {
        "id": twin.pk,
        "name": twin.name,
        "twin_of": twin.twin_of_id,
        "balance": credits_json(twin.balance),
        "on_hold": credits_json(spending.on_hold),
        "spent": credits_json(spending.spent),
    }
