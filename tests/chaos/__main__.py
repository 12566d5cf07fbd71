"""`make chaos`: run scenarios, and say whether each was exact.

python -m tests.chaos [--scenario terminated-backends] [--recipients 5000] [--times 3] [--seed 1] [--minutes 10]
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from iris.progress import progress
from tests.chaos import kills
from tests.chaos.figures import Figures
from tests.chaos.scenarios import SCENARIOS, run
from tests.chaos.trial import Verdict

KILLS = "kills"
KILLS_RECIPIENTS = 20_000


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [KILLS, *SCENARIOS]
    parser.add_argument(
        "--scenario",
        action="append",
        choices=[*names, "all"],
        help=f"one of {', '.join(names)}, or all; can be repeated. By default: {KILLS}",
    )
    parser.add_argument("--recipients", type=int, help="instead of the scenario's own number")
    parser.add_argument("--pace", type=int, help="SMS or calls a second, instead of the scenario's own pace")
    parser.add_argument("--minutes", type=float, help="for overload and soak, instead of 10 and 30")
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    if shutil.which("redis-server") is None:
        print("make chaos needs the program redis-server.", file=sys.stderr)
        return 2
    chosen = arguments.scenario or [KILLS]
    exact = True
    for name in names if "all" in chosen else chosen:
        if name != KILLS and (missing := SCENARIOS[name].missing()):
            print(f"{name} is left out. {missing}", flush=True)
            continue
        for seed in range(arguments.seed, arguments.seed + arguments.times):
            verdict = _run(name, seed, arguments)
            print(f"seed {seed}: {verdict}\n", flush=True)
            exact = exact and verdict.exact
    return 0 if exact else 1


def _run(name: str, seed: int, arguments: argparse.Namespace) -> Figures | Verdict:
    with tempfile.TemporaryDirectory(prefix="iris-chaos-") as folder:
        home = Path(folder)
        recipients = arguments.recipients or (
            KILLS_RECIPIENTS if name == KILLS else SCENARIOS[name].recipients
        )
        campaigns = 2 if name == KILLS else 1
        with progress(name, total=campaigns * recipients) as advance:
            note = _since_last(advance)
            if name == KILLS:
                return kills.run(recipients, seed=seed, home=home, pace=arguments.pace, note=note)
            return run(
                name,
                seed=seed,
                home=home,
                recipients=recipients,
                pace=arguments.pace,
                minutes=arguments.minutes,
                note=note,
            )


def _since_last(advance: Callable[[int], object]) -> Callable[[int], object]:
    """Return a function that takes totals and advances by how much they have grown."""
    last = 0

    def note(total: int) -> None:
        nonlocal last
        advance(max(0, total - last))
        last = max(last, total)

    return note


if __name__ == "__main__":
    # `python -m` adds the current folder to the path, but not to that of the processes of iris, which PYTHONPATH has.
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iris.settings")
    sys.exit(main())
