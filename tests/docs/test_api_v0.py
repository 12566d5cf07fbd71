"""Test docs/api-v0.md: its examples are the golden files, and it names every word that the code publishes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from django.conf import settings
from rest_framework import serializers

from campaigns.api.recipient_filters import RecipientFilter
from campaigns.api.v0.filters import CampaignFilter
from campaigns.api.v0.hearing import STATES
from campaigns.api.v0.serializers import (
    CAMPAIGN_STATUSES,
    OFFERED,
    RERUN_STATUSES,
    Beginning,
    NewCampaign,
    NumberChanges,
)
from campaigns.api.words import RECIPIENT_STATUSES
from campaigns.reports.why import Hold
from iris.api.filters import FilterSet
from otp.api.v0.serializers import CHANNELS, ORIGINS, NewOtp
from telephony.api.filters import PhoneNumberFilter
from telephony.api.v0.serializers import ChosenNumber, VoiceSample
from telephony.engine.held_back import TrunkHold
from telephony.engine.lifecycle.conditions import Wait
from tests import golden
from tests.routes import V0

PAGE = Path(__file__).parents[2] / "docs" / "api-v0.md"
TEXT = PAGE.read_text(encoding="utf-8")
EXAMPLE = re.compile(r"<!-- (\w+): (request|body) -->\n```json\n(.*?)\n```", re.DOTALL)
FILES = sorted(path.stem for path in golden.FOLDER.glob("*.json"))


def _parts(name: str) -> dict[str, object]:
    document = golden.load(name)
    request = document["request"]
    return {"body": document["body"]} | ({"request": request["body"]} if "body" in request else {})


@pytest.mark.parametrize("name", FILES)
def test_v0_docs_show_every_golden_answer_unchanged(name: str) -> None:
    shown = {part: text for shown_name, part, text in EXAMPLE.findall(TEXT) if shown_name == name}
    assert {part: json.loads(text) for part, text in shown.items()} == _parts(name)
    for part, text in shown.items():
        assert text == json.dumps(_parts(name)[part], indent=2, ensure_ascii=False)


@pytest.mark.parametrize("name", FILES)
def test_v0_docs_show_every_golden_answer_with_its_address(name: str) -> None:
    request = golden.load(name)["request"]
    address = re.escape(f"`{request['method']} {request['path']}`")
    assert re.search(rf"{address} (with|is answered with)\n\n<!-- {name}: ", TEXT)


@pytest.mark.parametrize("name", FILES)
def test_every_v0_golden_answer_is_requested_by_a_test(name: str) -> None:
    tests = Path(golden.__file__).parent
    assert any(f'"{name}"' in path.read_text(encoding="utf-8") for path in tests.rglob("test_api_*.py")), name


def test_every_example_in_the_v0_docs_is_a_golden_answer() -> None:
    assert TEXT.count("```json") == len(EXAMPLE.findall(TEXT))
    assert {name for name, _, _ in EXAMPLE.findall(TEXT)} == set(FILES)


def test_v0_docs_name_every_route() -> None:
    shown = re.findall(r"`[A-Z]+ (/api/[^`]+)`", TEXT)
    forms = {re.sub(r"<\w+>", "<>", path.rstrip("/")) for path in shown}
    assert forms == {re.sub(r"<[^>]+>", "<>", route.path.rstrip("/")) for route in V0.routes}


@pytest.mark.parametrize(
    "word",
    sorted(
        {
            *CAMPAIGN_STATUSES.values(),
            *RECIPIENT_STATUSES.values(),
            *RERUN_STATUSES,
            *OFFERED,
            *CHANNELS,
            *ORIGINS,
            *settings.IRIS_VOICES,
            *(voice["api_name"] for voice in settings.IRIS_VOICES.values() if "api_name" in voice),
        }
    ),
)
def test_v0_docs_name_every_published_word(word: str) -> None:
    assert f"`{word}`" in TEXT


@pytest.mark.parametrize(
    "serializer",
    [NewCampaign, NumberChanges, Beginning, NewOtp, ChosenNumber, VoiceSample],
    ids=lambda it: it.__name__,
)
def test_v0_docs_name_every_request_field(serializer: type[serializers.Serializer[object]]) -> None:
    examples = " ".join(text for _, _, text in EXAMPLE.findall(TEXT))
    missing = {
        name for name in serializer().fields if f"`{name}`" not in TEXT and f'"{name}"' not in examples
    }
    assert missing == set()


@pytest.mark.parametrize(
    "filters", [CampaignFilter, RecipientFilter, PhoneNumberFilter], ids=lambda it: it.__name__
)
def test_v0_docs_name_every_filter(filters: type[FilterSet]) -> None:
    assert {name for name in filters.base_filters if not re.search(rf"`\??{name}(=[^`]*)?`", TEXT)} == set()


@pytest.mark.parametrize("code", sorted({*Hold, *Wait, *TrunkHold}))
def test_v0_docs_explain_every_reason(code: str) -> None:
    section = TEXT.partition("### Why not?")[2].partition("\n### ")[0]
    assert re.search(rf"^\| (`\w+`, )*`{code}`", section, re.MULTILINE)


@pytest.mark.parametrize("state", sorted(set(STATES.values())))
def test_v0_docs_explain_every_state_of_hearing(state: str) -> None:
    section = TEXT.partition("### Urgent runs")[2].partition("\n### ")[0]
    assert f"\n| `{state}` |" in section
