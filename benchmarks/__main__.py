"""`make bench`: measure the promises of docs/architecture.md, as ratios within one run on one machine.

python -m benchmarks [--scale 0.1] [imports runs api pacing …]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from datetime import date
from importlib import import_module
from pathlib import Path

from benchmarks.table import Row, as_markdown
from iris.progress import progress

SECTIONS = [
    "imports",
    "runs",
    "peers",
    "older",
    "api",
    "load",
    "console",
    "speech",
    "pacing",
    "sip",
    "smpp",
    "http",
    "tariffs",
    "limits",
    "rules",
    "webhooks",
]
RESULTS = Path(__file__).parent / "results"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "sections", nargs="*", metavar="section", help=f"of {', '.join(SECTIONS)}; all if none"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="0.1: a tenth of the rows and of the time")
    arguments = parser.parse_args()
    if unknown := set(arguments.sections) - set(SECTIONS):
        parser.error(f"there is no section {', '.join(sorted(unknown))}")
    rows: list[Row] = []
    sections = arguments.sections or SECTIONS
    with progress("Measuring", total=len(sections)) as advance:
        for section in sections:
            print(f"measuring {section} …", file=sys.stderr, flush=True)
            section_rows: list[Row] = import_module(f"benchmarks.{section}").measure(arguments.scale)
            print(as_markdown(section_rows), file=sys.stderr, flush=True)
            rows += section_rows
            advance(1)
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    head = f"{date.today()} · {machine} · scale {arguments.scale:g}"
    print(f"{head}\n\n{as_markdown(rows)}")
    if set(arguments.sections or SECTIONS) == set(SECTIONS):
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "latest.md").write_text(f"# Benchmarks\n\n{head}\n\n{as_markdown(rows)}\n")
        (RESULTS / "latest.json").write_text(
            json.dumps(
                {"when": str(date.today()), "machine": machine, "rows": [asdict(row) for row in rows]},
                indent=1,
            )
            + "\n"
        )
    return 0 if all(row.reached is not False for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
