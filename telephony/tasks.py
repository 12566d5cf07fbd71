"""Doors into the engine. Each may run twice, late or never: the next tick finds whatever there is to do."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import Any

from celery import Task, shared_task
from django.conf import settings
from django.db import InterfaceError, OperationalError

from telephony import dispatch as dispatching
from telephony import events, lifecycle, restored, routing, sessions, stranded, turns, unmatched
from telephony.carriers import SessionCarrier, get_carrier
from telephony.lifecycle import QUEUED
from telephony.locks import locked
from telephony.models import Delivery, UnmatchedReport
from telephony.nudge import EXPIRES, nudge, sent_at
from telephony.sessions import TRUNK_QUEUE

log = logging.getLogger(__name__)


@shared_task(name="telephony.tasks.tick")
def tick() -> None:
    """Every second: sweep what is stuck, and nudge the trunks that have something to do."""
    with locked("tick:telephony") as ours:
        if ours:
            _tick()


def _tick() -> None:
    held = restored.look_after()
    lifecycle.expire_leases({alias: get_carrier(alias).report_timeout() for alias in settings.CARRIERS})
    if not held:
        # Reports may have gone to the original of a restored backup, and an SMS would follow each lost call.
        lifecycle.lose_unreported()
    routing.relieve_closed()
    for alias in settings.CARRIERS:
        try:
            _look_after(alias, held=held)
        except (OperationalError, InterfaceError):
            raise
        except Exception:  # one carrier must not keep the others waiting
            log.exception("The trunk %s cannot be looked after", alias)
    unmatched.prune()
    stranded.warn()


def _look_after(alias: str, *, held: bool) -> None:
    carrier = get_carrier(alias)
    if not held and Delivery.objects.filter(trunk__alias=alias, status=QUEUED).exists():
        wake(alias)
    if events.in_flight(alias):
        if carrier.polls:
            poll.delay(alias)
        if not held:
            events.look_up_unknown(alias)
    if UnmatchedReport.objects.filter(trunk__alias=alias).exists():
        events.match_again(alias)


def wake(alias: str) -> None:
    """Have a trunk's queue looked at now, once the present transaction is committed."""
    if sessions.is_served(alias):
        nudge(dispatch, alias)


@shared_task(name="telephony.tasks.dispatch", bind=True, expires=EXPIRES)
def dispatch(task: Task[[str], None], alias: str) -> None:
    with turns.turn(f"dispatch:{alias}", sent_at=sent_at(task), count=turns.dispatchers(alias)) as ours:
        goes_on = partial(turns.may_go_on, since=time.monotonic())
        more = ours and dispatching.run(alias, budget=turns.seconds(alias), goes_on=goes_on)
    if more:
        dispatch.delay(alias)
    elif ours and get_carrier(alias).polls:
        poll.delay(alias)


@shared_task(name="telephony.tasks.poll", bind=True, expires=EXPIRES)
def poll(task: Task[[str], None], alias: str) -> None:
    with turns.turn(f"poll:{alias}", sent_at=sent_at(task)) as ours:
        more = ours and events.poll(alias, budget=turns.seconds(alias))
    if more:
        poll.delay(alias)


def route(name: str, args: tuple[Any, ...], *rest: Any, **kwargs: Any) -> dict[str, str] | None:
    """Celery's router: a trunk that keeps a session is served by the workers of its own queue."""
    if name == dispatch.name and isinstance(get_carrier(args[0]), SessionCarrier):
        return {"queue": f"{TRUNK_QUEUE}{args[0]}"}
    return None
