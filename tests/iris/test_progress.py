"""Long commands show their progress and the time left on a terminal, and nothing elsewhere."""

from __future__ import annotations

import io
import itertools
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command

from iris.management.import_files import opened
from iris.progress import progress, read_with_progress
from tests.factories import make_account, make_delivery, make_trunk


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Let stderr be a terminal, for the progress only: pytest replaces the stderr of fixtures."""
    one = Terminal()
    monkeypatch.setattr("iris.progress.sys", SimpleNamespace(stderr=one))
    return one


def test_progress_shows_the_share_that_is_done_and_the_time_left(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = itertools.count(step=10.0)
    monkeypatch.setattr("click._termui_impl.time", SimpleNamespace(time=lambda: next(seconds)))
    with progress("Removing", total=200) as advance:
        advance(50)
        advance(50)
        shown = terminal.getvalue()
        advance(100)

    assert "Removing" in shown
    assert "100/200" in shown
    assert re.search(r"100/200 +00:\d\d:\d\d", shown)
    assert "200/200" in terminal.getvalue()


def test_progress_is_silent_if_stderr_is_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with progress("Removing", total=2) as advance:
        advance(2)

    assert capfd.readouterr() == ("", "")


def test_reading_a_file_shows_how_many_bytes_were_read(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "numbers.csv"
    file.write_bytes(100_000 * b"x")

    with read_with_progress(file, label="Reading") as opened_file:
        assert opened_file.read() == file.read_bytes()

    assert "100000/100000" in terminal.getvalue()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(CommandError, match="cannot be read: No such file or directory"),
        opened(f"{tmp_path}/no"),
    ):
        pass


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["check_ledger"], "Checking"),
        (["prune_deliveries", "--days", "1"], "Removing"),
        (["prune_audio"], "Removing"),
    ],
)
def test_commands_show_their_progress(command: list[str], shown: str, terminal: Terminal) -> None:
    make_delivery(trunk=make_trunk(), owner=make_account(email="sita@example.com"))

    call_command(*command, stdout=io.StringIO())

    assert shown in terminal.getvalue()


@pytest.mark.django_db
def test_commands_are_silent_if_stderr_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    for command in (["check_ledger"], ["prune_deliveries", "--days", "1"], ["prune_audio"]):
        call_command(*command, stdout=io.StringIO())

    assert capsys.readouterr().err == ""


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("command", "sheet"),
    [
        (["importtariff", "--tariff", "A", "--create"], "prefix,channel,credits,pulse_seconds\n977,sms,1,\n"),
        (["blocknumbers"], "number\n9800000001\n"),
    ],
)
def test_imports_show_their_progress(
    command: list[str], sheet: str, terminal: Terminal, tmp_path: Path
) -> None:
    file = tmp_path / "sheet.csv"
    file.write_text(sheet)

    call_command(*command, str(file), stdout=io.StringIO())

    assert f"{len(sheet)}/{len(sheet)}" in terminal.getvalue()
