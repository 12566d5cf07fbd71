"""Test that the tables of responses in docs/smpp.md and docs/sip.md equal those in the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from telephony.carriers.refusals import MAX_DOUBT_SECONDS, MAX_REFUSALS_IN_A_ROW, MAX_REST_SECONDS, Meaning
from telephony.carriers.sip.causes import (
    OUTCOMES_BY_CLASS,
    Q850,
    SIP_RESPONSES,
    UNHEARD_RING_SECONDS,
    Outcome,
)
from telephony.carriers.sip.circuit_breaker import ATTEMPTS
from telephony.carriers.smpp.protocol import STATUSES, status_of
from telephony.models import Cause

DOCS = Path(__file__).parents[2] / "docs"


def smpp_rows() -> list[str]:
    return [
        f"| 0x{code:02X} | {status.name} | {status.meaning.value} | {status.source} |"
        for code, status in STATUSES.items()
    ]


def sip_rows() -> list[str]:
    return [
        f"| {code} | {answer.name} | {_outcome_columns(answer.outcome)} | {answer.source} |"
        for code, answer in SIP_RESPONSES.items()
    ]


def q850_rows() -> list[str]:
    return [f"| {code} | {name} | {_outcome_columns(outcome)} |" for code, (name, outcome) in Q850.items()]


def _outcome_columns(outcome: Outcome) -> str:
    return f"{outcome.meaning.value} | {outcome.status.name.lower()}, `{outcome.cause.value}`"


def _rows(page: str, heading: str) -> list[str]:
    """Return the lines of the table under a heading."""
    text = (DOCS / page).read_text(encoding="utf-8")
    section = re.split(r"^##+ ", text.partition(f"## {heading}\n")[2], flags=re.MULTILINE)[0]
    return [line for line in section.splitlines() if line.startswith("|")][2:]


def test_smpp_docs_list_every_status() -> None:
    assert _rows("smpp.md", "Every status") == smpp_rows()


def test_sip_docs_list_every_response() -> None:
    assert _rows("sip.md", "Every response") == sip_rows()


def test_sip_docs_list_every_q850_cause() -> None:
    assert _rows("sip.md", "Q.850") == q850_rows()


@pytest.mark.parametrize("page", ["smpp.md", "sip.md"])
def test_carrier_docs_state_the_limits_of_the_code(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    for meaning, count in MAX_REFUSALS_IN_A_ROW.items():
        if page == "smpp.md" or meaning is not Meaning.BUSY:
            assert re.search(rf"^\| {meaning.value} \| {count}\b", text, re.MULTILINE)
    assert f"up to {MAX_REST_SECONDS:.0f} s" in text
    assert f"{MAX_DOUBT_SECONDS / 3600:.0f} hours" in text


def test_sip_docs_state_the_limits_of_the_code() -> None:
    text = (DOCS / "sip.md").read_text(encoding="utf-8")
    assert f"failed when it was called {ATTEMPTS} times" in text
    assert f"within {UNHEARD_RING_SECONDS:.0f} seconds" in text


def test_unlisted_codes_are_doubtful() -> None:
    assert {status_of(code).meaning for code in (0x09, 0x70, 0x400, 0x4FF, 0xFFFFFFFF)} == {Meaning.DOUBTFUL}
    assert {outcome.meaning for outcome in OUTCOMES_BY_CLASS.values()} == {Meaning.DOUBTFUL}


def test_status_names_and_codes_are_unique() -> None:
    names = [status.name for status in STATUSES.values()]
    assert len(set(names)) == len(names)
    assert all(name.startswith("ESME_R") for name in names)
    assert {code for code in STATUSES if code >= 0x100} == set(range(0x100, 0x113))
    assert {answer.outcome.cause for answer in SIP_RESPONSES.values()} >= {
        Cause.BUSY,
        Cause.INVALID,
        Cause.NO_ANSWER,
    }
