"""What the wiring itself has to remember."""

from django.db import models


class Heartbeat(models.Model):
    """When a part of iris that has no address of its own, such as a worker, was last seen alive
    (iris.health).
    """

    name = models.CharField(max_length=100, primary_key=True)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.seen_at:%Y-%m-%d %H:%M:%S}"
