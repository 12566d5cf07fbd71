"""`manage.py prune_audio`: removes recordings that nobody needs any more; for every night."""

from argparse import ArgumentParser
from typing import Any

from django.core.management import BaseCommand

from telephony.speech.pruning import prune


class Command(BaseCommand):
    help = (
        "Removes speech that was not asked for since IRIS_KEEP_AUDIO_DAYS, and uploads that no campaign has. "
        "What is needed after all is spoken again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would be removed, and remove nothing"
        )
        parser.add_argument("--days", type=int, help="instead of IRIS_KEEP_AUDIO_DAYS; 2 at least")

    def handle(self, *args: Any, dry_run: bool, days: int | None, **options: Any) -> None:
        done = prune(dry_run=dry_run, days=None if days is None else max(2, days))
        verb = "Would remove" if dry_run else "Removed"
        self.stdout.write(
            f"{verb} {done.recordings:,} recordings: {done.files:,} files, {done.bytes / 2**20:,.1f} MB."
        )
