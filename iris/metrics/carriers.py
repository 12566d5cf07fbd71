"""The metrics of carriers: what became of the deliveries that they accepted (`telephony.engine.outcomes`)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import accumulate

from django.utils import timezone
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from telephony.engine import carrier_truth
from telephony.engine.outcomes import BOUNDS

LABELS = ("trunk", "channel", "operator")
OUTCOMES = ("delivered", "failed", "silent", "unconfirmed", "refused")
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def carrier_metrics() -> Iterator[Metric]:
    ended = CounterMetricFamily(
        "iris_carrier_deliveries", "Deliveries by their outcome.", labels=[*LABELS, "outcome"]
    )
    latency = HistogramMetricFamily(
        "iris_carrier_report_seconds",
        "Seconds from the submission to the report of a delivered SMS, or to the pickup of a call.",
        labels=LABELS,
    )
    for one in carrier_truth.figures(since=EPOCH):
        labels = [one.trunk, one.channel, one.operator]
        for outcome in OUTCOMES:
            ended.add_metric([*labels, outcome], getattr(one, outcome))
        bounds = [*(f"{float(bound)}" for bound in BOUNDS), "+Inf"]
        counts = list(zip(bounds, map(float, accumulate(one.latencies)), strict=True))
        latency.add_metric(labels, counts, sum_value=None)
    yield from (ended, latency)

    share = GaugeMetricFamily(
        "iris_carrier_silent_share",
        "Share of the last day's deliveries that were never reported.",
        labels=LABELS,
    )
    overdue = GaugeMetricFamily(
        "iris_carrier_overdue", "SMS of the last day whose report is late.", labels=LABELS
    )
    unusual = GaugeMetricFamily(
        "iris_carrier_silence_unusual", "1 if that share is outside of its usual band.", labels=LABELS
    )
    outside = {(one.trunk, one.channel, one.operator) for one in carrier_truth.unusual()}
    for one in carrier_truth.figures(since=timezone.now() - carrier_truth.RECENT):
        labels = [one.trunk, one.channel, one.operator]
        if one.silent_share is not None:
            share.add_metric(labels, one.silent_share)
            overdue.add_metric(labels, one.overdue)
            unusual.add_metric(labels, float((one.trunk, one.channel, one.operator) in outside))
    yield from (share, overdue, unusual)
