"""Test which targets of redirects are called."""

from __future__ import annotations

import pytest

from telephony.carriers.sip.messages import SipMessage
from telephony.carriers.sip.options import SipOptions
from telephony.carriers.sip.redirects import target_of

TO = "+9779841000001"
OPTIONS = SipOptions(
    host="sip.example.com:5070", proxy="[2001:db8::1]:5060", redirect_hosts=("192.0.2.7", "B.example")
)


def target(*contacts: str) -> tuple[str, str]:
    response = SipMessage("SIP/2.0 302 Moved", tuple(("contact", one) for one in contacts), "")
    return target_of(response, options=OPTIONS, to=TO, came_from="203.0.113.5")


@pytest.mark.parametrize(
    "host",
    [
        "sip.example.com",
        "SIP.example.com:5090",
        "192.0.2.7:5061",
        "b.EXAMPLE",
        "203.0.113.5",
        "[2001:db8::1]:5080",
    ],
)
def test_hosts_of_the_trunk_are_called(host: str) -> None:
    assert target(f"<sip:{TO}@{host};transport=tcp;x=y>;q=1") == (f"sip:{TO}@{host};transport=udp", "")


@pytest.mark.parametrize(
    "uri",
    [
        f"sip:{TO}@198.51.100.9",
        f"sip:{TO}@sip.example.com.evil.example",
        f"sip:{TO}@evil.example;maddr=sip.example.com",
        f"sip:{TO}@sip.example.com@evil.example",
        f"sip:{TO}@evilsip.example.com",
        f"sip:{TO}\r@sip.example.com",
        f"sip:{TO} x@sip.example.com",
        f"tel:{TO}",
        "mailto:a@sip.example.com",
        "",
    ],
)
def test_other_hosts_are_not_called(uri: str) -> None:
    uri, refusal = target(f"<{uri}>")
    assert uri == ""
    assert refusal


@pytest.mark.parametrize(
    ("user", "is_called"),
    [
        (TO, True),
        ("9841000001", True),
        ("9779841000001", True),
        ("+9779841000002", True),  # forwarded to another Nepali number
        (f"{TO};rn=+9779800000000;npdi", True),
        ("gateway-2", True),
        ("+19005551234", False),
        ("+447911123456", False),
        ("00447911123456", False),
    ],
)
def test_numbers_that_may_cost_more_are_not_called(user: str, is_called: bool) -> None:
    uri, refusal = target(f"<sip:{user}@sip.example.com>")
    assert bool(uri) == is_called
    assert ("may cost more" in refusal) == (not is_called)


def test_first_allowed_target_is_called_in_the_order_of_q() -> None:
    contacts = [f"<sip:1@evil.example>;q=1.0, <sip:{TO}@b.example>;q=0.3", f"<sip:{TO}@192.0.2.7>;q=0.7"]
    assert target(*contacts)[0] == f"sip:{TO}@192.0.2.7;transport=udp"
    assert target() == ("", "it names no target")
    assert target("<sip:b.example>") == ("", "it names no number")
