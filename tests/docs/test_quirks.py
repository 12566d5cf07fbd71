"""docs/quirks.md is true: each oddity is on the wire and in one line of code, each decision has a test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests import golden

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "quirks.md").read_text(encoding="utf-8")
KEPT, DECIDED = TEXT.split("\n## ")[1:]
ODDITIES = re.findall(r"^\| `([^`]+)` \|", KEPT, re.MULTILINE)
TESTS = re.findall(r"^  `(tests/[^`:]+)::([^`]+)`$", DECIDED, re.MULTILINE)
CODE = [
    (path.relative_to(ROOT), line)
    for folder in ("accounts", "campaigns", "otp", "telephony")
    for path in sorted((ROOT / folder).rglob("*.py"))
    for line in path.read_text(encoding="utf-8").splitlines()
]
MISSPELT = re.compile(r"campaing|camaign|succesful|retriv|personnel|prashanna", re.IGNORECASE)


@pytest.mark.parametrize("oddity", ODDITIES)
def test_documented_misspelling_is_in_one_line_marked_sic(oddity: str) -> None:
    lines = [(path, line) for path, line in CODE if oddity in line and "/migrations/" not in f"/{path}"]
    lines = [(path, line) for path, line in lines if "/v1/" not in str(path)]
    assert len(lines) == 1, lines
    assert "# sic" in lines[0][1]


@pytest.mark.parametrize("oddity", ODDITIES)
def test_documented_misspelling_is_on_the_wire(oddity: str) -> None:
    assert any(oddity in path.read_text(encoding="utf-8") for path in golden.FOLDER.glob("*.json"))


def test_every_line_marked_sic_is_listed_in_the_quirks() -> None:
    marked = [line for path, line in CODE if "# sic" in line and "/v1/" not in str(path)]
    words = [*ODDITIES, "np_prashanna"]
    assert [line for line in marked if not any(word in line for word in words)] == []
    assert "`np_prashanna`" in KEPT


def test_every_misspelling_in_the_code_is_marked_sic() -> None:
    assert [(path, line) for path, line in CODE if MISSPELT.search(line) and "# sic" not in line] == []


@pytest.mark.parametrize(("file", "name"), TESTS)
def test_v0_decision_names_an_existing_test(file: str, name: str) -> None:
    found: list[ast.stmt] = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    for part in name.split("::"):
        (one,) = [it for it in found if isinstance(it, ast.ClassDef | ast.FunctionDef) and it.name == part]
        found = one.body


def test_every_v0_decision_names_a_test() -> None:
    assert len(re.findall(r"^\* ", DECIDED, re.MULTILINE)) == len(TESTS)
