"""The audit log: who did what to which object, when, and from where."""

from typing import Any, NoReturn

from django.db import models
from django.db.models import Func, Q


class ClockTimestamp(Func):
    """The time of the statement's execution, which differs between the statements of a transaction."""

    template = "clock_timestamp()"
    output_field = models.DateTimeField()


class AuditEntry(models.Model):
    """One action. Entries are never changed and never deleted; a trigger refuses both (accounts.audit_triggers).

    Triggers write the entries of changed rows, and `accounts.audit.note` writes those of everything else. The names are
    those at the time of the action. There are no foreign keys: entries outlive what they are about. Passwords, keys, OTPs,
    message texts and recipients' phone numbers are never stored here.
    """

    account_id = models.BigIntegerField(null=True, blank=True, help_text="Empty if it concerns no account.")
    at = models.DateTimeField(db_default=ClockTimestamp())
    action = models.CharField(max_length=32)
    kind = models.CharField(
        max_length=16, blank=True, default="", db_default="", help_text="Kind of the object."
    )
    object_id = models.BigIntegerField(null=True, blank=True)
    object_name = models.CharField(max_length=255, blank=True, default="", db_default="")
    campaign_id = models.BigIntegerField(null=True, blank=True)
    details = models.JSONField(default=dict, blank=True, db_default=models.Value({}, models.JSONField()))
    actor_kind = models.CharField(max_length=8, default="server", db_default="server")
    user_id = models.BigIntegerField(null=True, blank=True)
    key_id = models.BigIntegerField(null=True, blank=True)
    actor_name = models.CharField(max_length=254, blank=True, default="", db_default="")
    actor_email = models.CharField(max_length=254, blank=True, default="", db_default="")
    address = models.CharField(max_length=64, blank=True, default="", db_default="")
    request = models.CharField(
        max_length=32,
        blank=True,
        default="",
        db_default="",
        help_text="Entries of one request have the same value.",
    )

    class Meta:
        ordering = ("-at", "-id")
        verbose_name_plural = "audit entries"
        indexes = (
            models.Index(fields=("account_id", "at", "id"), name="accounts_audit_of_account"),
            models.Index(
                fields=("account_id", "campaign_id", "at", "id"),
                condition=Q(campaign_id__isnull=False),
                name="accounts_audit_of_campaign",
            ),
        )

    def __str__(self) -> str:
        return f"{self.action} {self.kind} {self.object_id or ''}".strip()

    def save(self, *args: Any, force_insert: Any = False, **kwargs: Any) -> None:
        """Insert the entry. Raises TypeError if it is already stored."""
        if not self._state.adding:
            self._refuse()
        super().save(*args, force_insert=True, **kwargs)

    def delete(self, using: Any = None, keep_parents: bool = False) -> NoReturn:
        """Raise TypeError: entries are kept."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise TypeError("The audit log is append-only.")
