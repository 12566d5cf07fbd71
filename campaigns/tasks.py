"""Celery tasks for runs and imports. A task may run twice, late or never, because the next tick finds all work."""

from __future__ import annotations

from celery import Task, shared_task

from campaigns.recipients import background_imports, measuring
from campaigns.report_files import files
from campaigns.reports import recipient_counts, statements
from campaigns.runs import approval, hopper, prerender, restore, run_hours, run_statuses, waves
from iris.locks import locked
from telephony.engine import stalls, time_slices
from telephony.engine.nudge import EXPIRES, sent_at

# The time slice that imports and the speech of scheduled runs share, so that together they occupy only one process.
BACKGROUND = stalls.BACKGROUND


@shared_task(name="campaigns.tasks.tick")
def tick() -> None:
    """Start due runs, end unapproved runs whose time is over, close ended runs, and start the tasks that have work.

    Called every second.
    """
    with locked("tick:campaigns") as ours:
        if ours:
            _tick()


def _tick() -> None:
    if not restore.hold_runs_if_restored():
        approval.expire_all()
        run_statuses.start_due()
    run_statuses.reconcile_all()
    run_statuses.finish_all()
    run_hours.move_after_hours()
    waves.judge_all()
    recipient_counts.compact()
    to_fill = hopper.unfilled().exists()
    stalls.note_waiting(stalls.FILL, waits=to_fill)
    if to_fill:
        fill.delay()
    importing = _import_is_due()
    to_measure = not importing and measuring.due().exists()
    to_prepare = not importing and not to_measure and prerender.due().exists()
    stalls.note_waiting(stalls.BACKGROUND, waits=importing or to_measure or to_prepare)
    if importing:
        import_sheet.delay()
    if to_measure:
        measure.delay()
    if to_prepare:
        prepare.delay()


def _import_is_due() -> bool:
    return background_imports.due()


@shared_task(name="campaigns.tasks.fill", bind=True, expires=EXPIRES)
def fill(task: Task[[], None]) -> None:
    """Fill the hoppers. One process does so continuously.

    Others join at each tick, so that slow speech synthesis for one run does not delay the other runs.
    """
    with time_slices.acquire(stalls.FILL, sent_at=sent_at(task)) as ours:
        more = ours and hopper.fill_all(budget=time_slices.seconds(), waits_for_room=True)
    if more:
        fill.delay()
    elif not ours:
        with time_slices.acquire(
            stalls.FILL_MORE, sent_at=sent_at(task), count=time_slices.FILLERS - 1
        ) as ours:
            if ours:
                hopper.fill_all(budget=time_slices.seconds(), waits_for_room=False)


@shared_task(name="campaigns.tasks.prepare", bind=True, expires=EXPIRES)
def prepare(task: Task[[], None]) -> None:
    """Synthesize the speech of scheduled runs ahead of time, so that their first calls do not wait for it."""
    with time_slices.acquire(BACKGROUND, sent_at=sent_at(task)) as ours:
        more = ours and prerender.prepare_all(budget=time_slices.seconds())
    if more and not _import_is_due():  # an owner waits for an import, so imports go first
        prepare.delay()


@shared_task(name="campaigns.tasks.measure", bind=True, expires=EXPIRES)
def measure(task: Task[[], None]) -> None:
    """Measure the tags of recipients that the previous release has added."""
    with time_slices.acquire(BACKGROUND, sent_at=sent_at(task)) as ours:
        more = ours and measuring.measure_all(budget=time_slices.seconds())
    if more and not _import_is_due():
        measure.delay()


@shared_task(name="campaigns.tasks.import_sheet", expires=EXPIRES)
def import_sheet(_pk: int | None = None) -> None:
    """Import all pending sheets. `_pk` is ignored; nudges from the previous version of iris still send it."""
    with locked(BACKGROUND) as ours:
        if ours:
            background_imports.import_all()


@shared_task(name="campaigns.tasks.look_for_reports")
def look_for_reports() -> None:
    """Send `prepare_reports` if somebody waits for a report. Runs every two seconds."""
    if files.due():
        prepare_reports.delay()


@shared_task(name="campaigns.tasks.prepare_reports", bind=True, expires=EXPIRES)
def prepare_reports(task: Task[[], None]) -> None:
    """Prepare the files that people asked for."""
    with time_slices.acquire("reports", sent_at=sent_at(task)) as ours:
        more = ours and files.work(budget=time_slices.seconds())
    if more:
        prepare_reports.delay()


@shared_task(name="campaigns.tasks.remove_reports")
def remove_reports() -> None:
    """Delete the files that have expired. Runs every ten minutes."""
    with locked("reports:expired") as ours:
        if ours:
            files.remove_expired()


@shared_task(name="campaigns.tasks.close_days")
def close_days() -> None:
    """Store the statements of days that have ended. Idempotent; may run late. Called every half hour."""
    for _ in statements.close_days():
        pass
