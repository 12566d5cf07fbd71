"""Remove the deliveries of runs that finished long ago. Recipients keep their final status and their credits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from campaigns.models import Run
from telephony.carriers import records
from telephony.engine import retention

RUNS_PER_STATEMENT = 100


@dataclass(frozen=True, slots=True)
class Pruned:
    """The number of rows that were removed, or that a dry run would have removed."""

    deliveries: int
    carrier_records: Mapping[str, int]  # numbers of rows by a readable name of their kind
    inbound_messages: int


def prune(*, days: int, dry_run: bool = False) -> Pruned:
    """Remove deliveries, carrier records and inbound messages that ended more than `days` days ago.

    It is safe to run this at any time, even twice concurrently. The deliveries of an unfinished run are kept, because
    they prevent a second call to the same recipient.
    """
    before = timezone.now() - timedelta(days=days)
    over = list(Run.objects.filter(finished_at__lt=before).order_by("pk").values_list("pk", flat=True))
    of_runs = 0
    for start in range(0, len(over), RUNS_PER_STATEMENT):
        rows = retention.ended_campaign_deliveries(over[start : start + RUNS_PER_STATEMENT])
        of_runs += retention.remove_in_chunks(rows, dry_run=dry_run)
    retention.remove_in_chunks(retention.old_seed_sms(before), dry_run=dry_run)
    return Pruned(
        deliveries=of_runs + retention.remove_in_chunks(retention.ended_otps(before), dry_run=dry_run),
        carrier_records={
            kind: retention.remove_in_chunks(rows, dry_run=dry_run)
            for kind, rows in records.old(before).items()
        },
        inbound_messages=retention.remove_in_chunks(retention.old_inbound_messages(before), dry_run=dry_run),
    )
