"""Read the figures of `/metrics` from the database, in one transaction with a time limit."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from django.conf import settings
from django.db import connection, transaction
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

import iris
from iris.metrics.carriers import carrier_metrics
from iris.metrics.trunks import trunk_metrics
from telephony.engine import restore_hold, stalls, workers

STATEMENT_SECONDS = 8  # Prometheus gives up after ten
LIVE_RUNS = ("awaiting", "scheduled", "running", "paused", "stopping")


class Figures(Collector):
    """Read everything from the database whenever Prometheus asks. Nothing is counted in this process."""

    def collect(self) -> Iterable[Metric]:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'")
            return [metric for read in SOURCES for metric in read()]


def registry() -> CollectorRegistry:
    """Return a registry with the figures of the installation, and none of this process: there are several."""
    new = CollectorRegistry()
    new.register(Figures())
    return new


def _installation() -> Iterator[Metric]:
    """Yield the version, and whether beat, the broker and the workers work."""
    yield InfoMetricFamily("iris", "The release that answers.", value={"version": iris.__version__})
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT extract(epoch FROM statement_timestamp() - seen_at)::float8
                 FROM iris_heartbeat WHERE name = 'worker'"""
        )
        row = cursor.fetchone()
    age = _gauge("iris_heartbeat_age_seconds", "Seconds since beat, the broker and a worker worked together.")
    if row is not None:
        age.add_metric([], max(0.0, row[0]))
    yield age
    living = workers.living()
    yield _gauge("iris_workers", "Workers for all trunks that took a task lately.", value=len(living))
    yield _gauge(
        "iris_worker_processes",
        "Processes of these workers.",
        value=sum(worker.processes for worker in living),
    )
    yield _gauge(
        "iris_stalled_work", "Kinds of work that wait without progress.", value=len(stalls.stalled())
    )
    yield _gauge(
        "iris_restore_hold",
        "1 if nothing is sent because a backup was restored.",
        value=float(bool(restore_hold.describe_hold())),
    )


def _work() -> Iterator[Metric]:
    """Yield what waits: runs, e-mails."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT status, count(*) FROM campaigns_run WHERE status = ANY(%s) GROUP BY status",
            [list(LIVE_RUNS)],
        )
        counts = dict(cursor.fetchall())
        cursor.execute("SELECT count(*) FROM (SELECT FROM accounts_outgoingmail LIMIT 10000) waiting")
        mails = cursor.fetchone()[0]
    runs = _gauge("iris_runs", "Runs that have not ended.", "status")
    for status in LIVE_RUNS:
        runs.add_metric([status], counts.get(status, 0))
    yield runs
    yield _gauge("iris_mail_waiting", "E-mails that the mail server has not accepted yet.", value=mails)


def _ledger() -> Iterator[Metric]:
    """Yield the result of the last `manage.py check_ledger`."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT differences, checked_at FROM accounts_ledgercheckresult")
        row: tuple[int, datetime] | None = cursor.fetchone()
    differences = _gauge(
        "iris_ledger_differences", "Differences that the last check of the ledger has found."
    )
    checked = _gauge("iris_ledger_checked_timestamp_seconds", "When the ledger was last checked.")
    if row is not None:
        differences.add_metric([], row[0])
        checked.add_metric([], row[1].timestamp())
    yield differences
    yield checked


def _disk() -> Iterator[Metric]:
    """Yield the space on the disk of IRIS_HOME on this machine, and the size of the database."""
    usage = shutil.disk_usage(settings.IRIS_HOME)
    yield _gauge("iris_disk_free_bytes", "Free space on the disk of IRIS_HOME.", value=usage.free)
    yield _gauge("iris_disk_size_bytes", "Size of the disk of IRIS_HOME.", value=usage.total)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        yield _gauge("iris_database_size_bytes", "Size of the database.", value=cursor.fetchone()[0])


def _gauge(name: str, about: str, *labels: str, value: float | None = None) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, about, value=value, labels=labels or None)


SOURCES: tuple[Callable[[], Iterator[Metric]], ...] = (
    _installation,
    _work,
    _ledger,
    _disk,
    trunk_metrics,
    carrier_metrics,
)
