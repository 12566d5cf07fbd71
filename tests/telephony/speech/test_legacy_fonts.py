"""Text typed for Preeti or Kantipur is refused; everything else is spoken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from campaigns import runs, services
from campaigns.models import Run, Service
from telephony.speech.engine import Unspeakable
from telephony.speech.legacy_fonts import is_legacy
from telephony.speech.normalization import spoken_form
from tests.factories import make_account, make_sheet
from tests.v0 import Caller

LEGACY = [
    "g]kfn ;/sf/",
    "tkfO{Fsf] ljn ?= !,@#$.%) afFsL 5 .",
    "Gffdtfsf] nflu ldlt @)*!÷)*÷!% ;Dd",
    "ldlt @)*!÷)%÷!@ ut] a}7s a:g]5 .",
    "cfb/0fLo u|fxs, tkfO{Fsf] vftfdf ?= %)) hDdf eof] .",
    "sf7df8f}+ dxfgu/kflnsf, j8f g+= %",
    "ljBfno ef]lnb]lv aGb x'g]5 .",
    "kfgL lat/0f x'g] ;do ljxfg ^ ah] .",
    ";Dk\"0f{ cleefjsx?nfO{ cg'/f]w ul/G5 .",
]
OTHER = [
    "Dear customer, your A/C [savings] has Rs. 500; see {link} and/or call us.",
    "Free offer for staff of Far-Flung Coffee: 50% off, fill form at www.f.com/offers/free",
    "Tapaiko khatama Rs. 25,000 jamma bhayo.",
    "R&D विभागको बैठक A/C कोठामा",
    "It's Ram's; don't worry, we'll call 'tomorrow'.",
    "RAM BAHADUR",
    "A/C no. 12/34; ref. X/Y",
    "if off, fifty/fifty of it",
    "नमस्ते",
    "Namaste {full name}, tapaiko {bill amount} baki chha",
    "",
]


@pytest.mark.parametrize("text", LEGACY)
def test_text_for_a_legacy_font_is_refused_with_its_own_code(text: str) -> None:
    with pytest.raises(Unspeakable, match="Convert it to Unicode") as caught:
        spoken_form(text, language="ne")

    assert caught.value.code == "legacy_font"


@pytest.mark.parametrize("text", OTHER)
def test_ordinary_text_is_not_recognized_as_a_legacy_font(text: str) -> None:
    assert not is_legacy(text)


def test_no_message_of_the_readings_is_recognized_as_a_legacy_font() -> None:
    readings = Path(__file__).with_name("readings.jsonl").read_text(encoding="utf-8").splitlines()

    assert [text for line in readings if is_legacy(text := json.loads(line)["text"])] == []


@pytest.mark.django_db
def test_beginning_and_trials_refuse_text_for_a_legacy_font(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    account = make_account(email="sita@example.com", credits=100)
    campaign, *_ = services.create_campaign(
        account=account,
        name="Notice",
        service=Service.CALL,
        sheet=make_sheet(("number", "name"), (9_841_000_001, "राम")),
    )
    for message in (LEGACY[6], "{name} " + LEGACY[6]):
        with pytest.raises(Unspeakable, match="Convert it to Unicode") as caught:
            runs.begin(campaign=campaign, message=message)
        assert caught.value.code == "legacy_font"
    assert not Run.objects.exists()

    answer = Caller(account).fails("POST", "/api/system/test/voice/", {"message": LEGACY[6]}, status=400)
    assert "legacy font such as Preeti" in answer["message"]
