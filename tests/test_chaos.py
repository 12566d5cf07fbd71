"""Test a campaign during random kills and restarts: briefly here, longer with `make field`, longest with `make chaos`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos import drills, kills
from tests.conftest import require_program
from tests.scale import at_scale


@pytest.mark.field
def test_random_kills_and_restarts_neither_lose_nor_duplicate_nor_miscount_deliveries(tmp_path: Path) -> None:
    require_program("redis-server")
    figures = kills.run(
        at_scale(300, 5000),
        seed=7,
        home=tmp_path,
        pace=at_scale(20, 100),
        max_kills=at_scale(3, None),
    )
    assert figures.exact, str(figures)
    assert figures.kills >= 3
    assert figures.postgres_restarts == 1
    assert list(figures.drills) == list(drills.DRILLS)
    assert figures.drills["read-only"] > 0
    assert figures.drills["full disk"] > 0
    assert figures.drills["hung Redis"] == 0, "no request needs Redis"
