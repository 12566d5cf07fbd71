"""System checks of carriers, routes and the secret key."""

from typing import Any

import pytest
from pytest_django import Settings

from iris import checks

SANDBOX = {
    "BACKEND": "telephony.carriers.sandbox.SandboxCarrier",
    "OPTIONS": {},
    "CPS": None,
    "CHANNELS": None,
}


def ids(problems: list[Any]) -> list[str]:
    return [problem.id for problem in problems]


def test_the_default_settings_pass_all_checks() -> None:
    assert checks.carriers_can_be_used(None) == []
    assert checks.routes_lead_to_carriers(None) == []
    assert checks.voices_speak(None) == []
    assert checks.secret_key_is_strong(None) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"BACKEND": "telephony.carriers.nowhere.Carrier"},
        {"BACKEND": "telephony.carriers.sandbox.Nothing"},
        {"BACKEND": "no dotted path"},
        {"OPTIONS": {"colour": "blue"}},
    ],
)
def test_an_unusable_carrier_is_e001(wrong: dict[str, Any], settings: Settings) -> None:
    settings.CARRIERS = {"sandbox": SANDBOX, "line1": {**SANDBOX, **wrong}}

    problems = checks.carriers_can_be_used(None)

    assert ids(problems) == ["iris.E001"]
    assert "'line1'" in problems[0].msg


@pytest.mark.parametrize(
    "wrong", [{"CPS": "5"}, {"CPS": 0}, {"CPS": True}, {"CHANNELS": -1}, {"CHANNELS": 1.5}]
)
def test_an_invalid_cps_or_channels_is_e002(wrong: dict[str, Any], settings: Settings) -> None:
    settings.CARRIERS = {"line1": {**SANDBOX, **wrong}}

    assert ids(checks.carriers_can_be_used(None)) == ["iris.E002"]


@pytest.mark.parametrize("right", [{"CPS": 0.5, "CHANNELS": 30}, {"CPS": 50}, {}])
def test_cps_and_channels_may_be_numbers_or_absent(right: dict[str, Any], settings: Settings) -> None:
    settings.CARRIERS = {"line1": {**SANDBOX, **right}}

    assert checks.carriers_can_be_used(None) == []


@pytest.mark.parametrize(
    ("routes", "sentence"),
    [
        ({"call": ["sandbox"]}, "sms is missing"),
        ({"call": [], "sms": [], "fax": []}, "'fax' is not a channel"),
        ({"call": "sandbox", "sms": []}, "call must be a list"),
        ({"call": ["line9"], "sms": []}, "names the carrier 'line9'"),
        ({"call": [{"prefix": "+977", "trunks": ["line9"]}], "sms": []}, "names the carrier 'line9'"),
        ({"call": [{"prefix": "977", "trunks": ["sandbox"]}], "sms": []}, "has the prefix '977'"),
        ({"call": [{"prefix": "+977"}], "sms": []}, "must be an alias or"),
        ({"call": [{"prefix": "+977", "trunks": []}], "sms": []}, "must be an alias or"),
        ({"call": [7], "sms": []}, "must be an alias or"),
    ],
)
def test_unusable_routes_are_e003(routes: dict[str, Any], sentence: str, settings: Settings) -> None:
    settings.ROUTES = routes

    problems = checks.routes_lead_to_carriers(None)

    assert ids(problems) == ["iris.E003"]
    assert sentence in problems[0].msg


def test_routes_by_prefix_lead_to_known_carriers(settings: Settings) -> None:
    settings.ROUTES = {"call": ["sandbox", {"prefix": "+97798", "trunks": ["sandbox"]}], "sms": []}

    assert checks.routes_lead_to_carriers(None) == []


@pytest.mark.parametrize("voices", [{}, {"np_rija": {"engine": "gramophone"}}])
def test_an_unusable_voice_is_e004(voices: dict[str, Any], settings: Settings) -> None:
    settings.IRIS_VOICES = voices

    assert ids(checks.voices_speak(None)) == ["iris.E004"]


@pytest.mark.parametrize("key", ["short", "a" * 60])
def test_a_weak_secret_key_is_w001(key: str, settings: Settings) -> None:
    settings.SECRET_KEY = key

    assert ids(checks.secret_key_is_strong(None)) == ["iris.W001"]
