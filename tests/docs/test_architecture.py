"""Test docs/architecture.md: every path in it exists, and it describes every package."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
FOLDERS = (
    "accounts",
    "benchmarks",
    "campaigns",
    "console",
    "docs",
    "iris",
    "otp",
    "telephony",
    "tests",
    "webhooks",
)
PATHS = sorted(
    {
        *re.findall(rf"`((?:{'|'.join(FOLDERS)})/[^`\s]*)`", PAGE),
        *re.findall(r"\b(docs/[\w-]+\.md)", PAGE),
        *re.findall(r"`([\w.-]+\.(?:md|toml|py))`", PAGE),
    }
)


@pytest.mark.parametrize("path", PATHS)
def test_path_named_by_the_architecture_exists(path: str) -> None:
    assert (ROOT / path).is_dir() if path.endswith("/") else (ROOT / path).is_file()


def _packages(folder: Path) -> set[str]:
    """Return the packages in a folder that need a description. Standard Django packages need none."""
    inner = {"migrations", "management", "models", "api", "templates", "templatetags"}
    return {
        f"{path.parent.relative_to(ROOT)}/"
        for path in folder.glob("*/__init__.py")
        if path.parent.name not in inner
    }


@pytest.mark.parametrize(
    "package",
    sorted(
        {
            "iris/",
            "accounts/",
            "webhooks/",
            "telephony/",
            "campaigns/",
            "otp/",
            "console/",
            "iris/api/",
        }.union(
            *(
                _packages(ROOT / app)
                for app in ("iris", "accounts", "webhooks", "telephony", "campaigns", "otp", "console")
            )
        )
    ),
)
def test_architecture_tree_names_every_package(package: str) -> None:
    tree = PAGE.partition("## The tree")[2].partition("\n## ")[0]
    assert f"`{package}`" in tree


def _rows(heading: str) -> list[list[str]]:
    """Return the cells of the rows of a section's table, without its head."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+) \|$", section, re.MULTILINE)
    return [row.split(" | ") for row in rows[1:]]


def test_tree_names_nothing_twice() -> None:
    named = [path for row in _rows("The tree") for path in re.findall(r"`([^`]+/)`", row[0])]
    assert len(named) > 15
    assert len(named) == len(set(named))


@pytest.mark.parametrize("row", _rows("Glossary"), ids=lambda row: row[0])
def test_glossary_names_the_files_of_each_word(row: list[str]) -> None:
    _, _, where = row
    paths = [path for path in PATHS if path in where]
    assert paths, where
    assert all(name.startswith(FOLDERS) for name in re.findall(r"`([^`]*[/.][^`]*)`", where))


def test_each_likely_change_in_the_architecture_names_its_files() -> None:
    section = PAGE.partition("## Which files to change")[2].partition("\n## ")[0]
    changes = re.split(r"^\d+\. ", section, flags=re.MULTILINE)[1:]
    assert len(changes) >= 20
    for change in changes:
        assert re.search(r"`(?:iris|accounts|telephony|campaigns|otp|webhooks)/[\w/]+", change), change


def test_every_heading_linked_in_the_architecture_exists() -> None:
    anchors = {
        re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors
