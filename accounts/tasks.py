"""Delete rows that no limit and no token needs any more. The task is idempotent and may run late."""

from celery import shared_task

from accounts import counters, logins, services


@shared_task(name="accounts.tasks.prune")
def prune() -> None:
    """Delete expired counters, known networks and ended logins. Runs every ten minutes."""
    while counters.prune() == counters.PRUNE_BATCH_SIZE:
        pass
    logins.prune()
    services.prune_ended_logins()
