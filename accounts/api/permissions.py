"""The permission that each operation of the APIs needs. `needs` declares it, and `Permitted` checks it.

    @needs(Permission.SEND)
    def begin(self, request, campaign_id): ...

    @needs(Permission.MANAGE_ACCOUNT, only=AccountKind.LIVE)
    def create(self, request):  # test twins cannot use it
    ...

This is the only place that checks permissions of requests. An operation that declares nothing is refused.
`manage.py permissionstable` writes docs/permissions.md from the same declarations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.api.account import access_of
from accounts.permissions import AccountKind, Permission, check, check_kind

if TYPE_CHECKING:
    # At run time this import would be circular: rest_framework.views imports this module,
    # because DEFAULT_PERMISSION_CLASSES names it.
    from rest_framework.views import APIView

Operation = TypeVar("Operation", bound=Callable[..., Any])


def needs(
    permission: Permission | None, *, only: AccountKind | None = None
) -> Callable[[Operation], Operation]:
    """Declare the permission that an operation needs. None means that every member and every key may use it.

    `only` declares that test twins cannot use the operation, or that only they can.
    """

    def decorate(operation: Operation) -> Operation:
        operation.needs = permission  # type: ignore[attr-defined]
        operation.only = only  # type: ignore[attr-defined]
        return operation

    return decorate


def require(request: Request, permission: Permission) -> None:
    """Raise MissingPermission unless the request has this permission, which it needs because of what it contains.

    `needs` declares what an operation needs in any case.
    """
    access = access_of(request)
    check(access.granted, permission, by_key=access.key is not None)


def needed_by(view: type[APIView] | APIView, name: str) -> Permission | None:
    """Return the permission that an action of a ViewSet, or a method of another view, needs. Raises AttributeError."""
    needed: Permission | None = getattr(view, name).needs
    return needed


def kind_needed_by(view: type[APIView] | APIView, name: str) -> AccountKind | None:
    """Return the kind of account that an operation needs, or None if both kinds may use it. Raises AttributeError."""
    kind: AccountKind | None = getattr(view, name).only
    return kind


class Permitted(BasePermission):
    """Refuse requests whose member or key lacks the permission of the operation, or whose account is of the wrong kind."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        # A ViewSet has actions. They are None if the path does not support the method, which is a 405.
        name = getattr(view, "action", (request.method or "").lower())
        if not name or name == "options" or not hasattr(view, name):
            return True
        access = access_of(request)
        by_key = access.key is not None
        if (kind := kind_needed_by(view, name)) is not None:
            check_kind(kind, is_twin=access.account.is_twin, by_key=by_key)
        if (needed := needed_by(view, name)) is not None:
            check(access.granted, needed, by_key=by_key)
        return True
