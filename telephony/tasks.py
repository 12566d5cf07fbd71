"""Doors into the engine. Each may run twice, late or never: the next tick finds whatever there is to do."""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task
from django.conf import settings
from django.db import InterfaceError, OperationalError

from telephony import dispatch as dispatching
from telephony import events, lifecycle, unmatched
from telephony.carriers import SessionCarrier, get_carrier
from telephony.lifecycle import QUEUED
from telephony.models import Delivery, UnmatchedReport
from telephony.sessions import TRUNK_QUEUE
from telephony.slots import slot

log = logging.getLogger(__name__)


@shared_task(name="telephony.tasks.tick")
def tick() -> None:
    """Every second: sweep what is stuck, and nudge the trunks that have something to do."""
    with slot("tick:telephony") as free:
        if free:
            _tick()


def _tick() -> None:
    lifecycle.expire_leases()
    lifecycle.lose_unreported()
    for alias in settings.CARRIERS:
        try:
            _look_after(alias)
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # one carrier must not keep the others waiting
            log.exception("The trunk %s cannot be looked after", alias)
    unmatched.prune()


def _look_after(alias: str) -> None:
    carrier = get_carrier(alias)
    if Delivery.objects.filter(trunk__alias=alias, status=QUEUED).exists():
        dispatch.delay(alias)
    if events.in_flight(alias):
        if carrier.polls:
            poll.delay(alias)
        events.look_up_unknown(alias)
    if UnmatchedReport.objects.filter(trunk__alias=alias).exists():
        events.match_again(alias)


@shared_task(name="telephony.tasks.dispatch")
def dispatch(alias: str) -> None:
    with slot(f"dispatch:{alias}", count=settings.IRIS_DISPATCHERS_PER_TRUNK) as free:
        more = free and dispatching.run(alias, budget=settings.IRIS_TASK_SECONDS)
    if more:
        dispatch.delay(alias)
    elif free and get_carrier(alias).polls:
        poll.delay(alias)


@shared_task(name="telephony.tasks.poll")
def poll(alias: str) -> None:
    with slot(f"poll:{alias}") as free:
        more = free and events.poll(alias, budget=settings.IRIS_TASK_SECONDS)
    if more:
        poll.delay(alias)


def route(name: str, args: tuple[Any, ...], *rest: Any, **kwargs: Any) -> dict[str, str] | None:
    """Celery's router: a trunk that keeps a session is served by the workers of its own queue."""
    if name == dispatch.name and isinstance(get_carrier(args[0]), SessionCarrier):
        return {"queue": f"{TRUNK_QUEUE}{args[0]}"}
    return None
