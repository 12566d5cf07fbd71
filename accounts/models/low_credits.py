"""Warnings that few credits are left (`accounts.low_credits`)."""

from django.db import models
from django.db.models.functions import Now

from accounts.models.accounts import Account


class LowCreditWarning(models.Model):
    """An account has fewer credits than its level, and its people have been told. Deleted when the credits are back."""

    account = models.OneToOneField(Account, on_delete=models.CASCADE, primary_key=True, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"account {self.account_id}"
