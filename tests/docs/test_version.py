"""Test that the version is only in iris/__init__.py, and that everything that names it agrees."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import iris

ROOT = Path(__file__).parents[2]


def test_newest_changelog_section_is_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.findall(r"^## (.+)$", changelog, re.MULTILINE)[0]
    assert re.fullmatch(rf"{re.escape(iris.__version__)} \((?:unreleased|\d{{4}}-\d\d-\d\d)\)", newest)


def test_changelog_sections_group_lines_by_kind() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for release in re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]:
        kinds = re.findall(r"^### (.+)$", release, re.MULTILINE)
        assert kinds == [kind for kind in ("Added", "Changed", "Fixed", "Security") if kind in kinds]
        assert kinds
        assert "\n* " not in release.partition("\n### ")[0]


def test_pyproject_reads_the_version_from_the_package() -> None:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "version" not in document["project"]
    assert "version" in document["project"]["dynamic"]
    assert document["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "iris.__version__"}


@pytest.mark.parametrize(
    "name", ["Dockerfile", "docker-compose.yml", "pyproject.toml", "README.md", "docs/operations.md"]
)
def test_no_other_file_repeats_the_version(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert not re.search(rf"(?<![\d.]){re.escape(iris.__version__)}(?![\d.])", text)


def test_docker_image_contains_the_package_with_its_version() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines()
    assert "COPY iris iris" in dockerfile
