"""Test docs/quirks.md: each misspelling is on the wire and in one line of code, and each decision has a test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests import golden

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "quirks.md").read_text(encoding="utf-8")
KEPT, DECIDED = TEXT.split("\n## ")[1:]
MISSPELLINGS = re.findall(r"^\| `([^`]+)` \|", KEPT, re.MULTILINE)
TESTS = re.findall(r"^  `(tests/[^`:]+)::([^`]+)`$", DECIDED, re.MULTILINE)
CODE = [
    (path.relative_to(ROOT), line)
    for folder in ("accounts", "campaigns", "otp", "telephony", "webhooks")
    for path in sorted((ROOT / folder).rglob("*.py"))
    for line in path.read_text(encoding="utf-8").splitlines()
]
MISSPELLED = re.compile(r"campaing|camaign|succesful|retriv|personnel|prashanna", re.IGNORECASE)


@pytest.mark.parametrize("misspelling", MISSPELLINGS)
def test_documented_misspelling_is_in_one_line_marked_sic(misspelling: str) -> None:
    lines = [(path, line) for path, line in CODE if misspelling in line and "/migrations/" not in f"/{path}"]
    lines = [(path, line) for path, line in lines if "/v1/" not in str(path)]
    assert len(lines) == 1, lines
    assert "# sic" in lines[0][1]


@pytest.mark.parametrize("misspelling", MISSPELLINGS)
def test_documented_misspelling_is_on_the_wire(misspelling: str) -> None:
    assert any(misspelling in path.read_text(encoding="utf-8") for path in golden.FOLDER.glob("*.json"))


def test_every_line_marked_sic_is_listed_in_the_quirks() -> None:
    marked = [line for path, line in CODE if "# sic" in line and "/v1/" not in str(path)]
    words = [*MISSPELLINGS, "np_prashanna"]
    assert [line for line in marked if not any(word in line for word in words)] == []
    assert "`np_prashanna`" in KEPT


def test_every_misspelling_in_the_code_is_marked_sic() -> None:
    assert [(path, line) for path, line in CODE if MISSPELLED.search(line) and "# sic" not in line] == []


@pytest.mark.parametrize(("file", "name"), TESTS)
def test_v0_decision_names_an_existing_test(file: str, name: str) -> None:
    body: list[ast.stmt] = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    for part in name.split("::"):
        (one,) = [it for it in body if isinstance(it, ast.ClassDef | ast.FunctionDef) and it.name == part]
        body = one.body


def test_every_v0_decision_names_a_test() -> None:
    assert len(re.findall(r"^\* ", DECIDED, re.MULTILINE)) == len(TESTS)
