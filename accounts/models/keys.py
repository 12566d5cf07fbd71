"""API keys."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from accounts.models.accounts import Account
from accounts.permissions import KEY_SCOPES, Permission


def all_key_scopes() -> list[str]:
    """Return every scope that a key can have."""
    return [scope.value for scope in KEY_SCOPES]


class ApiKey(models.Model):
    """An API key of an account. The database stores only a hash, so the key is shown once, when it is created.

    `scopes` are permissions. A key remains valid when the person who created it leaves the account.
    """

    account = models.ForeignKey(
        Account, on_delete=models.CASCADE, related_name="api_keys", db_column="user_id", db_index=False
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    name = models.CharField(max_length=100, blank=True, default="", db_default="")
    # The defaults of the database are for keys that processes of the previous release generate.
    scopes = ArrayField(
        models.CharField(max_length=20, choices=[(scope.value, scope.value) for scope in Permission]),
        default=all_key_scopes,
        db_default=all_key_scopes(),
    )
    is_of_v1 = models.BooleanField(
        "made by v1",
        default=True,
        db_default=True,
        help_text="v1's generate-api-keys made it, and revokes it when it makes the next one.",
    )
    digest = models.CharField(max_length=64, unique=True, help_text="SHA-256 of the key.")
    beginning = models.CharField(max_length=16, help_text="By which its owner knows it again.")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="To the minute.")
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "API key"
        constraints = (
            models.UniqueConstraint(
                fields=("account",),
                condition=Q(revoked_at=None, is_of_v1=True),
                name="accounts_apikey_one_of_v1",
            ),
        )
        indexes = (models.Index(fields=("account", "-id"), name="accounts_apikey_newest"),)

    def __str__(self) -> str:
        return f"{self.beginning}… of account {self.account_id}"
