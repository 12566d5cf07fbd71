"""Test that a missing program skips its tests locally, but fails them in CI."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.telephony.sip import conftest
from tests.telephony.sip.far_end import FarEnd


@pytest.fixture
def _nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(conftest, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("_nothing_installed")
@pytest.mark.parametrize(
    ("required", "outcome"), [("", pytest.skip.Exception), ("1", pytest.fail.Exception)], ids=["here", "CI"]
)
def test_missing_stack_skips_locally_and_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch, required: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("IRIS_REQUIRE_SERVICES", required)
    with pytest.raises(outcome, match="baresip-python is not installed"):
        conftest.require_stack()


@pytest.mark.usefixtures("_nothing_installed")
@pytest.mark.parametrize(
    ("required", "outcome"), [("", pytest.skip.Exception), ("1", pytest.fail.Exception)], ids=["here", "CI"]
)
def test_missing_sipp_skips_locally_and_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, required: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("IRIS_REQUIRE_SERVICES", required)
    far_end = FarEnd(tmp_path, "answer")
    with pytest.raises(outcome, match="sipp is not installed"):
        far_end.__enter__()
    far_end.ports.close()
