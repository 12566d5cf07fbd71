"""`manage.py carrier_truth`: show what share of the accepted deliveries each carrier delivered, and how fast."""

from __future__ import annotations

import csv
from datetime import timedelta
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from iris.locks import locked
from telephony.engine import carrier_truth, outcomes
from telephony.engine.carrier_truth import COLUMNS, cells
from telephony.seeds import results


class Command(BaseCommand):
    help = (
        "Shows for each trunk and operator how many accepted calls and SMS were delivered, failed or never reported, and "
        "how long reports took. Exits with 1 if a silent share is outside of its usual band."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("trunk", nargs="?", default="", help="only this trunk")
        parser.add_argument("--days", type=int, default=7, help="days of submission up to now (default: 7)")
        parser.add_argument("--csv", action="store_true", help="writes a CSV file to stdout")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["days"] <= 3660:
            raise CommandError("--days must be a number from 1 to 3660.")
        with locked("outcomes") as acquired:
            if acquired:  # otherwise a worker is counting
                outcomes.count_due()
        since = timezone.now() - timedelta(days=options["days"])
        rows = [cells(one) for one in carrier_truth.figures(since=since, trunk=options["trunk"])]
        if options["csv"]:
            writer = csv.writer(self.stdout)
            writer.writerow(COLUMNS)
            writer.writerows(rows)
        elif rows:
            self._write_table(rows)
        else:
            self.stdout.write("No deliveries were submitted in this time.")
        if not options["csv"]:
            for seeds in results.figures(since=since, trunk=options["trunk"]):
                self.stdout.write(f"{seeds}.")
        unusual = [one for one in carrier_truth.unusual() if options["trunk"] in ("", one.trunk)]
        for one in unusual:
            self.stderr.write(f"WARNING: {one}")
        if unusual:
            raise SystemExit(1)

    def _write_table(self, rows: list[list[str]]) -> None:
        heads = [name.replace("_", " ") for name in COLUMNS]
        widths = [max(len(row[place]) for row in [heads, *rows]) for place in range(len(COLUMNS))]
        for row in [heads, *rows]:
            cells = [
                cell.ljust(width) if place < 3 else cell.rjust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            self.stdout.write("  ".join(cells).rstrip())
