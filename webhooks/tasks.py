"""Celery tasks: send events to customers. A task may run twice, late or never: the next tick finds the remaining work."""

from celery import shared_task

from iris.locks import locked
from webhooks import outbox, retention, sender

SECONDS = (
    2.0  # how long the sender claims messages; it then waits for the responses in flight, for 15 s at most
)
EXPIRES = 60  # seconds after which a task that still waits in the queue is dropped


@shared_task(name="webhooks.tasks.tick")
def tick() -> None:
    """Start the sender if messages are due. Runs every second."""
    if outbox.has_due():
        send.delay()


@shared_task(name="webhooks.tasks.send", expires=EXPIRES)
def send() -> None:
    """Send due messages. Only one process at a time may send, because the limits of requests in flight are per process."""
    with locked("webhooks") as ours:
        more = ours and sender.send_due(budget=SECONDS)
    if more:
        send.delay()


@shared_task(name="webhooks.tasks.prune")
def prune() -> None:
    """Delete old events. Runs every ten minutes."""
    with locked("webhooks:prune") as ours:
        if ours:
            retention.prune()
