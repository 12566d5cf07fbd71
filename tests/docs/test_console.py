"""Test docs/console.md: it describes every page of the navigation, and its pictures exist and are small."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from accounts.permissions import Permission
from campaigns.reports.outcome_history import MAX_BARS
from console.navigation import OPERATOR_PAGES, PAGES
from iris.devserver import seed

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "console.md").read_text(encoding="utf-8")
MAX_PICTURE_BYTES = 150_000


@pytest.mark.parametrize("title", [str(page[1]) for page in (*PAGES, *OPERATOR_PAGES)])
def test_every_page_of_the_navigation_is_described(title: str) -> None:
    assert re.search(rf"^\| \*\*{re.escape(title)}\*\* \| \w", PAGE, re.MULTILINE)


def test_what_it_names_exists() -> None:
    assert set(re.findall(r"`((?:manage|send|view)[a-z_]*)`", PAGE)) <= set(Permission)
    assert f"more than {MAX_BARS} days" in PAGE
    assert f"`{seed.DEMO_EMAIL}`" in PAGE
    assert f"`{seed.DEMO_PASSWORD}`" in PAGE


@pytest.mark.parametrize("document", ["README.md", "docs/console.md"])
def test_pictures_exist_and_are_small(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+\.png)\)", text)
    assert len(pictures) >= 2
    for picture in pictures:
        assert ((ROOT / document).parent / picture).stat().st_size < MAX_PICTURE_BYTES


def test_it_is_among_the_documents_of_the_readme() -> None:
    assert "[docs/console.md](docs/console.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
