"""Measure what the rules of reaching people cost dispatch: campaigns with all rules and with none, by turns."""

from __future__ import annotations

import time
from statistics import median

from benchmarks.table import Row
from benchmarks.worlds import begin, database, make_campaign, running_iris
from tests.live import LiveIris

PAIRS = 3  # campaigns with and without rules take turns, because machines become slower and faster
OPT_OUTS = 10_000  # of the account, none of whose numbers is in the campaigns
EVERY_DAY = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def measure(scale: float) -> list[Row]:
    count = max(5_000, int(100_000 * scale))
    rules = {
        "retry": {"tries": 3, "on": ["failed"], "delay_seconds": 600},
        "calling_hours": {"sms": [{"days": EVERY_DAY, "from": "00:00", "to": "24:00"}]},
        "duplicates": "once",
        "frequency_cap": {"contacts": 5, "days": 30},
        "waves": {"sizes": [count + 1]},  # one wave: the rule is checked, and nothing waits
    }
    with_rules, without = [], []
    with running_iris() as iris:
        _opt_out_many(iris)
        for place in range(PAIRS):
            with_rules.append(_rate(iris, count, after=2 * place * count, **rules))
            without.append(_rate(iris, count, after=(2 * place + 1) * count))
    return [
        Row(
            what=f"campaign of {count:,} SMS with retries, calling hours, once per number, a frequency cap and waves",
            measured=f"{median(with_rules):,.0f}/s",
            against=f"without rules: {median(without):,.0f}/s",
            ratio=median(with_rules) / median(without),
            goal="≥ 0.8",
            reached=median(with_rules) / median(without) >= 0.8,
        )
    ]


def _rate(iris: LiveIris, count: int, *, after: int, **rules: object) -> float:
    campaign = make_campaign(iris, count, name=f"After {after}", after=after)
    begun = time.perf_counter()
    begin(iris, campaign, **rules)
    iris.wait_until(campaign, "Completed", seconds=count / 200)
    return count / (time.perf_counter() - begun)


def _opt_out_many(iris: LiveIris) -> None:
    with database(iris) as connection:
        connection.execute(
            """INSERT INTO telephony_optout (owner_id, number, source)
               SELECT a.id, '+977986' || (1000000 + n), 'STOP'
                 FROM accounts_account a, generate_series(1, %s) AS n WHERE a.name = 'demo@example.com'""",
            [OPT_OUTS],
        )
