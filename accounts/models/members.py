"""Members: which person may do what in which account."""

from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import OuterRef, Q
from django.utils import timezone

from accounts.models.accounts import Account
from accounts.permissions import ALL, Permission, preset_of


class MemberQuerySet(models.QuerySet["Member"]):
    def acting_for(self, account_id: int) -> Self:
        """Return the members who act for an account: its own members and those of its parent.

        For a test twin, these are the members of the account that it tests for, and of that account's parent.
        """
        chosen = Account.objects.filter(pk=account_id)
        return self.filter(
            Q(account=account_id)
            | Q(account__in=chosen.values("parent"))
            | Q(account__in=chosen.values("twin_of"))
            | Q(account__in=chosen.values("twin_of__parent"))
        )

    def acting_for_account_of(self, reference: str) -> Self:
        """Like `acting_for`, for a subquery. `reference` names the field of the outer query that refers to the account."""
        return self.filter(
            Q(account=OuterRef(reference))
            | Q(account=OuterRef(f"{reference}__parent"))
            | Q(account=OuterRef(f"{reference}__twin_of"))
            | Q(account=OuterRef(f"{reference}__twin_of__parent"))
        )


class Member(models.Model):
    """A person's permissions in an account. An account always has an owner (`accounts.members` keeps one).

    The owners of a department's parent own the department, too, and the owners of an account own its test twin.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="members", db_index=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    is_owner = models.BooleanField("owner", default=False, help_text="An owner has every permission.")
    permissions = ArrayField(
        models.CharField(max_length=20, choices=[(one.value, one.value) for one in Permission]),
        default=list,
        blank=True,
        help_text="Not used for owners, who have every permission.",
    )
    joined_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = MemberQuerySet.as_manager()
    invited = False  # set by `accounts.members.add`; not stored

    class Meta:
        ordering = ("joined_at", "pk")
        constraints = (
            models.UniqueConstraint(fields=("account", "user"), name="accounts_member_once"),
            models.CheckConstraint(
                condition=Q(is_owner=True) | Q(permissions__contains=[Permission.VIEW.value]),
                name="accounts_member_may_view",
            ),
        )

    def __str__(self) -> str:
        return f"user {self.user_id} in account {self.account_id}"

    @property
    def granted(self) -> frozenset[Permission]:
        """Return the permissions of this member."""
        return ALL if self.is_owner else frozenset(Permission(one) for one in self.permissions)

    @property
    def preset(self) -> str:
        """Return the name of the preset with exactly these permissions, or "custom"."""
        return "owner" if self.is_owner else preset_of(self.granted)
