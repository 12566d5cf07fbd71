"""Doors into the runs. Each may run twice, late or never: the next tick finds whatever there is to do."""

from __future__ import annotations

from celery import shared_task
from django.conf import settings

from campaigns import hopper, lifecycle
from campaigns.models import Run, RunStatus
from telephony.slots import slot


@shared_task(name="campaigns.tasks.tick")
def tick() -> None:
    """Every second: begin what is due, close what has ended, and fill what is running."""
    lifecycle.begin_due()
    lifecycle.finish_all()
    if Run.objects.filter(
        status__in=[RunStatus.RUNNING, RunStatus.STOPPING], filled_at__isnull=True
    ).exists():
        fill.delay()


@shared_task(name="campaigns.tasks.fill")
def fill() -> None:
    with slot("fill") as free:
        more = free and hopper.fill_all(budget=settings.IRIS_TASK_SECONDS)
    if more:
        fill.delay()
