"""Celery tasks of the engine. A task may run twice, late or never: the next tick finds the remaining work."""

from __future__ import annotations

import logging
import time
from functools import partial

from celery import Task, shared_task
from django.conf import settings
from django.db import InterfaceError, OperationalError

from iris.locks import locked
from telephony.carriers import get_carrier
from telephony.engine import (
    backlog,
    canaries,
    carrier_truth,
    delivery_reports,
    lifecycle,
    outcomes,
    part_reports,
    restore_hold,
    routing,
    silence,
    time_slices,
    trunk_queues,
    unmatched_reports,
    workers,  # noqa: F401  (records that this worker is alive)
)
from telephony.engine import dispatch as dispatching
from telephony.engine.nudge import EXPIRES, sent_at
from telephony.models import Delivery, UnmatchedReport
from telephony.models.statuses import QUEUED

log = logging.getLogger(__name__)

# The worker of a trunk stores reports and applies them within a moment. The tick applies the reports that a dead worker has
# left.
SPOOL_SECONDS = 2.0


@shared_task(name="telephony.tasks.tick")
def tick() -> None:
    """Sweep stuck deliveries, and nudge the trunks that have work. Runs every second."""
    with locked("tick:telephony") as acquired:
        if acquired:
            _tick()


def _tick() -> None:
    held = restore_hold.update_guard()
    lifecycle.expire_leases({alias: get_carrier(alias).report_timeout() for alias in settings.CARRIERS})
    if not held:
        # After a restore, the original server may have received the reports. And each call that ends as lost may cause a
        # failover SMS.
        lifecycle.lose_unreported()
        silence.watch()
    canaries.tend()
    routing.move_from_closed_trunks()
    for alias in settings.CARRIERS:
        try:
            _serve_trunk(alias, held=held)
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # an error of one carrier must not delay the others
            log.exception("The tick failed for the trunk %s", alias)
    unmatched_reports.prune()
    backlog.warn()


def _serve_trunk(alias: str, *, held: bool) -> None:
    carrier = get_carrier(alias)
    if not held and Delivery.objects.filter(trunk__alias=alias, status=QUEUED).exists():
        trunk_queues.wake(alias)
    if delivery_reports.in_flight(alias):
        if carrier.polls:
            poll.delay(alias)
        if not held:
            delivery_reports.look_up_unknown(alias)
    if UnmatchedReport.objects.filter(trunk__alias=alias).exists():
        delivery_reports.match_again(alias, min_age=SPOOL_SECONDS)
    part_reports.learn(carrier)


@shared_task(name="telephony.tasks.dispatch", bind=True, expires=EXPIRES)
def dispatch(task: Task[[str], None], alias: str) -> None:
    with time_slices.acquire(
        f"dispatch:{alias}", sent_at=sent_at(task), count=time_slices.dispatchers(alias)
    ) as acquired:
        may_continue = partial(time_slices.may_continue, since=time.monotonic())
        more = acquired and dispatching.run(
            alias, budget=time_slices.seconds(alias), may_continue=may_continue
        )
    if more:
        dispatch.delay(alias)
    elif acquired and get_carrier(alias).polls:
        poll.delay(alias)


@shared_task(name="telephony.tasks.poll", bind=True, expires=EXPIRES)
def poll(task: Task[[str], None], alias: str) -> None:
    with time_slices.acquire(f"poll:{alias}", sent_at=sent_at(task)) as acquired:
        more = acquired and delivery_reports.poll(alias, budget=time_slices.seconds(alias))
    if more:
        poll.delay(alias)


@shared_task(name="telephony.tasks.count_outcomes")
def count_outcomes() -> None:
    """Count what became of deliveries, for `manage.py carrier_truth` and the metrics. Called every half minute."""
    with locked("outcomes") as acquired:
        if acquired:
            outcomes.count_due()
            carrier_truth.warn()
