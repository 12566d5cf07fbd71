"""Test that no Python file has grown so long that nobody reads it whole."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("accounts", "benchmarks", "campaigns", "console", "iris", "otp", "telephony", "tests", "webhooks")
MAX_LINES = 350
# Tables, in which readers look things up.
TABLES = {"iris/settings.py"}
LINES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8").count("\n")
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
}


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_file_has_more_than_350_lines(folder: str) -> None:
    too_long = {
        path: lines
        for path, lines in LINES.items()
        if path.startswith(f"{folder}/") and path not in TABLES and lines > MAX_LINES
    }
    assert too_long == {}, "Split these files by subject."


def test_every_table_that_may_be_longer_is_longer() -> None:
    assert {path for path in TABLES if LINES[path] > MAX_LINES} == TABLES
