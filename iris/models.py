"""The models of the project itself."""

from django.db import models


class Heartbeat(models.Model):
    """When a part of iris, such as the workers, was last alive (iris.health). For parts that have no network address."""

    name = models.CharField(max_length=100, primary_key=True)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.seen_at:%Y-%m-%d %H:%M:%S}"
