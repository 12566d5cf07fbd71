"""Summarize the trunks for people: what each is doing, and what keeps it from doing more. Asks no carrier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Count, Q
from django.utils import timezone

from telephony.carriers import SessionCarrier, get_carrier
from telephony.engine import pace_setting
from telephony.engine.routing import get_or_create_trunks
from telephony.engine.trunk_queues import MAX_STATUS_AGE, STOPPED
from telephony.models import Channel, Delivery, Trunk
from telephony.models.statuses import END, QUEUED


@dataclass(frozen=True, kw_only=True)
class TrunkSummary:
    """`is_connected` is None for carriers that keep no connection. `paused` says whether nothing is submitted now.

    `cps` and `channels` are None if there is no limit.
    """

    alias: str
    carrier: str
    is_connected: bool | None
    session: str
    session_at: datetime | None
    paused: bool
    pause_cause: str
    pause_reason: str
    paused_at: datetime | None
    paused_until: datetime | None
    cps: float | None
    pace_note: str
    channels: int | None
    calls: int
    queued: int
    under_way: int
    last_error: str
    last_error_at: datetime | None


def summarize_trunks() -> list[TrunkSummary]:
    """Return the configured trunks in their order. Takes two queries if all of them have been used."""
    rows = get_or_create_trunks()
    in_flight = Q(status__gt=QUEUED, status__lt=END)
    counted = (
        Delivery.objects.filter(status__lt=END)
        .values("trunk__alias")
        .annotate(
            queued=Count("id", filter=Q(status=QUEUED)),
            calls=Count("id", filter=in_flight & Q(channel=Channel.CALL)),
            under_way=Count("id", filter=in_flight),
        )
    )
    counts: dict[str, Mapping[str, Any]] = {row["trunk__alias"]: row for row in counted}
    # The trunk of test twins has no row before the first test delivery.
    return [_summary(rows[alias], counts.get(alias, {})) for alias in settings.CARRIERS if alias in rows]


def _summary(trunk: Trunk, count: Mapping[str, Any]) -> TrunkSummary:
    config = settings.CARRIERS[trunk.alias]
    now = timezone.now()
    return TrunkSummary(
        alias=trunk.alias,
        carrier=config["BACKEND"].rpartition(".")[2],
        is_connected=_is_connected(trunk, now),
        session=trunk.session,
        session_at=trunk.session_at,
        paused=bool(trunk.pause_reason) and (trunk.paused_until is None or trunk.paused_until > now),
        pause_cause=trunk.pause_cause,
        pause_reason=trunk.pause_reason,
        paused_at=trunk.paused_at,
        paused_until=trunk.paused_until,
        cps=pace_setting.effective(trunk.alias, trunk.cps),
        pace_note=trunk.pace_note if count.get("queued") else "",
        channels=config.get("CHANNELS"),
        calls=count.get("calls", 0),
        queued=count.get("queued", 0),
        under_way=count.get("under_way", 0),
        last_error=trunk.last_error,
        last_error_at=trunk.last_error_at,
    )


def _is_connected(trunk: Trunk, now: datetime) -> bool | None:
    if not isinstance(get_carrier(trunk.alias), SessionCarrier):
        return None
    return (
        trunk.session_at is not None and now - trunk.session_at <= MAX_STATUS_AGE and trunk.session != STOPPED
    )
