"""`manage.py prune_audio`: remove recordings that are no longer needed. Run it every night."""

from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand

from iris.progress import shown_as
from telephony.speech.pruning import prune


class Command(BaseCommand):
    help = (
        "Removes speech that was not used for IRIS_KEEP_AUDIO_DAYS days, and uploads that no campaign uses. "
        "Removed speech is spoken again when it is needed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="show what would be removed, without removing it"
        )
        parser.add_argument("--days", type=int, help="use this instead of IRIS_KEEP_AUDIO_DAYS; at least 2")

    def handle(self, *args: Any, dry_run: bool, days: int | None, **options: Any) -> None:
        done = prune(
            dry_run=dry_run,
            days=None if days is None else max(2, days),
            shown=shown_as("Removing recordings"),
        )
        verb = "Would remove" if dry_run else "Removed"
        self.stdout.write(
            f"{verb} {done.recordings:,} recordings: {done.files:,} files, {done.bytes / 2**20:,.1f} MB."
        )
