"""Celery tasks about people's data. A task may run twice, late or never: the next tick finds the remaining work."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from people import requests, retention
from people.models import PersonRequest
from telephony.engine.locks import locked
from telephony.engine.nudge import EXPIRES

SECONDS = 2.0  # how long a task keeps its process


@shared_task(name="people.tasks.tick")
def tick() -> None:
    """Nudge the work if there is some. Called every five seconds."""
    if PersonRequest.objects.filter(finished_at=None, not_before__lte=timezone.now()).exists():
        work.delay()


@shared_task(name="people.tasks.work", expires=EXPIRES)
def work() -> None:
    """Carry out open requests."""
    with locked("people") as ours:
        more = ours and requests.work(budget=SECONDS)
    if more:
        work.delay()


@shared_task(name="people.tasks.retain")
def retain() -> None:
    """Erase what accounts no longer keep. Called every ten minutes."""
    with locked("retention") as ours:
        if ours:
            requests.remove_results()
            retention.erase_expired(budget=SECONDS)
