"""Run the engine's loops in one process, for tests without Celery: fill, dispatch, poll, sweep, finish."""

from __future__ import annotations

import time
from functools import partial

from django.conf import settings

from campaigns.models import LIVE, Run
from campaigns.runs import hopper, run_statuses
from telephony.carriers import get_carrier
from telephony.engine import delivery_reports, dispatch
from telephony.engine import lifecycle as deliveries
from telephony.models import FINAL, Delivery
from tests.live import TIMEOUT_FACTOR


def run_all_loops_once() -> None:
    """Run every loop once, in the order of a delivery's life."""
    run_statuses.start_due()
    hopper.fill_all(budget=0)
    for alias in settings.CARRIERS:
        dispatch.run(alias, budget=0.5)
        if get_carrier(alias).polls:
            get_carrier(alias).poll(partial(delivery_reports.apply_events, alias))
        delivery_reports.look_up_unknown(alias)
    deliveries.expire_leases()
    deliveries.lose_unreported()
    run_statuses.finish_all()


def run_to_the_end(*, seconds: float = 20) -> None:
    """Run the loops until no run is live and no delivery is unfinished.

    `seconds` is enough on an idle machine; the real timeout is longer. Raise AssertionError after it.
    """
    end = time.monotonic() + seconds * TIMEOUT_FACTOR
    pause = 0.001
    while time.monotonic() < end:
        run_all_loops_once()
        if (
            not Run.objects.filter(status__in=LIVE).exists()
            and not Delivery.objects.filter(status__lt=FINAL).exists()
        ):
            return
        time.sleep(pause)  # grows, because calls over a real line take seconds
        pause = min(2 * pause, 0.1)
    unfinished = Delivery.objects.filter(status__lt=FINAL)[:5]
    raise AssertionError(
        f"Still unfinished after {seconds * TIMEOUT_FACTOR} s: {[str(delivery) for delivery in unfinished]}"
    )
