"""Test docs/adding-a-carrier.md: its example is a real test, and it names everything that a carrier can have."""

from __future__ import annotations

import dataclasses
import inspect
import re
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from telephony.carriers import base, errors
from tests.telephony.carriers import carrier_contract
from tests.telephony.http import test_contract
from tests.telephony.http.far_end import BACKENDS
from tests.telephony.http.himal import HimalCarrier

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


def test_carrier_docs_example_is_an_adapter_that_passes_the_tests_of_all_carriers_over_http() -> None:
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert example == (ROOT / "tests" / "telephony" / "http" / "himal.py").read_text(encoding="utf-8")
    assert BACKENDS["himal"] is HimalCarrier
    assert test_contract.TestHimal.name == "himal"


@pytest.mark.parametrize("name", sorted(_public(base.Carrier, base.ConcurrentCarrier, base.SessionCarrier)))
def test_carrier_docs_name_every_attribute_of_a_carrier(name: str) -> None:
    assert re.search(rf"`{name}\b", TEXT)


@pytest.mark.parametrize(
    "name",
    sorted(
        (_defined_in(base) - {"Carrier", "Submission", "SessionRecord"})
        | (_defined_in(errors) - {"CarrierError"})
        | (_defined_in(carrier_contract) - {"ReportLog"})
    ),
)
def test_carrier_docs_name_every_result_event_and_error(name: str) -> None:
    assert f"`{name}`" in TEXT


@pytest.mark.parametrize(
    "field",
    ["parts", "completes", "resent", "script", "valid_until", "seconds", "playback", "digits", "answers"],
)
def test_carrier_docs_name_the_fields_that_need_work(field: str) -> None:
    known = {
        each.name
        for one in (base.Submission, base.Accepted, base.Unknown, base.CarrierEvent)
        for each in dataclasses.fields(one)
    }
    assert field in known
    assert re.search(rf"`{field}\b", TEXT)


# These modules are shared by all carriers, or list all carriers.
SHARED = {"base", "callbacks", "errors", "http", "records", "refusals", "registry", "validity"}
CARRIERS = {path.stem for path in (ROOT / "telephony" / "carriers").glob("[a-z]*")} - SHARED
# The models and the admin of telephony include the tables of carriers. The messages of test twins are in one of them, and
# people's data is erased there, too. `sandbox_phone` acts as the recipients of the sandbox.
MAY_NAME_ONE = {
    "telephony/admin/pages.py",
    "telephony/api/sandbox.py",
    "telephony/api/sandbox_schema.py",
    "telephony/models/__init__.py",
    "telephony/models/sandbox.py",
    "telephony/models/smpp.py",
    "telephony/people/erasing.py",
    "telephony/people/holder.py",
    "telephony/sandbox_phone.py",
}


def test_search_for_carrier_names_finds_all_carriers() -> None:
    assert {"aakash", "sandbox", "sip", "smpp", "sparrow", "twilio"} <= CARRIERS


def test_no_file_outside_carriers_names_a_carrier() -> None:
    forms = [
        form
        for name in sorted(CARRIERS)
        for form in (rf"(?<![a-z]){name}(?![a-z])", rf"{name.title()}(?![a-z])", rf"{name.upper()}(?![A-Z])")
    ]
    name = re.compile(f"(?<!manage\\.py )(?:{'|'.join(forms)})")
    naming = {
        path.relative_to(ROOT).as_posix()
        for app in ("accounts", "campaigns", "otp", "telephony", "webhooks")
        for path in (ROOT / app).rglob("*.py")
        if name.search(path.read_text(encoding="utf-8"))
    }
    naming = {
        path for path in naming if not path.startswith("telephony/carriers/") and "/migrations/" not in path
    }
    assert naming == MAY_NAME_ONE


def test_import_rules_name_every_carrier() -> None:
    with open(ROOT / "pyproject.toml", "rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    (independent,) = [
        one["modules"] for one in contracts if one["name"] == "Carriers do not import each other"
    ]
    layers = [
        layer
        for one in contracts
        if one.get("containers") == ["telephony.carriers"]
        for layer in one["layers"]
    ]
    assert {f"telephony.carriers.{name}" for name in CARRIERS} == set(independent)
    assert " | ".join(sorted(CARRIERS)) in layers


def test_every_file_named_by_the_carrier_docs_exists() -> None:
    for path in re.findall(r"`((?:telephony|tests|iris|requirements)/[\w/.]+\.\w+)`", TEXT):
        assert (ROOT / path).exists(), path
