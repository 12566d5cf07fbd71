"""Small versions of the scenarios of `make chaos`: one system, in which one thing after the other fails.

`make field` runs each scenario by itself.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos import clocks, failover, pauses, scenarios, sessions
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.trial import Trial
from tests.conftest import require_program
from tests.scale import IS_FIELD

RECIPIENTS, PACE = 400, 20
FIELD_RECIPIENTS, FIELD_MINUTES = 1500, 1.0


def _all_of_them(trial: Trial) -> None:
    """Let each of the cheap scenarios happen once, and then let the campaign end."""
    for cause in (sessions.terminate_backends, sessions.exhaust_connections, sessions.hold_rows):
        cause(trial)
    pauses.stop_one(trial, "pool process", seconds=2)
    pauses.stop_one(trial, "backend", seconds=2)
    failover.make_read_only(trial)
    clocks.set_clocks(trial, clocks.NAMES, 3600)
    clocks.set_clocks(trial, clocks.NAMES, -3600)
    clocks.set_clocks(trial, ["worker0", "beat"], 0)
    clocks.set_clocks(trial, clocks.NAMES, 0)


@pytest.mark.skipif(IS_FIELD, reason="Each scenario runs by itself.")
def test_one_failure_after_the_other_neither_loses_nor_repeats_an_sms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_program("redis-server")
    require_program(clocks.COMPILER)
    together = scenarios.Scenario(
        cause=_all_of_them,
        recipients=RECIPIENTS,
        pace=PACE,
        variables=scenarios.SHORT_LEASE,
        configuration={"max_connections": "40"},
        around=clocks.settable_clocks,
    )
    monkeypatch.setitem(SCENARIOS, "clocks and others", together)

    verdict = scenarios.run("clocks and others", seed=3, home=tmp_path)

    assert verdict.exact, str(verdict)
    assert verdict.happened["connections exhausted"] == 1
    assert verdict.requests["answered"] > 0


@pytest.mark.field
@pytest.mark.skipif(not IS_FIELD, reason="It takes minutes.")
@pytest.mark.parametrize("name", list(SCENARIOS))
def test_a_scenario_is_exact(name: str, tmp_path: Path) -> None:
    require_program("redis-server")
    if missing := SCENARIOS[name].missing():
        pytest.skip(missing)

    verdict = scenarios.run(name, seed=5, home=tmp_path, recipients=FIELD_RECIPIENTS, minutes=FIELD_MINUTES)

    assert verdict.exact, str(verdict)
