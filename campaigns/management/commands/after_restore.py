"""`manage.py after_restore`: show the runs that are held after a restored backup, and resume them (docs/restore.md)."""

from __future__ import annotations

import argparse
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError
from django.utils import timezone

from campaigns.models import RunStatus
from campaigns.runs import restore
from iris.errors import Conflict, InvalidInput
from telephony import numbering
from telephony.engine import restore_hold

SCHEDULED_AHEAD = timedelta(minutes=1)  # a run with a later start counts as scheduled


class Command(BaseCommand):
    help = (
        "Holds all calls and SMS after a backup was restored, and shows the live runs. --resume releases them."
        " See docs/restore.md."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--show", action="store_true", help="only show the live runs")
        what.add_argument(
            "--resume",
            nargs="*",
            type=int,
            metavar="RUN",
            help="allow calls and SMS again, and resume these runs; without numbers, all held runs",
        )
        what.add_argument(
            "--open",
            action="store_true",
            help="allow OTPs and new campaigns again, but keep the held runs paused",
        )
        what.add_argument(
            "--reached",
            type=Path,
            metavar="FILE",
            help="record that recipients with the numbers in this file (one per line) were reached since the backup",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["open"]:
            self._release([])
        elif options["resume"] is not None:
            self._release(options["resume"] or None)
        elif options["reached"] is not None:
            self._mark_reached(options["reached"])
        else:
            if not options["show"]:
                restore.hold_everything()
            self._show()

    def _release(self, run_ids: list[int] | None) -> None:
        was_held = restore_hold.is_held()
        try:
            resumed = restore.release(run_ids)
        except Conflict as e:
            raise CommandError(str(e)) from e
        if was_held:
            self.stdout.write("Calls and SMS are sent again.")
        for pk in resumed:
            self.stdout.write(f"Run {pk} continues.")
        if not was_held and not resumed:
            self.stdout.write("Nothing was held.")

    def _mark_reached(self, file: Path) -> None:
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as e:
            raise CommandError(f"{file} cannot be read: {e}") from e
        numbers = {_to_e164(line, row, file) for row, line in enumerate(lines, start=1) if line.strip()}
        restore.hold_everything()
        ended = restore.mark_reached(numbers)
        self.stdout.write(f"{len(numbers)} numbers; {ended} calls and SMS to them count as completed.")

    def _show(self) -> None:
        hold = restore_hold.hold()
        if hold is None:
            self.stdout.write("Nothing is held: calls and SMS are sent.")
        else:
            since = f" since {_local(hold.since)}" if hold.since else ""
            self.stdout.write(f"All calls and SMS are held{since}. {hold.reason}")
            if newest := restore_hold.newest_claim():
                self.stdout.write(f"The data end about {_local(newest)}: what was sent later is not in them.")
        live = restore.live_runs()
        for progress in live:
            self._show_run(progress)
        if not live:
            self.stdout.write("No run is live.")
        if hold is not None:
            self.stdout.write(
                "docs/restore.md says how to compare this with the carriers' reports, and how to continue."
            )

    def _show_run(self, progress: restore.RunProgress) -> None:
        run = progress.run
        state = "held" if progress.is_held else RunStatus(run.status).label.partition(":")[0]
        when = (
            f", scheduled for {_local(run.starts_at)}"
            if run.starts_at - run.created_at > SCHEDULED_AHEAD
            else ""
        )
        self.stdout.write(
            f"  run {run.pk} of campaign {run.campaign_id} ({run.campaign.name}): {state}{when};"
            f" {progress.ended} ended, {progress.under_way} under way, {progress.queued} queued,"
            f" {progress.untouched} not begun"
        )


def _to_e164(line: str, row: int, file: Path) -> str:
    """Return the number on a line of the file in E.164. Raises CommandError if the line has no valid number."""
    try:
        number = numbering.parse(line.strip()).to
    except InvalidInput as e:
        raise CommandError(f"Line {row} of {file}: {e} Nothing has been changed.") from e
    if not number:
        raise CommandError(
            f"Line {row} of {file}: no country has the number {line.strip()!r}. Nothing has been changed."
        )
    return number


def _local(when: Any) -> str:
    return f"{timezone.localtime(when):%Y-%m-%d %H:%M:%S %Z}"
