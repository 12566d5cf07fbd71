"""Celery tasks: delete outdated rows of limits and logins, send e-mails, export and erase people's data.

The tasks are idempotent. They may run twice, late or never: the next tick finds the remaining work.
"""

from celery import shared_task
from django.utils import timezone

from accounts import counters, links, login_limits, low_credits, mail, services
from accounts.models import PersonRequest
from accounts.people import requests, retention
from accounts.request_log import entries
from iris.locks import locked

SECONDS = 2.0  # how long a task about people's data may occupy its process
EXPIRES = 60  # seconds after which a waiting task is dropped


@shared_task(name="accounts.tasks.prune")
def prune() -> None:
    """Delete expired counters, known networks, ended logins, sessions and logged requests. Runs every ten minutes."""
    while counters.prune() == counters.PRUNE_BATCH_SIZE:
        pass
    login_limits.prune()
    services.prune_ended_logins()
    services.prune_sessions()
    entries.prune()


@shared_task(name="accounts.tasks.send_mail")
def send_mail() -> None:
    """Write the e-mails with links that people requested, and send all e-mails that are due. Runs every three seconds."""
    while links.write_requested() == links.BATCH_SIZE:
        pass
    while mail.send_due() == mail.BATCH_SIZE:
        pass


@shared_task(name="accounts.tasks.warn_of_low_credits")
def warn_of_low_credits() -> None:
    """Tell of accounts whose credits have fallen below their level, by e-mail and by webhooks. Runs every thirty seconds."""
    with locked("low credits") as ours:
        while ours and low_credits.warn() == low_credits.BATCH_SIZE:
            pass


@shared_task(name="accounts.tasks.look_for_person_requests")
def look_for_person_requests() -> None:
    """Send `work_on_person_requests` if there is work. Runs every five seconds."""
    if PersonRequest.objects.filter(finished_at=None, not_before__lte=timezone.now()).exists():
        work_on_person_requests.delay()


@shared_task(name="accounts.tasks.work_on_person_requests", expires=EXPIRES)
def work_on_person_requests() -> None:
    """Carry out steps of the open requests to export or to erase a person's data."""
    with locked("people") as ours:
        more = ours and requests.work(budget=SECONDS)
    if more:
        work_on_person_requests.delay()


@shared_task(name="accounts.tasks.erase_expired")
def erase_expired() -> None:
    """Erase data that accounts no longer keep. Runs every ten minutes."""
    with locked("retention") as ours:
        if ours:
            requests.remove_results()
            retention.erase_expired(budget=SECONDS)
