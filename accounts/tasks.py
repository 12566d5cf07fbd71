"""Delete expired counters, logins and sessions, and send e-mails. The tasks are idempotent and may run late."""

from celery import shared_task

from accounts import counters, links, login_limits, mail, services


@shared_task(name="accounts.tasks.prune")
def prune() -> None:
    """Delete expired counters, known networks, ended logins and sessions. Runs every ten minutes."""
    while counters.prune() == counters.PRUNE_BATCH_SIZE:
        pass
    login_limits.prune()
    services.prune_ended_logins()
    services.prune_sessions()


@shared_task(name="accounts.tasks.send_mail")
def send_mail() -> None:
    """Write the e-mails that people asked for, and send all that are due. Runs every three seconds."""
    while links.write_requested() == links.BATCH_SIZE:
        pass
    while mail.send_due() == mail.BATCH_SIZE:
        pass
