"""Workers keep their database connection between tasks."""

from types import SimpleNamespace

import pytest
from celery.fixups.django import DjangoWorkerFixup  # type: ignore[attr-defined]  # missing in the stubs
from django.db import connection

from iris.celery import app

TASKS = 500


@pytest.mark.django_db(transaction=True)
def test_tasks_share_one_database_session() -> None:
    worker = DjangoWorkerFixup(app)
    task = SimpleNamespace(request=SimpleNamespace(is_eager=False))
    sessions = set()
    for _ in range(TASKS):
        worker.on_task_prerun(task)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            sessions.add(cursor.fetchone())
        worker.on_task_postrun(task)
    assert len(sessions) == 1


@pytest.mark.django_db(transaction=True)
def test_a_worker_renews_its_session_after_many_tasks() -> None:
    worker = DjangoWorkerFixup(app)
    connection.ensure_connection()
    for _ in range(2 * app.conf.CELERY_DB_REUSE_MAX + 1):
        worker.close_database()
    assert connection.connection is None
