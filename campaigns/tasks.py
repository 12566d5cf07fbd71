"""Doors into the runs. Each may run twice, late or never: the next tick finds whatever there is to do."""

from __future__ import annotations

from celery import shared_task
from django.conf import settings

from campaigns import hopper, lifecycle
from campaigns.models import ImportStatus, Run, RunStatus, SheetImport
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
    for pk in SheetImport.objects.filter(status=ImportStatus.IMPORTING).values_list("pk", flat=True):
        import_sheet.delay(pk)


@shared_task(name="campaigns.tasks.fill")
def fill() -> None:
    with slot("fill") as free:
        more = free and hopper.fill_all(budget=settings.IRIS_TASK_SECONDS)
    if more:
        fill.delay()


@shared_task(name="campaigns.tasks.import_sheet")
def import_sheet(pk: int) -> None:
    from campaigns import imports  # it nudges this task

    with slot(f"import:{pk}") as free:
        if free:
            imports.go_on(pk)
