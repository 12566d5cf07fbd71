"""Choose the Celery queue of a trunk, and find out whether a worker serves it.

A trunk whose carrier keeps a connection has a queue of its own, `trunk.<alias>`, and one worker that serves only that
queue (`trunk_worker`). All other trunks share the default queue.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models.functions import Now

from telephony.carriers import SessionCarrier, get_carrier
from telephony.engine.nudge import nudge
from telephony.models import Trunk

DISPATCH = "telephony.tasks.dispatch"
PREFIX = "trunk."  # followed by the trunk's alias
STATUS_SECONDS = 5.0  # between two writes of a trunk worker's status, unless the status changes
MAX_STATUS_AGE = timedelta(seconds=3 * STATUS_SECONDS)  # a worker with an older status is dead
STOPPED = "stopped"  # the last status that a worker writes


def is_served(alias: str) -> bool:
    """Return whether a worker takes the nudges of this trunk: any worker, or the trunk's own worker while it is alive.

    Nudges for a queue without a worker would pile up in the broker.
    """
    if not isinstance(get_carrier(alias), SessionCarrier):
        return True
    live = Trunk.objects.filter(alias=alias, session_at__gt=Now() - MAX_STATUS_AGE)
    return live.exclude(session=STOPPED).exists()


def wake(alias: str) -> None:
    """Nudge the dispatch of a trunk after the present transaction has committed, if a worker serves it."""
    if is_served(alias):
        nudge(DISPATCH, alias)


def route(name: str, args: tuple[Any, ...], *rest: Any, **kwargs: Any) -> dict[str, str] | None:
    """Route a task for Celery: dispatch of a trunk with a connection goes to the queue of that trunk."""
    if name == DISPATCH and isinstance(get_carrier(args[0]), SessionCarrier):
        return {"queue": f"{PREFIX}{args[0]}"}
    return None
