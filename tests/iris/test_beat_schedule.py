"""Test beat and its periodic tasks."""

import time
from datetime import timedelta

import pytest
from django.conf import settings

from iris import beat_scheduler
from iris.beat_scheduler import LONG_AGO, BeatScheduler
from iris.celery import app


def test_the_heartbeat_expires_no_later_than_the_ticks() -> None:
    """If beat's clock is behind, workers drop its ticks as expired. /health must not report ok then."""
    expires = {name: entry["options"]["expires"] for name, entry in settings.CELERY_BEAT_SCHEDULE.items()}

    assert expires["heartbeat"] <= min(expires.values())


@pytest.mark.django_db
def test_each_task_is_due_when_beat_starts_and_then_in_its_interval() -> None:
    """Beat stores nothing, so frequent restarts must not postpone the tasks with long intervals for ever."""
    entries = dict(BeatScheduler(app).schedule)  # type: ignore[arg-type]

    assert set(entries) == set(settings.CELERY_BEAT_SCHEDULE)
    assert all(entry.is_due()[0] for entry in entries.values())
    assert not any(next(entry).is_due()[0] for entry in entries.values())
    assert max(entry["schedule"] for entry in settings.CELERY_BEAT_SCHEDULE.values()) < LONG_AGO


@pytest.mark.django_db
def test_all_tasks_are_sent_at_once_after_the_clock_was_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery would send nothing until the clock shows again the time at which it sent each task last."""
    scheduler = BeatScheduler(app)  # type: ignore[arg-type]
    sent: list[str] = []
    monkeypatch.setattr(scheduler, "apply_entry", lambda entry, **_: sent.append(entry.name))
    names = sorted(settings.CELERY_BEAT_SCHEDULE)

    def send_all() -> list[str]:
        sent.clear()
        while scheduler.tick() == 0:
            pass
        return sorted(sent)

    assert send_all() == names
    assert send_all() == []

    earlier, now = timedelta(hours=1), app.now
    monkeypatch.setattr(app, "now", lambda: now() - earlier)
    monkeypatch.setattr(beat_scheduler, "_clock_offset", lambda: time.time() - time.monotonic() - 3600)

    assert send_all() == names
