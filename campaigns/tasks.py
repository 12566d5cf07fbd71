"""Doors into the runs. Each may run twice, late or never: the next tick finds whatever there is to do."""

from __future__ import annotations

from celery import shared_task
from django.conf import settings

from campaigns import hopper, lifecycle, preparing
from campaigns.models import ImportStatus, Run, RunStatus, SheetImport
from telephony.slots import slot


@shared_task(name="campaigns.tasks.tick")
def tick() -> None:
    """Every second: begin what is due, close what has ended, and fill what is running."""
    with slot("tick:campaigns") as free:
        if free:
            _tick()


def _tick() -> None:
    lifecycle.begin_due()
    lifecycle.carry_on()
    lifecycle.finish_all()
    if Run.objects.filter(
        status__in=[RunStatus.RUNNING, RunStatus.STOPPING], filled_at__isnull=True
    ).exists():
        fill.delay()
    if preparing.due().exists():
        prepare.delay()
    for pk in SheetImport.objects.filter(status=ImportStatus.IMPORTING).values_list("pk", flat=True):
        import_sheet.delay(pk)


@shared_task(name="campaigns.tasks.fill")
def fill() -> None:
    with slot("fill") as free:
        more = free and hopper.fill_all(budget=settings.IRIS_TASK_SECONDS)
    if more:
        fill.delay()


@shared_task(name="campaigns.tasks.prepare")
def prepare() -> None:
    """Speak what scheduled calls will say, so that the first of them need not wait for it."""
    with slot("prepare") as free:
        more = free and preparing.prepare_all(budget=settings.IRIS_TASK_SECONDS)
    if more:
        prepare.delay()


@shared_task(name="campaigns.tasks.import_sheet")
def import_sheet(pk: int) -> None:
    from campaigns import imports  # it nudges this task

    # One at a time, since it takes a process for as long as the sheet is long.
    with slot("import") as free:
        if free:
            imports.go_on(pk)
