"""The permission that each operation of the APIs needs. `needs` declares it, and `Permitted` checks it.

    @needs(Permission.SEND)
    def begin(self, request, campaign_id): ...

This is the only place that checks permissions of requests. An operation that declares nothing is refused.
`manage.py permissionstable` writes docs/permissions.md from the same declarations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from accounts.api.account import access_of
from accounts.permissions import Permission, check

if TYPE_CHECKING:
    from rest_framework.views import APIView  # imports this module, because the settings name it

Operation = TypeVar("Operation", bound=Callable[..., Any])


def needs(permission: Permission | None) -> Callable[[Operation], Operation]:
    """Declare the permission that an operation needs. None means that every member and every key may use it."""

    def decorate(operation: Operation) -> Operation:
        operation.needs = permission  # type: ignore[attr-defined]
        return operation

    return decorate


def needed_by(view: type[APIView] | APIView, name: str) -> Permission | None:
    """Return the permission that an action of a ViewSet, or a method of another view, needs. Raises AttributeError."""
    needed: Permission | None = getattr(view, name).needs
    return needed


class Permitted(BasePermission):
    """Refuse requests whose member or key lacks the permission of the operation."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        # A ViewSet has actions. They are None if the path does not support the method, which is a 405.
        name = getattr(view, "action", (request.method or "").lower())
        if not name or name == "options" or not hasattr(view, name):
            return True
        access = access_of(request)
        if (needed := needed_by(view, name)) is not None:
            check(access.granted, needed, by_key=access.key is not None)
        return True
