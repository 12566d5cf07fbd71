"""The account of a request."""

from __future__ import annotations

from typing import cast

from rest_framework.request import Request

from accounts.models import User


def account_of(request: Request) -> User:
    """Return the authenticated account. The base views refuse all other requests."""
    return cast(User, request.user)
