"""The result of the last `manage.py check_ledger`, for the metrics. The check itself takes too long for them."""

from django.db import models
from django.db.models.functions import Now


class LedgerCheckResult(models.Model):
    """How many differences a check of the ledger has found. Only the latest is kept."""

    id = models.SmallIntegerField(primary_key=True, default=1, db_default=1)
    checked_at = models.DateTimeField(db_default=Now())
    entries = models.BigIntegerField()
    differences = models.IntegerField()

    def __str__(self) -> str:
        return f"{self.differences} differences at {self.checked_at:%Y-%m-%d %H:%M}"
