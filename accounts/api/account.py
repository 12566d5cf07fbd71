"""Find out for which account a request acts, and which permissions it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from rest_framework.request import Request
from rest_framework_simplejwt.tokens import Token

from accounts import members
from accounts.models import Account, ApiKey, User
from accounts.permissions import Permission


@dataclass(frozen=True, kw_only=True)
class Access:
    """The account of a request, and the permissions of the member or the key that sent it.

    A request of a logged-in person has `user_id` and `token`; a request with an API key has only `key`.
    """

    account: Account
    granted: frozenset[Permission]
    is_owner: bool = False
    user_id: int | None = None
    token: Token | None = None
    key: ApiKey | None = None

    @property
    def actor(self) -> members.Actor:
        """Return who acts in this request, for the checks of `accounts.members`."""
        return members.Actor(granted=self.granted, is_owner=self.is_owner, user_id=self.user_id)


def access_of(request: Request) -> Access:
    """Return the access of an authenticated request. The base views refuse all other requests."""
    if isinstance(request.auth, Access):
        return request.auth
    # Authenticated in another way, such as REST framework's `force_authenticate`: only the person is known.
    standing = members.standing_of(user=cast(User, request.user))
    return Access(
        account=standing.account,
        granted=standing.granted,
        is_owner=standing.is_owner,
        user_id=standing.member.user_id,
    )


def account_of(request: Request) -> Account:
    """Return the account for which an authenticated request acts."""
    return access_of(request).account
