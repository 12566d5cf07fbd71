"""The models of the project itself."""

from django.db import models


class Heartbeat(models.Model):
    """When a part of iris without a network address, such as a worker, was last alive (iris.health)."""

    name = models.CharField(max_length=100, primary_key=True)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.seen_at:%Y-%m-%d %H:%M:%S}"
