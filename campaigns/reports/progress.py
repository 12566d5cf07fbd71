"""How far campaigns have come, and when their recipients last changed: sets, whatever is asked for."""

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
    """Per cent of each campaign's latest run that is done, given their `run_status` by id. Two queries at most.

    How many recipients a run has taken is read from where its cursor stands between the first and the last, not
    counted: the rows of a campaign are numbered together, and there may be a million of them.
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


def _taken(run: Run) -> float:
    if run.filled_at is not None:
        return 1.0
    first, last = getattr(run, "first", None) or 1, run.last_recipient
    if run.individual:
        first, last = run.individual[0], run.individual[-1]
    return min(max((run.cursor - first + 1) / max(last - first + 1, 1), 0.0), 1.0)


def changed_at(campaign: Campaign, recipients: Sequence[Recipient]) -> dict[int, datetime]:
    """When each recipient last changed: was added or edited, or its latest delivery moved, if there was one lately. One
    query.

    Recipients are mostly neighbours in their campaign, as pages are: then they are found by the range of their ids.
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
    # Of those whose `updated_at` is 1970 no more is known than that their campaign was made before them.
    return {
        recipient.pk: max(recipient.updated_at, delivered.get(recipient.pk, campaign.created_at))
        for recipient in recipients
    }
