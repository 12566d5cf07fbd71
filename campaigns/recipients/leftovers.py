"""Remove uploaded sheets that a dead process has left behind, or whose deletion has failed."""

from __future__ import annotations

from datetime import timedelta

from django.core.files.storage import default_storage
from django.utils import timezone

from campaigns.models import ImportStatus, SheetImport
from campaigns.recipients.imports import SHEETS

YOUNG = timedelta(days=1)  # a younger sheet may belong to a request that has not committed its row yet


def remove_leftover_sheets(*, dry_run: bool = False) -> int:
    """Remove uploaded sheets that belong to no pending import; return how many."""
    try:
        names = [f"{SHEETS}/{name}" for name in default_storage.listdir(SHEETS)[1]]
    except FileNotFoundError:
        return 0
    before = timezone.now() - YOUNG
    old = [name for name in names if default_storage.get_modified_time(name) < before]
    wanted = set(
        SheetImport.objects.filter(file__in=old, status=ImportStatus.IMPORTING).values_list("file", flat=True)
    )
    leftover = [name for name in old if name not in wanted]
    for name in leftover if not dry_run else ():
        default_storage.delete(name)
    return len(leftover)
