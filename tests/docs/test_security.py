"""docs/security.md names tests that exist."""

import re

import pytest

from tests.live import ROOT

DOCUMENT = (ROOT / "docs" / "security.md").read_text()
ROWS = [line for line in DOCUMENT.splitlines() if line.startswith("| ") and "`tests/" in line]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", "\n".join(ROWS))))


@pytest.mark.parametrize(("file", "test"), NAMED, ids=lambda part: str(part).rpartition("/")[2])
def test_each_named_test_exists(file: str, test: str) -> None:
    source = (ROOT / file).read_text()
    assert re.search(rf"def {test or 'test_'}", source), f"{file} has no {test}"


def test_each_threat_and_each_fault_names_a_test() -> None:
    for heading in ("What protects it", "One request must not stop the server"):
        section = DOCUMENT.split(f"## {heading}\n")[1].split("\n## ")[0]
        rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
        assert rows
        assert [row for row in rows if "`tests/" not in row] == []


def test_the_document_says_how_passwords_of_carriers_are_protected() -> None:
    assert "Passwords of carriers are protected only by the permissions of files." in DOCUMENT


@pytest.mark.parametrize("page", ["docs/index.md", "SECURITY.md"])
def test_the_document_is_linked(page: str) -> None:
    assert "security.md)" in (ROOT / page).read_text()
