"""The rule that limits how often an account contacts a phone number, counted over all of its campaigns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from django.db.models import Min, Q
from django.utils import timezone

from campaigns.models import PENDING, Run
from campaigns.runs.delivery_requests import Addressee
from campaigns.runs.limits import FrequencyCap
from iris.locks import lock_until_commit
from telephony.engine.contacts import count_contacts
from telephony.models import Purpose


def lock_counts(run: Run) -> None:
    """Lock the contact counts of the account against other runs with a cap. Call it first in a transaction.

    Without it, two runs could count at the same time, and each could then add the last contact that is allowed.
    """
    lock_until_commit(f"frequency_cap:{run.campaign.owner_id}")


def over_cap(run: Run, cap: FrequencyCap, recipients: Sequence[Addressee]) -> set[int]:
    """Return the ids of the recipients who would exceed the cap if these recipients were contacted in this order.

    The result is certain only after `lock_counts`, and until the end of that transaction.
    """
    since = timezone.now() - timedelta(days=cap.days)
    here = Counter(one.to for one in recipients if one.to)  # without those whose number is invalid
    counts = count_contacts(
        list(here),
        owner_id=run.campaign.owner_id,
        purpose=Purpose.CAMPAIGN,
        since=since,
        after=_oldest_delivery(run.campaign.owner_id, cap.days, run.pk, run.created_at),
        # A number with fewer contacts cannot exceed the cap, even if all of these recipients are contacted.
        at_least=max(1, cap.contacts + 1 - max(here.values(), default=0)),
    )
    over = set()
    for one in recipients:
        if not one.to:
            continue
        before = counts.get(one.to, 0)
        if before >= cap.contacts:
            over.add(one.pk)
        else:
            counts[one.to] = before + 1
    return over


@lru_cache(maxsize=1000)
def _oldest_delivery(owner_id: int, days: int, run_id: int, begun: datetime) -> int:
    """Return an id that is below the ids of all deliveries of this account that a cap can count.

    A run ends after all of its deliveries. So only the runs that are live or ended within these days matter, and each has
    stored an id below the ids of its deliveries (`Run.after_delivery`). `run_id` and `begun` are not used in the query: they
    make the cache keep a result for each run. It stays right while that run is live: later runs have later deliveries.
    """
    since = timezone.now() - timedelta(days=days)
    runs = Run.objects.filter(Q(finished_at=None) | Q(finished_at__gt=since), campaign__owner=owner_id)
    oldest = runs.exclude(status__in=PENDING).aggregate(oldest=Min("after_delivery"))["oldest"]
    return int(oldest or 0)
