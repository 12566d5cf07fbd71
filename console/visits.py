"""A person at a page of an account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest
from django_htmx.middleware import HtmxDetails

from accounts import members
from accounts.models import Account, User
from accounts.permissions import Permission


@dataclass(frozen=True, kw_only=True)
class Visit:
    """A person at a page of an account. `granted` are the person's permissions there.

    `support_until` is set for an operator who looks at the account of others (`console.support`).
    """

    account: Account
    user: User
    granted: frozenset[Permission]
    is_owner: bool
    support_until: datetime | None = None

    def may(self, permission: Permission) -> bool:
        return permission in self.granted

    @property
    def actor(self) -> members.Actor:
        """Return who acts, for the checks of `accounts.members`."""
        return members.Actor(granted=self.granted, is_owner=self.is_owner, user_id=self.user.pk)

    @property
    def may_prepare(self) -> bool:
        return self.may(Permission.PREPARE)

    @property
    def may_send(self) -> bool:
        return self.may(Permission.SEND)

    @property
    def may_listen(self) -> bool:
        return self.may(Permission.LISTEN)

    @property
    def may_manage_account(self) -> bool:
        return self.may(Permission.MANAGE_ACCOUNT)

    @property
    def may_manage_credits(self) -> bool:
        return self.may(Permission.MANAGE_CREDITS)


class ConsoleRequest(HttpRequest):
    """The request of a page that `access.page` has admitted."""

    visit: Visit
    htmx: HtmxDetails


def visit_of(user: User, account_id: int) -> Visit:
    """Return the person's visit to an account. Raises NotAMember, and AccountSuspended."""
    standing = members.standing_of(user=user, account_id=account_id)
    members.refuse_suspended(standing.account)
    return Visit(account=standing.account, user=user, granted=standing.granted, is_owner=standing.is_owner)
