"""Measure what a tariff of 100,000 prefixes costs: its import, begin and dispatch, against the settings alone."""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.table import Row
from benchmarks.worlds import begin, database, make_campaign, running_iris
from tests.live import LiveIris, wait_for

PREFIXES = 100_000
PAIRS = 3  # campaigns with and without the tariff take turns, because machines become slower and faster


def measure(scale: float) -> list[Row]:
    count = max(5_000, int(100_000 * scale))
    with running_iris() as iris:
        import_seconds = _import(iris)
        with_tariff: list[tuple[float, float]] = []
        without: list[tuple[float, float]] = []
        for _ in range(PAIRS):
            _apply(iris, True)
            with_tariff.append(_run(iris, count))
            _apply(iris, False)
            without.append(_run(iris, count))
    rate, plain_rate = (max(rate for rate, _ in runs) for runs in (with_tariff, without))
    begins, plain_begins = (min(seconds for _, seconds in runs) for runs in (with_tariff, without))
    return [
        Row(
            what=f"import a tariff of {PREFIXES:,} prefixes",
            measured=f"{import_seconds:.1f} s",
            goal="< 10 s",
            reached=import_seconds < 10,
        ),
        Row(
            what=f"campaign of {count:,} SMS with this tariff, begin to settled",
            measured=f"{rate:,.0f}/s",
            against=f"without a tariff: {plain_rate:,.0f}/s",
            ratio=rate / plain_rate,
            goal="≥ 0.95",
            reached=rate / plain_rate >= 0.95,
        ),
        Row(
            what=f"begin on {count:,} recipients with this tariff",
            measured=f"{begins:.3f} s",
            against=f"without a tariff: {plain_begins:.3f} s",
            goal="< 1 s",
            reached=begins < 1,
        ),
    ]


def _import(iris: LiveIris) -> float:
    file = Path(iris.home) / "prices.csv"
    # The numbers of the campaign begin with 977980 to 977999, so its recipients have thousands of prices.
    prefixes = [str(97_798_000 + n) for n in range(PREFIXES // 2)] + [
        str(1_000_000 + n) for n in range(PREFIXES - PREFIXES // 2)
    ]
    lines = [f"{prefix},sms,{1 + n % 3},\n" for n, prefix in enumerate(prefixes)]
    file.write_text("prefix,channel,credits,pulse_seconds\n" + "".join(lines))
    begun = time.perf_counter()
    iris.manage("importtariff", str(file), "--tariff", "Bench", "--create")
    return time.perf_counter() - begun


def _apply(iris: LiveIris, applies: bool) -> None:
    with database(iris) as connection:
        connection.execute("UPDATE telephony_tariff SET is_default = %s WHERE name = 'Bench'", [applies])


def _run(iris: LiveIris, count: int) -> tuple[float, float]:
    """Run a campaign to its end. Return its rate, and the seconds of its begin."""
    campaign = make_campaign(iris, count, name="Tariff")
    begun = time.perf_counter()
    begin(iris, campaign)
    begin_seconds = time.perf_counter() - begun
    wait_for(lambda: iris.details(campaign)["status"] == "Completed", seconds=count / 200)
    return count / (time.perf_counter() - begun), begin_seconds
