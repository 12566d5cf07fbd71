"""Test docs/licences.md: it has every dependency, and the GPL is explained."""

from __future__ import annotations

from email.message import Message
from importlib.metadata import PackageNotFoundError
from typing import Any

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from iris.management.commands import licences


def test_the_document_is_up_to_date(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    call_command("licences", check=True)
    written = (settings.BASE_DIR / "docs" / "licences.md").read_text()
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "licences.md").write_text(written.replace("| `django` | BSD", "| `django` | MIT"))
    (tmp_path / "requirements").symlink_to(settings.BASE_DIR / "requirements")
    monkeypatch.setattr(settings, "BASE_DIR", tmp_path)
    with pytest.raises(CommandError, match="manage.py licences"):
        call_command("licences", check=True)
    call_command("licences")
    assert (tmp_path / "docs" / "licences.md").read_text() == written


def test_every_pinned_package_is_listed() -> None:
    pinned = {
        line.partition("==")[0].lower()
        for path in (settings.BASE_DIR / "requirements").glob("*.txt")
        for line in path.read_text().splitlines()
        if "==" in line and not line.startswith((" ", "#"))
    }
    assert set(licences.requirements()) == pinned


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ([("License-Expression", "MIT"), ("License", "x")], "MIT"),
        ([("License", "BSD")], "BSD"),
        (
            [
                ("License", "Permission is hereby\ngranted"),
                ("Classifier", "License :: OSI Approved :: MIT License"),
            ],
            "MIT License",
        ),
        ([("Classifier", "License :: OSI Approved"), ("Classifier", "License :: OSI Approved :: X")], "X"),
        ([("License", "UNKNOWN"), ("Classifier", "Topic :: X")], "not stated"),
        ([], "not stated"),
    ],
)
def test_the_licence_is_what_the_metadata_states(fields: list[tuple[str, str]], licence: str) -> None:
    package: Any = Message()
    for name, value in fields:
        package[name] = value
    assert licences.licence_of(package) == licence


@pytest.mark.parametrize(
    "licence", ["GPL-3.0-or-later", "AGPL-3.0-only", "GNU General Public License v3 (GPLv3)"]
)
def test_an_unexplained_gpl_package_is_refused(licence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    not_installed = dict.fromkeys(licences.requirements(), "x")
    monkeypatch.setitem(licences.KNOWN, "django", licence)
    with pytest.raises(CommandError, match="django has the licence"):
        list(licences.rows(not_installed))
    monkeypatch.setitem(licences.KNOWN, "django", "LGPL-3.0-only")
    assert "| `django` | LGPL-3.0-only | base, s3 |" in list(licences.rows(not_installed))


def test_packages_that_are_not_installed_keep_their_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(licences, "metadata", missing)
    known = dict.fromkeys(licences.requirements(), "Z")
    assert "| `django` | Z | base, s3 |" in list(licences.rows(known))
    del known["django"]
    with pytest.raises(CommandError, match="django is not installed.*requirements/base.txt"):
        list(licences.rows(known))
