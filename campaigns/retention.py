"""Remove the deliveries of runs that finished long ago. Recipients keep their final status and their credits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from django.utils import timezone

from campaigns.models import Run
from iris.progress import Advance, unseen
from telephony.carriers import records
from telephony.engine import retention

RUNS_PER_STATEMENT = 100


@dataclass(frozen=True, slots=True)
class Pruned:
    """The number of rows that were removed, or that a dry run would have removed."""

    deliveries: int
    carrier_records: Mapping[str, int]  # numbers of rows by a readable name of their kind
    inbound_messages: int


def prune(
    *, days: int, dry_run: bool = False, shown: Callable[[int], AbstractContextManager[Advance]] = unseen
) -> Pruned:
    """Remove deliveries, carrier records and inbound messages that ended more than `days` days ago.

    It is safe to run this at any time, even twice concurrently. The deliveries of an unfinished run are kept, because
    they prevent a second call to the same recipient. `shown` gets the number of rows to remove, and returns a context in
    which the progress is shown.
    """
    if not dry_run and shown is not unseen:
        expected = prune(days=days, dry_run=True)
        total = expected.deliveries + sum(expected.carrier_records.values()) + expected.inbound_messages
    else:
        total = 0
    with shown(total) as advance:
        return _prune(days=days, dry_run=dry_run, advance=advance)


def _prune(*, days: int, dry_run: bool, advance: Advance) -> Pruned:
    remove = partial(retention.remove_in_chunks, dry_run=dry_run, advance=advance)
    before = timezone.now() - timedelta(days=days)
    over = list(Run.objects.filter(finished_at__lt=before).order_by("pk").values_list("pk", flat=True))
    of_runs = 0
    for start in range(0, len(over), RUNS_PER_STATEMENT):
        rows = retention.ended_campaign_deliveries(over[start : start + RUNS_PER_STATEMENT])
        of_runs += remove(rows)
    retention.remove_in_chunks(retention.old_seed_sms(before), dry_run=dry_run)  # few, and not counted
    return Pruned(
        deliveries=of_runs + remove(retention.ended_otps(before)),
        carrier_records={kind: remove(rows) for kind, rows in records.old(before).items()},
        inbound_messages=remove(retention.old_inbound_messages(before)),
    )
