"""Doors into the runs. Each may run twice, late or never: the next tick finds whatever there is to do."""

from __future__ import annotations

from celery import Task, shared_task

from campaigns.models import Run, RunStatus
from campaigns.recipients import background_imports
from campaigns.runs import hopper, lifecycle, prerender, restore
from telephony.engine import stalls, time_slices
from telephony.engine.locks import locked
from telephony.engine.nudge import EXPIRES, sent_at

# What may take long and hurts nobody who waits: one of these at a time, so that it never takes more than one process.
BACKGROUND = stalls.BACKGROUND


@shared_task(name="campaigns.tasks.tick")
def tick() -> None:
    """Every second: begin what is due, close what has ended, and fill what is running."""
    with locked("tick:campaigns") as ours:
        if ours:
            _tick()


def _tick() -> None:
    if not restore.look_after():
        lifecycle.begin_due()
    lifecycle.carry_on()
    lifecycle.finish_all()
    unfilled = Run.objects.filter(
        status__in=[RunStatus.RUNNING, RunStatus.STOPPING], filled_at__isnull=True
    ).exists()
    stalls.note_waiting(stalls.FILL, waits=unfilled)
    if unfilled:
        fill.delay()
    importing = _import_is_due()
    to_prepare = not importing and prerender.due().exists()
    stalls.note_waiting(stalls.BACKGROUND, waits=importing or to_prepare)
    if importing:
        import_sheet.delay()
    if to_prepare:
        prepare.delay()


def _import_is_due() -> bool:
    return background_imports.due()


@shared_task(name="campaigns.tasks.fill", bind=True, expires=EXPIRES)
def fill(task: Task[[], None]) -> None:
    """One process stays with the hoppers. Another looks in at each tick, so that long speech of one run stops no other."""
    with time_slices.acquire(stalls.FILL, sent_at=sent_at(task)) as ours:
        more = ours and hopper.fill_all(budget=time_slices.seconds(), stays=True)
    if more:
        fill.delay()
    elif not ours:
        with time_slices.acquire(
            stalls.FILL_MORE, sent_at=sent_at(task), count=time_slices.FILLERS - 1
        ) as ours:
            if ours:
                hopper.fill_all(budget=time_slices.seconds(), stays=False)


@shared_task(name="campaigns.tasks.prepare", bind=True, expires=EXPIRES)
def prepare(task: Task[[], None]) -> None:
    """Speak what scheduled calls will say, so that the first of them need not wait for it."""
    with time_slices.acquire(BACKGROUND, sent_at=sent_at(task)) as ours:
        more = ours and prerender.prepare_all(budget=time_slices.seconds())
    if more and not _import_is_due():  # somebody waits for those
        prepare.delay()


@shared_task(name="campaigns.tasks.import_sheet", expires=EXPIRES)
def import_sheet(_pk: int | None = None) -> None:
    """Import all sheets that wait. Nudges of the version before name one of them."""
    with locked(BACKGROUND) as ours:
        if ours:
            background_imports.import_all()
