"""Compute the progress of campaigns, and when their recipients last changed.

Each function handles many rows with a few queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db.models import Count, Max, OuterRef, Subquery
from django.db.models.functions import Coalesce

from campaigns.models import Campaign, Recipient, Run, RunStatus
from telephony.models import FINAL, Delivery, Purpose

UNDER_WAY = (RunStatus.RUNNING, RunStatus.PAUSED)
ENDED = (RunStatus.COMPLETED, RunStatus.STOPPING, RunStatus.TERMINATED)
RUNS_EXAMINED = 10


def percent_done(statuses: dict[int, str | None]) -> dict[int, int]:
    """Return the progress of each campaign's latest run in per cent, given `run_status` by campaign id.

    Takes at most two queries. The share of recipients taken is estimated from the position of the run's cursor between the
    first and the last id, because counting up to a million rows would be slow. The ids of a campaign are mostly
    consecutive.
    """
    done = {pk: 100 if status in ENDED else 0 for pk, status in statuses.items()}
    running = [pk for pk, status in statuses.items() if status in UNDER_WAY]
    if not running:
        return done
    first = Recipient.objects.filter(campaign=OuterRef("campaign")).order_by("pk").values("pk")[:1]
    runs = list(
        Run.objects.filter(campaign__in=running, status__in=UNDER_WAY, trial=False).annotate(
            first=Subquery(first)
        )
    )
    unfinished: dict[int, int] = dict(
        Delivery.objects.filter(
            purpose=Purpose.CAMPAIGN, batch__in=[run.pk for run in runs], status__lt=FINAL
        )
        .values_list("batch")
        .annotate(Count("item", distinct=True))
    )
    for run in runs:
        share = _taken(run) - unfinished.get(run.pk, 0) / max(run.recipient_count, 1)
        done[run.campaign_id] = min(max(int(100 * share), 0), 99)
    return done


def share_done(run: Run) -> float:
    """Return the progress of a run from 0 to 1, estimated as in `percent_done`. Takes at most two queries."""
    if run.filled_at is None and not run.individual:
        run.first = (  # type: ignore[attr-defined]
            Recipient.objects.filter(campaign=run.campaign_id)
            .order_by("pk")
            .values_list("pk", flat=True)
            .first()
        )
    unfinished = Delivery.objects.filter(purpose=Purpose.CAMPAIGN, batch=run.pk, status__lt=FINAL)
    items: int = unfinished.aggregate(n=Count("item", distinct=True))["n"]
    return min(max(_taken(run) - items / max(run.recipient_count, 1), 0.0), 1.0)


def _taken(run: Run) -> float:
    if run.filled_at is not None:
        return 1.0
    first, last = getattr(run, "first", None) or 1, run.last_recipient
    if run.individual:
        first, last = run.individual[0], run.individual[-1]
    return min(max((run.cursor - first + 1) / max(last - first + 1, 1), 0.0), 1.0)


def changed_at(campaign: Campaign, recipients: Sequence[Recipient]) -> dict[int, datetime]:
    """Return when each recipient was last added or edited, or when its latest delivery changed. Takes one query.

    Only deliveries of the latest RUNS_EXAMINED runs count. If the recipients are neighbours in their campaign, as on a page,
    the query uses the range of their ids.
    """
    ids = [recipient.pk for recipient in recipients]
    first, last = min(ids, default=0), max(ids, default=0)
    are_neighbours = last - first < 2 * len(ids)
    chosen = {"item__range": (first, last)} if are_neighbours else {"item__in": ids}
    lately = Run.objects.filter(campaign=campaign, trial=False).order_by("-pk").values("pk")[:RUNS_EXAMINED]
    delivered: dict[int, datetime] = dict(
        Delivery.objects.filter(purpose=Purpose.CAMPAIGN, batch__in=lately, **chosen)
        .values_list("item")
        .annotate(
            changed=Max(
                Coalesce(
                    "delivered_at", "ended_at", "answered_at", "submitted_at", "claimed_at", "created_at"
                )
            )
        )
    )
    # An `updated_at` of 1970 means unknown. The creation of the campaign is then the earliest possible time.
    return {
        recipient.pk: max(recipient.updated_at, delivered.get(recipient.pk, campaign.created_at))
        for recipient in recipients
    }
