"""Test the options of the HTTP carriers: secrets from files and variables, and wrong options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from tests.telephony.http.creating import EVERY_CARRIER, SECRETS, create
from tests.telephony.http.far_end import BACKENDS, OPTIONS


@EVERY_CARRIER
def test_secret_may_come_from_a_file_or_a_variable(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    option = SECRETS[name]
    others = {key: value for key, value in OPTIONS[name].items() if key != option}
    file = tmp_path / "secret"
    file.write_text("  from-a-file \nanother line\n")
    monkeypatch.setenv("GATEWAY_TOKEN", "from-a-variable")
    backend = BACKENDS[name]
    assert backend(alias="a", **others, **{f"{option}_file": str(file)}).settings[option] == "from-a-file"
    assert (
        backend(alias="a", **others, **{f"{option}_env": "GATEWAY_TOKEN"}).settings[option]
        == "from-a-variable"
    )
    for wrong in (
        {f"{option}_file": str(tmp_path / "none")},
        {f"{option}_file": str(tmp_path)},
        {f"{option}_env": "NOT_SET_ANYWHERE"},
        {f"{option}_env": "GATEWAY_TOKEN", option: "a-secret-of-ours"},
        {option: ""},
        {},
        {option: 5},
        {option: "geheim-ü"},
    ):
        with pytest.raises(ImproperlyConfigured) as raised:
            backend(alias="a", **others, **wrong)
        assert option in str(raised.value)
        assert "a-secret-of-ours" not in str(raised.value)
        assert "geheim" not in str(raised.value)


def test_keys_for_signatures_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("first-key-of-sixteen\n\nsecond-key-of-sixteen\n")
    carrier = create("twilio", signature_keys_file=str(file))
    assert carrier.settings["signature_keys"] == ["first-key-of-sixteen", "second-key-of-sixteen"]


@EVERY_CARRIER
@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": "api.example.com"},
        {"base_url": "ftp://api.example.com"},
        {"base_url": "https://user:password@api.example.com"},
        {"base_url": "https://api.example.com/?token=1"},
        {"base_url": "https://api.example.com:99999"},
        {"base_url": "https://[::1"},
        {"base_url": 5},
        {"connections": 0},
        {"connections": "many"},
        {"connections": True},
        {"request_seconds": 0},
        {"read_seconds": float("nan")},
        {"tls_ca": "/no/such/file"},
    ],
)
def test_wrong_option_is_named(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ImproperlyConfigured, match=rf"'{name}'.*{next(iter(wrong))}"):
        create(name, **wrong)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("twilio", {"account_sid": "AC1"}),
        ("twilio", {"account_sid": ""}),
        ("twilio", {"signature_keys": ["short"]}),
        ("twilio", {"signature_keys": "a-key-that-is-no-list"}),
        ("twilio", {"sender": "ü"}),
        ("twilio", {"ring_seconds": 2.5}),
        ("sparrow", {"sender": ""}),
        ("sparrow", {"callback_secret": "short", "callback_addresses": ["203.0.113.1"]}),
        ("sparrow", {"callback_secret": "with/a/slash/in/it"}),
        ("sparrow", {"callback_secret": "n3vZ8tQk0yRb5LmX"}),
        ("sparrow", {"callback_addresses": ["203.0.113.1/24"]}),
        ("sparrow", {"callback_addresses": [5, "all"]}),
        ("sparrow", {"reply": "x" * 161}),
        ("aakash", {"api": "v5"}),
        ("aakash", {"reports": "yes"}),
        ("aakash", {"poll_seconds": -1}),
    ],
)
def test_wrong_option_of_one_carrier_is_named(name: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(ImproperlyConfigured, match=next(iter(wrong))):
        create(name, **wrong)
