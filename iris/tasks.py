"""Tasks of the project itself: the heartbeat that /health checks, and the erasure of kept answers."""

from celery import shared_task

from iris import health, kept_answers


@shared_task(name="iris.tasks.heartbeat")
def heartbeat() -> None:
    """Prove that beat, the broker and a worker all work."""
    health.record_heartbeat("worker")


@shared_task(name="iris.tasks.prune_answers")
def prune_answers() -> None:
    """Erase answers with passwords that have expired, and delete answers older than a day. Idempotent; may run late."""
    for work in (kept_answers.erase, kept_answers.prune):
        while work() == kept_answers.PRUNE_BATCH_SIZE:
            pass
