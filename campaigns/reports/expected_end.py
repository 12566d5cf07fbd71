"""Estimate when a run will have ended, from its pace so far, its calling hours and its waiting retries."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Max
from django.utils import timezone

from campaigns.models import Run, RunStatus, Service
from campaigns.reports import progress
from campaigns.runs import waves
from campaigns.runs.calling_hours import CallingHours
from campaigns.runs.rules import rules_of
from telephony.models import Channel, Delivery, DeliveryStatus, Purpose

MAX_DAYS = 366  # later ends are not estimated


def expected_end(run: Run) -> datetime | None:
    """Return when a running run will probably have ended; None if it is not running, or waits before its next wave.

    Neither is there an estimate before it has made progress.

    Only time within the calling hours counts, before now and after it. No run ends before its last waiting retry.
    """
    now = timezone.now()
    moves = run.status == RunStatus.RUNNING and not waves.is_waiting(run)
    share = progress.share_done(run) if moves else 0.0
    if not share:
        return None
    hours = rules_of(run).hours
    channel = Channel.CALL if Service(run.campaign.service).calls else Channel.SMS
    worked = open_seconds(hours, channel, since=run.starts_at, until=now)
    end = after_open_seconds(hours, channel, at=now, seconds=worked * (1 - share) / share)
    last_try = _last_waiting_try(run, before=now + timedelta(days=MAX_DAYS))
    return end if end is None or last_try is None else max(end, last_try)


def open_seconds(hours: CallingHours | None, channel: Channel, *, since: datetime, until: datetime) -> float:
    """Return for how many seconds of this time something could be submitted."""
    seconds, at = 0.0, since
    while at < until:
        opens, closes = (at, until) if hours is None else hours.window(channel, at)
        at = until if closes is None else min(closes, until)
        seconds += max(0.0, (at - opens).total_seconds())
    return seconds


def after_open_seconds(
    hours: CallingHours | None, channel: Channel, *, at: datetime, seconds: float
) -> datetime | None:
    """Return when something could have been submitted for so many seconds from `at` on; None if in more than MAX_DAYS."""
    limit = at + timedelta(days=MAX_DAYS)
    left = min(seconds, MAX_DAYS * 86_400.0)
    while at < limit:
        opens, closes = (at, None) if hours is None else hours.window(channel, at)
        if closes is None or (closes - opens).total_seconds() >= left:
            end = opens + timedelta(seconds=left)
            return end if end < limit else None
        left -= (closes - opens).total_seconds()
        at = closes
    return None


def _last_waiting_try(run: Run, *, before: datetime) -> datetime | None:
    """Return when the last retry is due that waits for a time `before` this one. Those of a paused run wait for ever."""
    if "retry" not in run.rules:
        return None
    waiting = Delivery.objects.filter(
        purpose=Purpose.CAMPAIGN, batch=run.pk, status=DeliveryStatus.QUEUED, try_number__gt=1
    ).filter(not_before__lt=before)
    last: datetime | None = waiting.aggregate(last=Max("not_before"))["last"]
    return last
