"""The models of the project itself."""

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now


class Heartbeat(models.Model):
    """When a part of iris, such as the workers, was last alive (iris.health). For parts that have no network address."""

    name = models.CharField(max_length=100, primary_key=True)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.seen_at:%Y-%m-%d %H:%M:%S}"


class KeptAnswer(models.Model):
    """A request that an account sent with an idempotency key, and its answer once the request has been carried out.

    Only `iris.kept_answers` writes it. A row without `done_at` belongs to a request that is being carried out, or whose
    process died. A row with `done_at` but without a body has an answer that is not kept: too long, secret or erased.
    """

    # Not a foreign key: its check would lock the account's row, which every movement of credits locks too. Rows of a
    # deleted account are pruned with the others.
    owner_id = models.BigIntegerField(help_text="The account that sent the request.")
    key = models.CharField(max_length=32, db_collation="C", help_text="A hash of the key.")
    fingerprint = models.CharField(max_length=64, help_text="A hash of the request.")
    begun_at = models.DateTimeField(db_default=Now(), db_index=True)
    done_at = models.DateTimeField(null=True)
    status = models.SmallIntegerField(null=True, help_text="The HTTP status of the answer.")
    headers = models.JSONField(default=dict)
    body = models.BinaryField(null=True)
    erase_at = models.DateTimeField(null=True, help_text="When the body is erased, if before the row.")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("owner_id", "key"), name="iris_keptanswer_once"),)
        indexes: ClassVar = [
            models.Index(
                fields=["erase_at"],
                condition=models.Q(erase_at__isnull=False),
                name="iris_keptanswer_erasable",
            )
        ]

    def __str__(self) -> str:
        return f"{self.key[:8]}… of account {self.owner_id}"
