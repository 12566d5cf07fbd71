"""Who asks."""

from __future__ import annotations

from typing import cast

from rest_framework.request import Request

from accounts.models import User


def account_of(request: Request) -> User:
    """The account that is logged in; the base views let nobody else in."""
    return cast(User, request.user)
