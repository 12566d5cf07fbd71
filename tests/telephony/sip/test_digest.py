"""Test digest authentication: of registrations (401), and of calls if the proxy requires it (407)."""

from __future__ import annotations

import hashlib
import re
import time
from pathlib import Path
from typing import Any

import pytest

from telephony.carriers.errors import Misconfigured, Throttled, Unreachable
from telephony.models import DeliveryStatus
from tests.live import wait_for
from tests.telephony.sip.far_end import FarEnd
from tests.telephony.sip.line import Line
from tests.telephony.sip.script import listen, pick_up, receive, respond, scenario

NUMBER = "+9779841000001"
REGISTERED: dict[str, Any] = {"register": True, "user": "branch", "register_seconds": 5}
ASKS_AGAIN = 'WWW-Authenticate: Digest realm="example.com", nonce="57ebe028cda1", algorithm=MD5, qop="auth"'


def test_challenged_registration_succeeds_and_calls_are_made(tmp_path: Path) -> None:
    with (
        FarEnd(tmp_path, "registrar_digest", status="403 Forbidden") as far_end,
        Line(far_end.host, password="secret", **REGISTERED) as line,
    ):
        assert line.carrier.status() == f"registered as branch at {far_end.host}"
        line.call(NUMBER)
        assert line.final().status == DeliveryStatus.COMPLETED
        assert 'username="branch"' in far_end.messages()
    assert far_end.errors() == ""


@pytest.mark.parametrize(("answer", "headers"), [("403 Forbidden", ""), ("401 Unauthorized", ASKS_AGAIN)])
def test_failed_registration_is_shown_and_no_call_is_made(tmp_path: Path, answer: str, headers: str) -> None:
    with (
        FarEnd(tmp_path, "registrar_digest", status=answer, headers=headers) as far_end,
        Line(far_end.host, ready=False, password="wrong", **REGISTERED) as line,
    ):
        line.wait_status("not registered")
        assert line.carrier.status().startswith(f"not registered as branch at {far_end.host}: ")
        assert answer[:3] in line.carrier.status()
        with pytest.raises(Unreachable, match="not registered as branch"):
            line.call(NUMBER)
    assert "INVITE sip:" not in far_end.messages()


def test_call_answers_a_proxy_challenge_with_the_right_digest(tmp_path: Path) -> None:
    with (
        FarEnd(tmp_path, "challenge_by_proxy") as far_end,
        Line(far_end.host, user="trunk-user", password="trunk-password") as line,
    ):
        line.call(NUMBER, caller="9800000101")
        assert (line.final().status, line.final().playback) == (DeliveryStatus.COMPLETED, 100)
        assert "<sip:+9779800000101@" in far_end.log()[0]
        with_digest = r"\nINVITE sip:(?:.+\n)*Proxy-Authorization: Digest (.+)\n"
        (sent,) = set(re.findall(with_digest, far_end.messages().replace("\r", "")))
        assert response_of(sent) == digest(sent, user="trunk-user", password="trunk-password")
        assert response_of(sent) != digest(sent, user="trunk-user", password="wrong")
    assert far_end.errors() == ""


def test_goodbye_is_repeated_with_the_password_if_it_is_challenged(tmp_path: Path) -> None:
    challenge = 'Proxy-Authenticate: Digest realm="sbc", nonce="n1", algorithm=MD5, qop="auth"'
    steps = [
        *pick_up(),
        receive("BYE"),
        respond("407 Proxy Authentication Required", headers=challenge, tag="", once=True),
        *listen(),
    ]
    with (
        FarEnd(tmp_path, "challenged", text=scenario({"01": steps})) as far_end,
        Line(far_end.host, user="trunk-user", password="trunk-password") as line,
    ):
        line.call(NUMBER)
        assert (line.final().status, line.final().playback) == (DeliveryStatus.COMPLETED, 100)
        with_digest = r"\nBYE sip:(?:.+\n)*Proxy-Authorization: Digest (.+)\n"
        wait_for(lambda: re.search(with_digest, far_end.messages().replace("\r", "")), seconds=10)
        (sent,) = set(re.findall(with_digest, far_end.messages().replace("\r", "")))
        assert parameters_of(sent)["username"] == "trunk-user"
    assert far_end.errors() == ""


def test_trunk_is_paused_if_the_proxy_rejects_the_user(tmp_path: Path) -> None:
    with (
        FarEnd(tmp_path, "challenge_by_proxy") as far_end,
        Line(far_end.host, user="somebody", password="trunk-password") as line,
    ):
        keys = iter(map(str, range(1, 100)))

        def is_paused() -> bool:
            """Make one call, wait for the rest that follows, and return whether the trunk is paused."""
            key = next(keys)
            try:
                line.call(NUMBER, key=key)
            except Throttled as resting:
                rested = time.monotonic() + resting.retry_after
                wait_for(lambda: time.monotonic() > rested, seconds=60)
            except Misconfigured as misconfigured:
                said.append(str(misconfigured))
                return True
            else:
                assert line.later(key).text.startswith("407")
            return False

        said: list[str] = []
        wait_for(is_paused, seconds=60)
        assert "does not accept our user and password" in said[0]


def parameters_of(header: str) -> dict[str, str]:
    return {
        name: quoted or bare for name, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^,\s]+))', header)
    }


def response_of(header: str) -> str:
    return parameters_of(header)["response"]


def digest(header: str, *, user: str, password: str) -> str:
    """Compute the response by RFC 2617 (qop=auth) for an INVITE with the other parameters of this header."""
    sent = parameters_of(header)
    who = _md5(user, sent["realm"], password)
    what = _md5("INVITE", sent["uri"])
    return _md5(who, sent["nonce"], sent["nc"], sent["cnonce"], sent["qop"], what)


def _md5(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()
