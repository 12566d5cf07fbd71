"""docs/adding-a-carrier.md is true: its example is a test that is run, and it names all that a carrier may have."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

from telephony.carriers import base, errors
from tests.telephony.carriers import carrier_contract

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "adding-a-carrier.md").read_text(encoding="utf-8")


def _public(*classes: type) -> set[str]:
    return {name for one in classes for name in vars(one) if not name.startswith("_")}


def _defined_in(module: ModuleType) -> set[str]:
    return {
        name
        for name, one in vars(module).items()
        if inspect.isclass(one) and one.__module__ == module.__name__
    }


def test_its_example_is_the_contract_of_the_sip_carrier() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert example == (ROOT / "tests" / "telephony" / "sip" / "test_contract.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", sorted(_public(base.Carrier, base.SessionCarrier)))
def test_it_names_all_that_a_carrier_may_say_of_itself(name: str) -> None:
    assert re.search(rf"`{name}\b", TEXT)


@pytest.mark.parametrize(
    "name",
    sorted(
        (_defined_in(base) - {"Carrier", "Submission", "SessionRecord"})
        | (_defined_in(errors) - {"CarrierError"})
        | (_defined_in(carrier_contract) - {"ReportLog"})
    ),
)
def test_it_names_every_result_event_error_and_kind(name: str) -> None:
    assert f"`{name}`" in TEXT


@pytest.mark.parametrize(
    "field", ["parts", "completes", "script", "valid_until", "seconds", "playback", "digits", "answers"]
)
def test_it_names_the_fields_that_ask_for_work(field: str) -> None:
    known = {
        each.name
        for one in (base.Submission, base.Accepted, base.CarrierEvent)
        for each in dataclasses.fields(one)
    }
    assert field in known
    assert re.search(rf"`{field}\b", TEXT)


def test_every_file_that_it_names_is_there() -> None:
    for path in re.findall(r"`((?:telephony|tests|iris|requirements)/[\w/.]+\.\w+)`", TEXT):
        assert (ROOT / path).exists(), path
