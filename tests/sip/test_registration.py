"""A trunk that wants a registration: kept, made again after its registrar was away, given up at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from telephony.carriers.errors import Unreachable
from telephony.models import DeliveryStatus
from tests.live import wait_for
from tests.sip.far_end import FarEnd, Ports
from tests.sip.line import Line

REGISTERED: dict[str, Any] = {"register": True, "user": "branch", "password": "secret", "register_seconds": 5}


def test_calls_wait_for_the_registration_and_come_back_with_the_registrar(tmp_path: Path) -> None:
    ports = Ports()
    with FarEnd(tmp_path / "first", "registrar", transport="tcp", ports=ports) as far_end:
        line = Line(far_end.host, transport="tcp", **REGISTERED)
        line.__enter__()
        try:
            assert line.carrier.status() == f"registered as branch at {far_end.host}"
            far_end.__exit__()
            # The stack refreshes after some seconds, in vain, and we are told.
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


def test_a_refused_registration_is_shown(tmp_path: Path) -> None:
    with (
        FarEnd(tmp_path, "refuse_registration") as far_end,
        Line(far_end.host, ready=False, **REGISTERED) as line,
    ):
        line.wait_status("not registered")
        assert "403" in line.carrier.status()
