"""Test for failures that are common where Celery carries the work: late, doubled and lost tasks.

Each docstring says how the failure happens elsewhere.
"""

from __future__ import annotations

import ast
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.conf import settings as django_settings
from django.db import connection, transaction
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError

from accounts.ledger import check_ledger
from campaigns import runs
from campaigns import tasks as run_tasks
from campaigns.models import Run, RunStatus
from campaigns.runs import hopper
from telephony import tasks as trunk_tasks
from telephony.engine import dispatch
from telephony.engine.nudge import nudge
from telephony.models import Channel
from tests import v0
from tests.big_campaign import everybody_once, make_big_campaign, sent
from tests.engine import run_to_the_end
from tests.factories import make_account, make_campaign, make_delivery

SOURCES = ("accounts", "campaigns", "iris", "otp", "telephony", "webhooks")


@pytest.fixture(autouse=True)
def _fast(settings: Any) -> None:
    settings.IRIS_SANDBOX_SPEED = 10_000
    settings.IRIS_TASK_SECONDS = 1


# Sending after a stop -------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_nudge_that_arrives_after_a_stop_sends_nothing() -> None:
    """A queued job that does not check the run again still sends after the stop."""
    campaign = make_big_campaign()
    runs.begin(campaign=campaign, message="Namaste")
    hopper.fill_all(budget=0)
    runs.stop(campaign=campaign)
    run_tasks.fill()
    run_tasks.tick()
    trunk_tasks.tick()
    trunk_tasks.dispatch("sandbox")
    run_to_the_end()
    assert not sent()
    assert Run.objects.get().status == RunStatus.TERMINATED


# Lost nudges ----------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_run_begun_while_the_broker_is_down_starts_with_the_next_tick(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The request succeeds, but its message to the broker is lost."""

    def refuse(*args: Any, **options: Any) -> None:
        raise BrokerError("no broker")

    monkeypatch.setattr(current_app, "send_task", refuse)
    monkeypatch.setattr("celery.app.task.Task.apply_async", refuse)
    campaign = make_campaign()
    answer = v0.Caller(campaign.owner).post(
        f"/api/system/campaigns/{campaign.pk}/begin/", {"message": "Namaste"}
    )
    assert answer["success"]
    run_tasks.tick()
    run_to_the_end()
    assert sent() == everybody_once(campaign)


@pytest.mark.django_db(transaction=True)
def test_nudge_is_sent_on_commit_and_never_after_a_rollback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A worker that gets the nudge before the commit finds no work. After a rollback there is none."""
    nudges: list[Any] = []
    monkeypatch.setattr(trunk_tasks.poll, "apply_async", lambda args, **options: nudges.append(args))
    with transaction.atomic():
        nudge("telephony.tasks.poll", "sandbox")
        assert not nudges
    assert nudges == [("sandbox",)]
    with transaction.atomic():
        nudge("telephony.tasks.poll", "sandbox")
        transaction.set_rollback(True)
    assert nudges == [("sandbox",)]


# Task queues ----------------------------------------------------------------------------------------------


def calls_in_our_code() -> list[tuple[Path, ast.Call]]:
    root = Path(django_settings.BASE_DIR)
    return [
        (path, node)
        for folder in SOURCES
        for path in (root / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    ]


def test_no_task_uses_eta_or_celery_retries_or_revocation() -> None:
    """Such tasks wait in a worker's memory, and brokers deliver them again after the visibility timeout."""
    for path, call in calls_in_our_code():
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        arguments = {keyword.arg for keyword in call.keywords}
        if name in {"apply_async", "delay", "shared_task", "send_task", "nudge", "signature", "si"}:
            assert not arguments & {"eta", "countdown", "autoretry_for", "max_retries", "acks_late"}, (
                path,
                name,
            )
        assert name not in {"revoke", "apply_later", "delay_on_commit"}, (path, name)
        assert not (name == "retry" and isinstance(call.func, ast.Attribute)), (path, name)


def test_tasks_are_acknowledged_before_they_run() -> None:
    from iris.celery import app

    assert not app.conf.task_acks_late
    assert not app.conf.task_reject_on_worker_lost
    assert not any(task.acks_late for task in app.tasks.values() if task.name.startswith(SOURCES))


def run_concurrently(count: int, work: Callable[[], object]) -> None:
    """Run `work` in `count` threads, each with its own database connection. Fail if any of them raises."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as e:
            failed.append(e)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


@pytest.mark.django_db(transaction=True)
def test_duplicated_and_reordered_tasks_in_parallel_reach_each_recipient_once() -> None:
    """With two beats, redelivered or late tasks, each task does only the work that is left."""
    owner = make_account(credits=100)
    campaign = make_big_campaign(owner=owner)
    runs.begin(campaign=campaign, message="Namaste", starts_at=timezone.now() + timedelta(hours=1))
    Run.objects.update(starts_at=timezone.now())

    def forwards() -> None:
        run_tasks.tick()
        run_tasks.fill()
        trunk_tasks.tick()
        trunk_tasks.dispatch("sandbox")
        trunk_tasks.poll("sandbox")

    def backwards() -> None:
        trunk_tasks.poll("sandbox")
        trunk_tasks.dispatch("sandbox")
        trunk_tasks.tick()
        run_tasks.fill()
        run_tasks.tick()

    run_concurrently(4, forwards)
    run_concurrently(4, backwards)
    run_to_the_end()
    assert sent() == everybody_once(campaign)
    owner.refresh_from_db()
    assert (owner.balance, check_ledger().differences) == (70, ())


@pytest.mark.django_db
def test_task_that_arrives_after_the_work_is_done_changes_nothing() -> None:
    delivery = make_delivery(channel=Channel.SMS)
    dispatch.run("sandbox", budget=1)
    run_to_the_end()
    trunk_tasks.dispatch("sandbox")
    trunk_tasks.poll("sandbox")
    run_tasks.fill()
    assert sent() == {delivery.to: 1}
