"""Members: which person may do what in which account."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models.accounts import Account
from accounts.permissions import ALL, Permission, preset_of


class Member(models.Model):
    """A person's permissions in an account. An account always has an owner (`accounts.members` keeps one)."""

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
