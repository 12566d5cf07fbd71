"""Doors into the engine. Each may run twice, late or never: the next tick finds whatever there is to do."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from django.conf import settings

from telephony import dispatch as dispatching
from telephony import events, lifecycle
from telephony.carriers import SessionCarrier, get_carrier
from telephony.lifecycle import QUEUED
from telephony.models import Delivery
from telephony.slots import slot


@shared_task(name="telephony.tasks.tick")
def tick() -> None:
    """Every second: sweep what is stuck, and nudge the trunks that have something to do."""
    lifecycle.expire_leases()
    lifecycle.lose_unreported()
    for alias in settings.CARRIERS:
        carrier = get_carrier(alias)
        if Delivery.objects.filter(trunk__alias=alias, status=QUEUED).exists():
            dispatch.delay(alias)
        if events.in_flight(alias):
            if carrier.polls:
                poll.delay(alias)
            events.look_up_unknown(alias)


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
        return {"queue": f"trunk.{args[0]}"}
    return None
