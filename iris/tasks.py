"""The heartbeat that /health checks. It proves that beat, the broker and a worker all work."""

from celery import shared_task

from iris import health


@shared_task(name="iris.tasks.heartbeat")
def heartbeat() -> None:
    health.record_heartbeat("worker")
