"""The log of API requests."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now


class ApiRequest(models.Model):
    """A request to the APIs and its response, without secrets, texts of messages and phone numbers.

    Only `accounts.request_log` writes it. Rows of a deleted account are pruned with the others.
    """

    # Not a foreign key: its check would lock the account's row, which every movement of credits locks too.
    account_id = models.BigIntegerField(help_text="The account for which the request acted.")
    at = models.DateTimeField(db_default=Now(), db_index=True)
    request = models.CharField(
        max_length=36, help_text="The id of the request: `X-Request-Id` of its response."
    )
    method = models.CharField(max_length=10)
    path = models.CharField(max_length=500, help_text="With the query.")
    status = models.SmallIntegerField(help_text="The HTTP status of the response.")
    code = models.CharField(max_length=60, blank=True, help_text="`X-Error-Code` of the response.")
    milliseconds = models.IntegerField()
    needed = models.CharField(
        max_length=20,
        blank=True,
        help_text="The permission that the request needed. Only its holders see the row.",
    )
    request_body = models.TextField(blank=True)
    response_body = models.TextField(blank=True)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["account_id", "-id"], name="apirequest_newest_first")]

    def __str__(self) -> str:
        return f"{self.method} {self.path[:100]}: {self.status}"
