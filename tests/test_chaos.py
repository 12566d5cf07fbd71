"""The short storm; `make chaos` is the long one."""

from __future__ import annotations

from pathlib import Path

from tests import chaos
from tests.conftest import require_program


def test_a_storm_of_kills_and_restarts_loses_doubles_and_miscounts_nothing(tmp_path: Path) -> None:
    require_program("redis-server")
    figures = chaos.run(2000, seed=7, home=tmp_path)
    assert figures.exact, str(figures)
    assert figures.kills >= 3
    assert figures.postgres_restarts == 1
