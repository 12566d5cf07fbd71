"""`manage.py trunk_status`: show the state of each configured trunk. It asks carriers for their balances."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand
from django.db.models import Count, Q, Sum
from django.utils import timezone

from telephony.carriers import SessionCarrier, get_carrier
from telephony.carriers.errors import CarrierError
from telephony.engine import restore_hold, stalls, time_slices, workers
from telephony.engine.backlog import blocked_queues
from telephony.engine.held_back import is_slow
from telephony.engine.routing import get_or_create_trunks
from telephony.engine.trunk_queues import MAX_STATUS_AGE, PREFIX, STOPPED
from telephony.inventory import consistency
from telephony.models import Cause, Channel, Delivery, DeliveryStatus, LateReport, Sender, SenderStatus, Trunk
from telephony.models.statuses import END, QUEUED
from telephony.seeds import results
from telephony.senders.choosing import needs_sender

SEED_DAYS = 7
DELIVERIES_EXAMINED = 100_000  # `_last_error` counts the accepted deliveries among this many newest ones


class Command(BaseCommand):
    help = "Shows each trunk's connection, pace, busy channels and queue, and its last error."

    def handle(self, *args: Any, **options: Any) -> None:
        rows = get_or_create_trunks()
        in_flight = Q(status__gt=QUEUED, status__lt=END)
        counts: dict[str, Mapping[str, Any]] = {
            row["trunk__alias"]: row
            for row in Delivery.objects.filter(status__lt=END)
            .values("trunk__alias")
            .annotate(
                queued=Count("id", filter=Q(status=QUEUED)),
                calls=Count("id", filter=in_flight & Q(channel=Channel.CALL)),
                under_way=Count("id", filter=in_flight),
            )
        }
        for alias in settings.CARRIERS:
            if alias not in rows:  # the trunk of test twins has no row before the first test delivery
                continue
            self._show(rows[alias], counts.get(alias, {"queued": 0, "calls": 0, "under_way": 0}))
        if held := restore_hold.describe_hold():
            self.stdout.write(f"WARNING: nothing is sent: {held}")
        for queue in blocked_queues():
            self.stdout.write(f"WARNING: {queue.queued} deliveries wait on {queue.alias}: {queue.reason}.")
        for sentence in consistency.sentences():
            self.stdout.write(f"WARNING: {sentence}")
        for sentence in stalls.stalled():
            self.stdout.write(f"WARNING: {sentence}")
        self._show_workers()

    def _show_workers(self) -> None:
        living = workers.living()
        needed, processes = time_slices.processes_needed(), sum(worker.processes for worker in living)
        if not living:
            self.stdout.write(
                f"WARNING: no worker has taken a task for {workers.SILENT.seconds} s, so nothing is sent. Are beat and a"
                " worker running (celery --app iris worker)?"
            )
            return
        names = ", ".join(f"{worker.name} ({worker.processes})" for worker in living)
        self.stdout.write(f"workers: {len(living)} with {processes} processes: {names}")
        if needed > processes:
            self.stdout.write(
                f"When all trunks are busy, they need {needed} processes; there are {processes}, so trunks get short time"
                " slices. Increase IRIS_WORKER_CONCURRENCY, or start one more worker."
            )

    def _show(self, trunk: Trunk, count: Mapping[str, Any]) -> None:
        config = settings.CARRIERS[trunk.alias]
        limit = f" of {config['CHANNELS']}" if config.get("CHANNELS") else ", no limit"
        lines = [
            ("connection", _connection(trunk)),
            ("state", _state(trunk)),
            ("pace", _pace(trunk)),
            *_senders(trunk.alias),
            *_pace_note(trunk, count["queued"]),
            ("channels", f"{count['calls']} busy{limit}"),
            ("queue", f"{count['queued']} waiting, {count['under_way']} under way"),
            *_balance(trunk.alias),
            *_seeds(trunk.alias),
            ("last error", _last_error(trunk)),
            *_late_reports(trunk),
        ]
        self.stdout.write(f"{trunk.alias} ({config['BACKEND'].rpartition('.')[2]})")
        for name, text in lines:
            self.stdout.write(f"  {name + ':':<12} {text}")
        for sentence in get_carrier(trunk.alias).advice():
            self.stdout.write(f"  WARNING: {sentence}")


def _connection(trunk: Trunk) -> str:
    if not isinstance(get_carrier(trunk.alias), SessionCarrier):
        return "not needed: this carrier keeps no connection"
    if trunk.session_at is None:
        return (
            f"not connected yet; start its worker: `celery --app iris worker --queues {PREFIX}{trunk.alias}`"
        )
    if timezone.now() - trunk.session_at > MAX_STATUS_AGE or trunk.session == STOPPED:
        return f"no worker since {_ago(trunk.session_at)}; its last status was: {trunk.session}"
    return f"{trunk.session} ({_ago(trunk.session_at)})"


def _senders(alias: str) -> list[tuple[str, str]]:
    """Return the line about the senders of a trunk that needs approved ones; empty for other trunks."""
    if not needs_sender(alias):
        return []
    count = Sender.objects.filter(status=SenderStatus.APPROVED, trunk__in=["", alias]).count()
    waiting = Sender.objects.filter(status=SenderStatus.REQUESTED, trunk__in=["", alias]).count()
    return [("senders", f"approved ones only: {count} approved, {waiting} requested")]


def _seeds(alias: str) -> list[tuple[str, str]]:
    """Return the line about the SMS of the last week to seed numbers; empty if there were none."""
    found = results.figures(since=timezone.now() - timedelta(days=SEED_DAYS), trunk=alias)
    return [
        (
            "seeds",
            f"in {SEED_DAYS} days, {one.accepted} SMS to seed numbers accepted, {one.reported} reported as delivered,"
            f" {one.arrived} seen to arrive, {one.missing} missing",
        )
        for one in found
    ]


def _balance(alias: str) -> list[tuple[str, str]]:
    """Return the line with the remaining credit at the carrier; empty if the carrier cannot be asked."""
    try:
        balance = get_carrier(alias).balance()
    except CarrierError as error:
        balance = f"the carrier does not say: {error}"
    return [("balance", balance)] if balance else []


def _state(trunk: Trunk) -> str:
    if not trunk.pause_reason:
        return "open"
    if trunk.paused_until is None:
        if trunk.probe_at is None:
            return f"paused until an operator resumes it: {trunk.pause_reason}"
        left = max(0.0, (trunk.probe_at - timezone.now()).total_seconds())
        return f"paused, tried with one call or SMS in {left:.0f} s: {trunk.pause_reason}"
    left = (trunk.paused_until - timezone.now()).total_seconds()
    return f"resting for {left:.0f} s: {trunk.pause_reason}" if left > 0 else "open"


def _pace(trunk: Trunk) -> str:
    in_file = settings.CARRIERS[trunk.alias].get("CPS")
    from_file = f"{in_file:g} a second" if in_file else "no limit"
    if trunk.cps is None:
        return from_file
    return f"{trunk.cps:g} a second, set at run time (in the carriers file: {from_file})"


def _last_error(trunk: Trunk) -> str:
    """Return the last error, its time, and whether the carrier has accepted anything since then."""
    if not trunk.last_error or trunk.last_error_at is None:
        return "none"
    newest = Delivery.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    since = Delivery.objects.filter(
        pk__gt=newest - DELIVERIES_EXAMINED, trunk=trunk, submitted_at__gt=trunk.last_error_at
    ).exclude(status=DeliveryStatus.FAILED, cause__in=[Cause.REFUSED, Cause.INVALID], ref="")
    accepted = since.count()
    works = f"it has accepted {accepted} since" if accepted else "it has accepted nothing since"
    return f"{trunk.last_error} ({_ago(trunk.last_error_at)}; {works})"


def _late_reports(trunk: Trunk) -> list[tuple[str, str]]:
    """Return a line that counts late reports on lost deliveries and their written-off credits; empty if there are none."""
    sums = LateReport.objects.filter(trunk=trunk).aggregate(count=Count("pk"), lost=Sum("written_off"))
    if not sums["count"]:
        return []
    count, lost = sums["count"], sums["lost"]
    text = f"{count} lost deliveries were reported after all; {lost:f} credits of their price are written off"
    return [("late reports", text)]


def _pace_note(trunk: Trunk, queued: int) -> list[tuple[str, str]]:
    """Return the line that says why the trunk is slower than its CPS setting; empty if it is not."""
    return [("pace below its setting", trunk.pace_note)] if queued and is_slow(trunk) else []


def _ago(when: Any) -> str:
    seconds = (timezone.now() - when).total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{seconds:.0f} s ago"
