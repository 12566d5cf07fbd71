"""Test that the tables in docs/http-carriers.md equal those in the code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from telephony.carriers.aakash import AakashCarrier
from telephony.carriers.http import Code, HttpCarrier
from telephony.carriers.http.carrier import DOUBTFUL_RETRY_SECONDS, MAX_ATTEMPTS, RETRY_SECONDS
from telephony.carriers.http.options import COMMON, as_table
from telephony.carriers.refusals import MAX_REFUSALS_IN_A_ROW, MAX_REST_SECONDS, Meaning
from telephony.carriers.sparrow import CODES as SPARROW_CODES
from telephony.carriers.sparrow import SparrowCarrier
from telephony.carriers.twilio import TwilioCarrier
from telephony.carriers.twilio.codes import CODES as TWILIO_CODES

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "http-carriers.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("carrier", [TwilioCarrier, SparrowCarrier, AakashCarrier])
def test_docs_list_every_option(carrier: type[HttpCarrier]) -> None:
    assert as_table(carrier.table) in TEXT
    assert as_table(COMMON) in TEXT


@pytest.mark.parametrize("codes", [TWILIO_CODES, SPARROW_CODES])
def test_docs_list_every_code(codes: Mapping[int, Code]) -> None:
    rows = "".join(f"| {number} | {code.name} | {code.verdict.value} |\n" for number, code in codes.items())
    assert f"\n{rows}\n" in TEXT


def test_docs_state_the_limits_of_the_code() -> None:
    assert f"queued again after {DOUBTFUL_RETRY_SECONDS:.0f} s; refused at the fifth attempt" in TEXT
    assert MAX_ATTEMPTS == 5
    assert f"queued again after {RETRY_SECONDS:.0f} s" in TEXT
    assert f"up to {MAX_REST_SECONDS:.0f} s" in TEXT
    limits = [MAX_REFUSALS_IN_A_ROW[one] for one in (Meaning.TRUNK, Meaning.DOUBTFUL, Meaning.RECIPIENT)]
    assert limits == [3, 10, 30]
    for words in (
        "after three recipients in a row",
        "after ten recipients in a row",
        "30 invalid numbers in a row",
    ):
        assert words in TEXT


def test_adapters_stay_translations_of_200_lines() -> None:
    for path in ("aakash/carrier.py", "sparrow.py", "twilio/carrier.py"):
        lines = (ROOT / "telephony" / "carriers" / path).read_text(encoding="utf-8").count("\n")
        assert lines <= 200, path
