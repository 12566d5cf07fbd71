"""Find out why a campaign makes no progress, or less than one would expect, as far as the database knows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.conf import settings
from django.utils import timezone

from campaigns.models import Campaign, ImportStatus, Run, RunStatus, SheetImport
from campaigns.reports.figures import Figures
from telephony.engine import restore_hold
from telephony.models import FINAL, Channel, Delivery, DeliveryStatus, Purpose, Trunk


class Kind(StrEnum):
    IMPORTING = "importing"
    IMPORT_FAILED = "import_failed"
    AWAITING = "awaiting"
    SCHEDULED = "scheduled"
    PAUSED = "paused"
    SET_ASIDE = "set_aside"
    HELD = "held"
    TRUNK_PAUSED = "trunk_paused"
    NO_CHANNELS = "no_channels"
    FAILING = "failing"
    REPORTS = "reports"
    STOPPING = "stopping"


@dataclass(frozen=True, kw_only=True)
class Hindrance:
    """One reason. `at` is since when, or until when; `words` are those of the server or the carrier, in English."""

    kind: Kind
    at: datetime | None = None
    words: str = ""
    count: int = 0


def hindrances_of(campaign: Campaign, run: Run | None, figures: Figures) -> list[Hindrance]:
    """Return why nothing moves; empty if nothing hinders it. `run` is the live run. Takes at most five queries."""
    found = of_imports(campaign)
    if run is None or run.trial:
        return found
    if run.status == RunStatus.AWAITING:
        return [*found, Hindrance(kind=Kind.AWAITING, at=run.approve_until)]
    if run.status == RunStatus.SCHEDULED:
        return [*found, Hindrance(kind=Kind.SCHEDULED, at=run.starts_at)]
    if run.status == RunStatus.PAUSED:
        kind = Kind.SET_ASIDE if run.pause_reason else Kind.PAUSED
        return [*found, Hindrance(kind=kind, words=run.pause_reason)]
    if run.status == RunStatus.STOPPING:
        return [*found, Hindrance(kind=Kind.STOPPING, count=figures.under_way)]
    held = restore_hold.hold()
    if held is not None:
        return [*found, Hindrance(kind=Kind.HELD, at=held.since)]
    if run.failing_since is not None:
        found.append(Hindrance(kind=Kind.FAILING, at=run.failing_since))
    found += _of_trunks(run)
    if not found and not figures.left and figures.under_way:
        found.append(Hindrance(kind=Kind.REPORTS, count=figures.under_way))
    return found


def of_imports(campaign: Campaign) -> list[Hindrance]:
    """Return the state of the campaign's last import, if it has not ended well. Takes one query."""
    latest = SheetImport.objects.filter(campaign=campaign).order_by("-pk").first()
    if latest is None or latest.status == ImportStatus.DONE:
        return []
    kind = Kind.IMPORTING if latest.status == ImportStatus.IMPORTING else Kind.IMPORT_FAILED
    return [Hindrance(kind=kind, words=latest.message, count=latest.imported, at=latest.created_at)]


def _of_trunks(run: Run) -> list[Hindrance]:
    """Return the reasons why the trunks with the run's queued deliveries submit nothing."""
    queued = Delivery.objects.filter(
        purpose=Purpose.CAMPAIGN, batch=run.pk, status__lt=FINAL, status=DeliveryStatus.QUEUED
    )
    channels = dict(queued.order_by().values_list("trunk", "channel").distinct())
    found = []
    now = timezone.now()
    for trunk in Trunk.objects.filter(pk__in=channels).order_by("pk"):
        if trunk.pause_reason and (trunk.paused_until is None or trunk.paused_until > now):
            found.append(Hindrance(kind=Kind.TRUNK_PAUSED, at=trunk.paused_until, words=trunk.pause_reason))
            continue
        most = settings.CARRIERS.get(trunk.alias, {}).get("CHANNELS")
        if most is not None and channels[trunk.pk] == Channel.CALL and _calls_of(trunk) >= most:
            found.append(Hindrance(kind=Kind.NO_CHANNELS, count=most))
    return found


def _calls_of(trunk: Trunk) -> int:
    in_progress = Delivery.objects.filter(trunk=trunk, status__gt=DeliveryStatus.QUEUED, status__lt=FINAL)
    return in_progress.filter(channel=Channel.CALL).count()
