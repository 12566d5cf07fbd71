"""`manage.py import_status`: show the sheets that are being imported, and why an import waits."""

from __future__ import annotations

from typing import Any

from django.core.management import BaseCommand
from django.utils import timezone

from campaigns.models import ImportStatus, SheetImport


class Command(BaseCommand):
    help = "Shows the progress of each sheet that is being imported, and why an import waits."

    def handle(self, *args: Any, **options: Any) -> None:
        pending = (
            SheetImport.objects.filter(status=ImportStatus.IMPORTING)
            .select_related("campaign__owner", "contact_list__owner")
            .order_by("pk")
        )
        for one in pending.iterator():
            age = (timezone.now() - one.created_at).total_seconds()
            kind = "list" if one.campaign_id is None else "campaign"
            self.stdout.write(
                f"import {one.pk} of {kind} {one.audience.pk} ({one.audience.owner}): {one.imported:,} numbers, up to"
                f" row {one.row:,}, uploaded {age:,.0f} s ago"
            )
            if one.trouble:
                self.stdout.write(f"  WARNING: {one.trouble}")
            if one.tries > 1:
                self.stdout.write(f"  WARNING: reading it has failed {one.tries - 1} times in a row.")
        if not pending.exists():
            self.stdout.write("No sheet is being imported.")
