"""Test that each OPTION of a SIP trunk is documented and checked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from iris.checks import carriers_can_be_used
from telephony.carriers import get_carrier
from telephony.carriers.sip import options as sip_options
from telephony.carriers.sip.options import DEFAULTS, SipOptions
from tests.live import ROOT

BACKEND = "telephony.carriers.sip.SipCarrier"


def options(**given: Any) -> SipOptions:
    return SipOptions.of("line", {"host": "sip.example.com", **given})


@pytest.fixture(autouse=True)
def _trunk_with_30_channels(settings: Any) -> None:
    settings.CARRIERS = {"line": {"BACKEND": BACKEND, "OPTIONS": {"host": "sip.example.com"}, "CHANNELS": 30}}


def test_only_host_is_required() -> None:
    assert get_carrier("line").settings["transport"] == "udp"
    assert carriers_can_be_used(None) == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"host": ""}, "host must be the name or address of the trunk"),
        ({"host": "sip:example.com"}, "host must be"),
        ({"transport": "sctp"}, "it may be udp, tcp, tls"),
        ({"numbers": "E164"}, "it may be e164, digits, national"),
        ({"caller": "header"}, "it may be from, identity"),
        ({"user": "a@b"}, "user must be the left half"),
        ({"register": True}, "register needs a password"),
        ({"register": "yes"}, "register is 'yes'; it must be true or false"),
        ({"password": 'a"b'}, "password may have neither"),
        ({"codecs": ["g722"]}, "codecs must be a list of pcma and pcmu"),
        ({"codecs": "pcma"}, "codecs is 'pcma'; it must be a list of strings"),
        ({"ring_seconds": 1}, "ring_seconds must be between 3 and 300"),
        ({"ring_seconds": "45"}, "it must be a number"),
        ({"register_seconds": 1.5}, "it must be a whole number"),
        ({"drain_seconds": -1}, "drain_seconds must not be negative"),
        ({"min_heard_seconds": -0.5}, "min_heard_seconds must not be negative"),
        ({"min_heard_percent": 101}, "min_heard_percent must be between 0 and 100"),
        ({"min_heard_percent": "30 %"}, "it must be a whole number"),
        ({"charge_silent_calls": 1}, "it must be true or false"),
        ({"redirect_hosts": ["sip:b.example"]}, "redirect_hosts has 'sip:b.example'"),
        ({"redirect_hosts": "b.example"}, "it must be a list of strings"),
        ({"listen": "5060"}, "listen must be an address and a port"),
        ({"prefix": "abc"}, "prefix may have digits"),
        ({"rtp_ports": "10000"}, "write it as 10000-20000"),
        ({"rtp_ports": "10000-10100"}, "at least 120 wide"),
        ({"tls_ca": "/nowhere/ca.pem"}, "which is not a file"),
        ({"stack": ["a\nb"]}, "without line breaks"),
    ],
)
def test_invalid_option_is_refused_with_an_explanation(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=re.escape(words)):
        options(**given)


def test_the_system_check_names_the_trunk_and_the_option(settings: Any) -> None:
    settings.CARRIERS = {
        "line": {"BACKEND": BACKEND, "OPTIONS": {"host": "x", "hots": 1}, "CHANNELS": 30},
        "many": {"BACKEND": BACKEND, "OPTIONS": {"host": "x"}, "CHANNELS": None},
    }
    messages = [str(message.msg) for message in carriers_can_be_used(None)]
    assert any("has no option hots" in message for message in messages)
    assert any("CHANNELS must be between 1 and 250" in message for message in messages)


@pytest.mark.parametrize(
    ("numbers", "prefix", "uri", "caller"),
    [
        ("e164", "", "sip:+9779841000001@sip.example.com;transport=udp", "+9779800000101"),
        ("digits", "00", "sip:009779841000001@sip.example.com;transport=udp", "9779800000101"),
        ("national", "9", "sip:99841000001@sip.example.com;transport=udp", "9800000101"),
    ],
)
def test_numbers_are_written_in_the_configured_format(
    numbers: str, prefix: str, uri: str, caller: str
) -> None:
    found = options(numbers=numbers, prefix=prefix)
    assert found.uri_of("+9779841000001") == uri
    assert found.user_of("9800000101") == caller
    assert found.user_of("") == "iris"


def test_repr_never_shows_the_password() -> None:
    secret = options(user="branch", password="very-secret", register=True)
    assert "very-secret" not in repr(secret)
    assert "very-secret" not in repr(secret.account_of("branch"))


def test_baresip_configuration_has_no_call_limit_and_contains_the_options() -> None:
    found = options(interface="127.0.0.1", listen="127.0.0.1:5060", stack=["dns_server 127.0.0.1"])
    config = found.config()
    assert config.max_concurrent_calls is None
    assert config.net_interface == "127.0.0.1"
    lines = config.render().splitlines()
    assert {"rtp_ports 10000-20000", "sip_listen 127.0.0.1:5060", "dns_server 127.0.0.1"} <= set(lines)


def test_certificates_are_checked_with_the_ca_file_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """baresip has its own OpenSSL, which would look for the CA file elsewhere."""
    for name in ("python", "usual", "own"):
        (tmp_path / name).touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "python"))
    monkeypatch.setattr(sip_options, "DEFAULT_CA_FILE", str(tmp_path / "usual"))
    assert f"sip_cafile {tmp_path}/python\n" in options(transport="tls").config().render()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nowhere"))
    assert f"sip_cafile {tmp_path}/usual\n" in options(transport="tls").config().render()
    given = options(transport="tls", tls_ca=str(tmp_path / "own"))
    assert f"sip_cafile {tmp_path}/own\n" in given.config().render()


def test_tls_without_any_ca_file_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    monkeypatch.setattr(sip_options, "DEFAULT_CA_FILE", "/nowhere/ca.pem")
    with pytest.raises(ImproperlyConfigured, match="Install the package ca-certificates, or let tls_ca name"):
        options(transport="tls")
    assert options(transport="tls", tls_verify=False)
    assert options(transport="udp")


def test_every_option_is_documented_with_its_default() -> None:
    text = (ROOT / "docs" / "sip.md").read_text()
    table = dict(re.findall(r"^\| `(\w+)` \| .* \| `?(.*?)`? \|$", text, re.MULTILINE))
    assert set(table) == set(DEFAULTS)
    shown = {name: value for name, value in DEFAULTS.items() if value not in ("", ())}
    assert {name: table[name] for name in shown} == {
        name: json.dumps(value).strip('"').removesuffix(".0") for name, value in shown.items()
    }
