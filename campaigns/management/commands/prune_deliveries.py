"""`manage.py prune_deliveries`: remove calls and SMS that ended long ago. Run it every night."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError

from campaigns.recipients.leftovers import remove_leftover_sheets
from campaigns.retention import prune
from iris.progress import shown_as


class Command(BaseCommand):
    help = (
        "Removes calls and SMS of runs that ended more than IRIS_KEEP_DELIVERIES_DAYS days ago, and old messages "
        "in the inboxes. The ledger, the campaigns and the outcomes of their recipients are kept."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would be removed, and remove nothing"
        )
        parser.add_argument("--days", type=int, help="instead of IRIS_KEEP_DELIVERIES_DAYS; at least 1")

    def handle(self, *args: Any, dry_run: bool, days: int | None, **options: Any) -> None:
        if days is not None and days < 1:
            raise CommandError("--days must be at least 1.")
        if sheets := remove_leftover_sheets(dry_run=dry_run):
            verb = "Would remove" if dry_run else "Removed"
            self.stdout.write(f"{verb} {sheets:,} uploaded sheets that belong to no import.")
        days = days or settings.IRIS_KEEP_DELIVERIES_DAYS
        if not days:
            self.stdout.write("Nothing is removed: IRIS_KEEP_DELIVERIES_DAYS is 0, which keeps everything.")
            return
        done = prune(days=days, dry_run=dry_run, shown=shown_as("Removing"))
        verb = "Would remove" if dry_run else "Removed"
        of_carriers = "".join(f", {count:,} {kind}" for kind, count in done.carrier_records.items())
        self.stdout.write(
            f"{verb} {done.deliveries:,} calls and SMS{of_carriers} and"
            f" {done.inbound_messages:,} from people, from more than {days} days ago."
        )
