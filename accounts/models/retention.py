"""What was erased because an account no longer keeps it."""

from __future__ import annotations

from django.db import models

from accounts.models.accounts import Account


class Retention(models.Model):
    """How far the data of an account has been erased, and what was erased on the last day with something to erase.

    `marks` says for each kind of data up to where everything is erased, so that a pass does not read the same rows again.
    """

    account = models.OneToOneField(
        Account, primary_key=True, on_delete=models.CASCADE, related_name="retention"
    )
    marks = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))
    counts = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))
    erased_at = models.DateTimeField(null=True, blank=True)
    passed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"retention of account {self.account_id}"
