"""The sign of life that /health looks at: beat, broker and a worker together brought it about."""

from celery import shared_task

from iris import health


@shared_task(name="iris.tasks.heartbeat")
def heartbeat() -> None:
    health.beat("worker")
