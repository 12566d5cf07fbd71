"""Test docs/api-v1.md: its examples are the golden files, it names every published word, and its decisions have tests."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest
from rest_framework import serializers

from campaigns.api.recipient_filters import RecipientFilter
from campaigns.api.v1 import serializers as campaigns
from campaigns.api.v1.filters import CampaignFilter, TemplateFilter
from campaigns.api.v1.reports import COLUMNS
from campaigns.api.v1.words import (
    CAMPAIGN_STATUSES,
    CARRIERS,
    CATEGORIES,
    FAILOVER_TARGETS,
)
from campaigns.api.words import RECIPIENT_STATUSES, SERVICES
from iris.api.filters import FilterSet
from otp.api.v0.serializers import CHANNELS, ORIGINS
from otp.api.v1.filters import OtpFilter
from otp.api.v1.serializers import NewOtp
from telephony.api.filters import PhoneNumberFilter
from tests import golden
from tests.routes import V1

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "api-v1.md").read_text(encoding="utf-8")
DECIDED = TEXT.partition("\n## Decided")[2]
EXAMPLE = re.compile(r"<!-- (\w+): (request|body) -->\n```json\n(.*?)\n```", re.DOTALL)
FILES = sorted(path.stem for path in (golden.FOLDER.parent / "v1").glob("*.json"))
TESTS = re.findall(r"^  `(tests/[^`:]+)::([^`]+)`$", DECIDED, re.MULTILINE)


def _parts(name: str) -> dict[str, object]:
    document = golden.load(f"v1/{name}")
    request = document["request"]
    return {"body": document["body"]} | ({"request": request["body"]} if "body" in request else {})


def test_v1_docs_show_every_golden_answer_with_its_address() -> None:
    shown = {(name, part): text for name, part, text in EXAMPLE.findall(TEXT)}
    parts = {(name, part): content for name in FILES for part, content in _parts(name).items()}
    assert shown == {key: json.dumps(content, indent=2, ensure_ascii=False) for key, content in parts.items()}
    assert TEXT.count("```json") == len(shown)
    for name in FILES:
        request = golden.load(f"v1/{name}")["request"]
        address = re.escape(f"`{request['method']} {request['path']}`")
        assert re.search(rf"{address} (with|is answered with)\n\n<!-- {name}: ", TEXT), name


def test_every_v1_golden_answer_is_requested_by_a_test() -> None:
    tests = (ROOT / "tests" / "v1").glob("test_*documented.py")
    asked = "".join(path.read_text(encoding="utf-8") for path in tests)
    assert [name for name in FILES if f'"{name}"' not in asked and f'"v1/{name}"' not in asked] == []


def test_v1_docs_name_every_route() -> None:
    shown = re.findall(r"`[A-Z]+ (/api/v1/[^`?]+)", TEXT)
    forms = {re.sub(r"<\w+>", "<>", path.rstrip("/")) for path in shown}
    assert forms == {re.sub(r"<[^>]+>", "<>", route.path.rstrip("/")) for route in V1.routes}


def test_v1_docs_name_every_published_word() -> None:
    tables = (CAMPAIGN_STATUSES, CARRIERS, CATEGORIES, RECIPIENT_STATUSES, SERVICES)
    words = {word for table in tables for word in table.values()} | {
        *FAILOVER_TARGETS,
        *CHANNELS,
        *ORIGINS,
        *COLUMNS,
    }
    assert {word for word in words if f"`{word}`" not in TEXT} == set()


@pytest.mark.parametrize(
    "serializer",
    [
        campaigns.NewCampaign,
        campaigns.MessageChanges,
        campaigns.NewContact,
        campaigns.NewContacts,
        campaigns.Sheet,
        campaigns.VoiceTry,
        NewOtp,
    ],
    ids=lambda it: it.__name__,
)
def test_v1_docs_name_every_request_field(serializer: type[serializers.Serializer[object]]) -> None:
    examples = " ".join(text for _, _, text in EXAMPLE.findall(TEXT))
    fields = set(serializer().fields)
    assert {name for name in fields if f"`{name}`" not in TEXT and f'"{name}"' not in examples} == set()


@pytest.mark.parametrize(
    "filters",
    [CampaignFilter, TemplateFilter, RecipientFilter, PhoneNumberFilter, OtpFilter],
    ids=lambda it: it.__name__,
)
def test_v1_docs_name_every_filter(filters: type[FilterSet]) -> None:
    assert {name for name in filters.base_filters if not re.search(rf"`\??{name}(=[^`]*)?`", TEXT)} == set()


def test_every_v1_decision_names_an_existing_test() -> None:
    assert len(re.findall(r"^\* ", DECIDED, re.MULTILINE)) == len(TESTS)
    for file, name in TESTS:
        body: list[ast.stmt] = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
        for part in name.split("::"):
            (one,) = [it for it in body if isinstance(it, ast.ClassDef | ast.FunctionDef) and it.name == part]
            body = one.body
