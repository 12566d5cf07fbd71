"""The metrics of trunks: whether they work, how fast they are, and what waits on them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.utils import timezone
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from telephony.carriers import SessionCarrier, get_carrier
from telephony.engine.pace_setting import effective
from telephony.engine.trunk_queues import is_served
from telephony.models import DeliveryStatus, PauseCause, Trunk
from telephony.models.statuses import END, QUEUED

PACE_NOTE_AGE = timedelta(seconds=30)  # an older note is not about the present
STATES = ("working", "resting", "paused")


def trunk_metrics() -> Iterator[Metric]:
    yield from _rows()
    yield from _deliveries()


def _rows() -> Iterator[Metric]:
    state = GaugeMetricFamily(
        "iris_trunk_state", "1 for the present state of a trunk.", labels=["trunk", "state"]
    )
    paused = GaugeMetricFamily(
        "iris_trunk_paused", "1 while a trunk is paused for this cause.", labels=["trunk", "cause"]
    )
    served = GaugeMetricFamily(
        "iris_trunk_worker_up", "1 if the worker of a trunk with a connection is alive.", labels=["trunk"]
    )
    pace = GaugeMetricFamily(
        "iris_trunk_pace_setting", "Deliveries a second that a trunk may submit.", labels=["trunk"]
    )
    slow = GaugeMetricFamily(
        "iris_trunk_below_pace", "1 while a trunk is slower than its setting.", labels=["trunk"]
    )
    claimed = CounterMetricFamily(
        "iris_trunk_claimed",
        "Deliveries claimed for submission, repeated attempts included.",
        labels=["trunk"],
    )
    now = timezone.now()
    for trunk in Trunk.objects.filter(alias__in=settings.CARRIERS).order_by("alias"):
        alias = trunk.alias
        is_resting = bool(trunk.pause_reason and trunk.paused_until and trunk.paused_until > now)
        present = "paused" if trunk.is_paused else "resting" if is_resting else "working"
        for each in STATES:
            state.add_metric([alias, each], float(each == present))
        for cause in PauseCause:
            paused.add_metric([alias, cause.value], float(trunk.is_paused and trunk.pause_cause == cause))
        if isinstance(get_carrier(alias), SessionCarrier):
            served.add_metric([alias], float(is_served(alias)))
        setting = effective(alias, trunk.cps)
        if setting is not None:
            pace.add_metric([alias], setting)
        is_fresh = trunk.pace_noted_at is not None and now - trunk.pace_noted_at < PACE_NOTE_AGE
        slow.add_metric([alias], float(is_fresh and bool(trunk.pace_note)))
        claimed.add_metric([alias], trunk.claimed)
    yield from (state, paused, served, pace, slow, claimed)


def _deliveries() -> Iterator[Metric]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT t.alias, d.channel, d.purpose, d.status, count(*),
                       extract(epoch FROM statement_timestamp() - min(greatest(d.not_before, d.created_at))
                           FILTER (WHERE d.status = {QUEUED} AND d.not_before <= statement_timestamp()))::float8
                  FROM telephony_delivery d JOIN telephony_trunk t ON t.id = d.trunk_id
                 WHERE d.status < {END} GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"""
        )
        rows = cursor.fetchall()
    unfinished = GaugeMetricFamily(
        "iris_trunk_deliveries",
        "Deliveries that have not ended.",
        labels=["trunk", "channel", "purpose", "status"],
    )
    age = GaugeMetricFamily(
        "iris_trunk_queue_age_seconds",
        "Seconds for which the oldest queued delivery that is due has been waiting.",
        labels=["trunk", "channel", "purpose"],
    )
    for alias, channel, purpose, status, count, waits in rows:
        unfinished.add_metric([alias, channel, purpose, DeliveryStatus(status).name.lower()], count)
        if waits is not None:
            age.add_metric([alias, channel, purpose], max(0.0, waits))
    yield from (unfinished, age)
