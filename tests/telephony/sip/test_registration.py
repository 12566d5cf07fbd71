"""Test that a trunk registers, stays registered, registers again after an outage, and unregisters at the end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest
from baresip import Event, RegistrationError, StackEvent
from baresip.errors import split_status

from telephony.carriers.errors import Unreachable
from telephony.carriers.sip import registration
from telephony.models import DeliveryStatus
from tests.live import wait_for
from tests.telephony.sip.far_end import FarEnd, Ports
from tests.telephony.sip.line import Line

REGISTERING: dict[str, Any] = {
    "register": True,
    "user": "branch",
    "password": "secret",
    "register_seconds": 5,
}


def test_calls_are_refused_while_the_registrar_is_away_and_resume_with_it(tmp_path: Path) -> None:
    ports = Ports()
    with FarEnd(tmp_path / "first", "registrar", transport="tcp", ports=ports) as far_end:
        line = Line(far_end.host, transport="tcp", **REGISTERING)
        line.__enter__()
        try:
            assert line.carrier.status() == f"registered as branch at {far_end.host}"
            far_end.__exit__()
            # The stack fails to refresh the registration after some seconds, and reports it.
            line.wait_status("not registered", seconds=20)
            with pytest.raises(Unreachable, match="not registered"):
                line.call("+9779841000001")
            with FarEnd(tmp_path / "second", "registrar", transport="tcp", ports=ports) as again:
                line.wait_status("registered", seconds=20)
                line.call("+9779841000001")
                assert line.final().status == DeliveryStatus.COMPLETED
                line.carrier.close()
                wait_for(lambda: again.log()[-1] == "REGISTER 0", seconds=2)
        finally:
            line.__exit__()
    ports.close()


def test_status_shows_a_refused_registration(tmp_path: Path) -> None:
    with (
        FarEnd(tmp_path, "refuse_registration") as far_end,
        Line(far_end.host, ready=False, **REGISTERING) as line,
    ):
        line.wait_status("not registered")
        assert "403" in line.carrier.status()


def test_refused_registration_is_retried_late_and_then_succeeds(
    tmp_path: Path,
) -> None:
    """Registrars lock out clients that retry every few seconds."""
    with (
        FarEnd(tmp_path, "refuse_first_registration") as far_end,
        Line(far_end.host, ready=False, **REGISTERING) as line,
    ):
        line.wait_status("not registered")
        line.wait_status("registered", seconds=80)  # the stack waits for half a minute to a minute
        received = r"-{20,} (\S+ \S+)\n\S+ message received[^\n]*\n\nREGISTER"
        first, second, *_ = map(datetime.fromisoformat, re.findall(received, far_end.messages()))
        assert (second - first).total_seconds() > 25
        line.carrier.close()
        wait_for(lambda: far_end.log()[-1:] == ["REGISTER 0"], seconds=2)


class Agent:
    """A user agent whose registrar gives the responses that the test chooses."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.ended = asyncio.Event()
        self._listener: Callable[[StackEvent], object] = lambda _: None

    def on(self, listener: Callable[[StackEvent], object]) -> None:
        self._listener = listener

    def says(self, answer: str) -> None:
        ok = answer.startswith("200")
        self._listener(StackEvent(event=Event.REGISTER_OK if ok else Event.REGISTER_FAIL, text=answer))

    async def register(self) -> None:
        self.asked += 1
        if not self.answers:
            self.ended.set()
            await asyncio.Event().wait()
        answer = self.answers.pop(0)
        self.says(answer)
        status, reason = split_status(answer)
        if status != 200:
            raise RegistrationError(f"registration failed: {answer}", status=status, reason=reason)


def observe(agent: Agent, *words: str) -> list[str]:
    """Return the statuses that the operator sees while the stack reports these outcomes by itself."""
    seen: list[str] = []

    async def tell() -> None:
        keeping = asyncio.create_task(
            registration.stay_registered(
                cast(Any, agent), registered=lambda: seen.append("registered"), lost=seen.append
            )
        )
        for word in words:
            before = len(seen)
            while len(seen) == before and not agent.ended.is_set():
                await asyncio.sleep(0)
            agent.says(word)
        await asyncio.wait_for(agent.ended.wait(), 5)
        keeping.cancel()

    asyncio.run(tell())
    return seen


def test_registration_is_retried_soon_if_the_registrar_is_away_or_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registration, "RETRY_SECONDS", 0.0)
    agent = Agent("Connection refused [111]", "503 Service Unavailable", "200 OK")
    assert observe(agent, "", "", "Connection reset by peer [104]") == [
        "registration failed: Connection refused [111]",
        "registration failed: 503 Service Unavailable",
        "registered",
    ]


@pytest.mark.parametrize("answer", ["401 Unauthorized", "403 Forbidden", "404 Not Found"])
def test_only_the_stack_retries_a_refused_registration(answer: str) -> None:
    agent = Agent(answer)
    assert observe(agent, answer, "200 OK", "403 Forbidden") == [
        f"registration failed: {answer}",
        answer,
        "registered",
    ]
    assert agent.asked == 2


def test_registration_is_retried_soon_if_the_registrar_goes_away_after_a_refusal() -> None:
    agent = Agent("403 Forbidden", "200 OK")
    assert observe(agent, "Connection refused [111]", "403 Forbidden") == [
        "registration failed: 403 Forbidden",
        "registered",
    ]
