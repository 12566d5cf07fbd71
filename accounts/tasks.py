"""Forgetting what no limit and no token asks for any more. May run twice, late or never."""

from celery import shared_task

from accounts import counters, logins, services


@shared_task(name="accounts.tasks.prune")
def prune() -> None:
    """Every ten minutes: remove counters, addresses and ended logins that are over."""
    while counters.prune() == counters.PRUNED_AT_ONCE:
        pass
    logins.prune()
    services.prune_ended_logins()
