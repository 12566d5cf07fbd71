"""Call through Kamailio, a SIP server that others wrote, with SIPp as the phones behind it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from telephony.models import Cause, DeliveryStatus
from tests.live import wait_for
from tests.scale import IS_FIELD
from tests.telephony.sip.far_end import FarEnd, Ports, correlation
from tests.telephony.sip.line import Line, chirp
from tests.telephony.sip.script import listen, pick_up, refuse, scenario

S = DeliveryStatus
PREFIX = "+97798410000"
PHONES = {
    "11": [*pick_up(), *listen()],
    "12": refuse("486 Busy Here"),
    "13": [*pick_up(), *listen()],
}


@contextmanager
def kamailio(folder: Path, *, port: int, phones: str, dead: str) -> Iterator[str]:
    """Run Kamailio on a port of 127.0.0.1, in front of `phones`. Yields its address."""
    program = shutil.which("kamailio")
    assert program is not None
    host = f"127.0.0.1:{port}"
    text = (Path(__file__).parent / "kamailio.cfg").read_text()
    config = folder / "kamailio.cfg"
    config.write_text(text.replace("LISTEN", host).replace("PHONES", phones).replace("DEAD", dead))
    log = folder / "kamailio.log"
    with log.open("wb") as output:
        # -DD keeps it in the foreground, -m and -M bound its memory in MB.
        command = [program, "-f", str(config), "-DD", "-E", "-m", "32", "-M", "8", "-w", str(folder)]
        command += ["-Y", str(folder), "-P", str(folder / "pid")]
        process = subprocess.Popen(
            command, stdout=output, stderr=output, env={**os.environ, "HOME": str(folder)}
        )
        try:
            wait_for(lambda: process.poll() is not None or _listens(port), seconds=30)
            assert process.poll() is None, log.read_text()
            yield host
        finally:
            process.terminate()
            process.wait(30)


def _listens(port: int) -> bool:
    return any(f":{port:04X} " in line for line in Path("/proc/net/udp").read_text().splitlines())


@pytest.mark.field
@pytest.mark.skipif(not IS_FIELD, reason="Runs with `make field`.")
@pytest.mark.skipif(shutil.which("kamailio") is None, reason="kamailio is not installed.")
def test_calls_through_kamailio(tmp_path: Path) -> None:
    name, samples = chirp(3.0)
    ports = Ports()
    far_end = FarEnd(tmp_path, "phones", text=scenario(PHONES))
    options: dict[str, Any] = {"register": True, "user": "gateway", "password": "secret", "ring_seconds": 10}
    with (
        far_end,
        kamailio(tmp_path, port=ports.sip, phones=far_end.host, dead=f"127.0.0.1:{ports.echo}") as host,
        Line(host, **options) as line,
    ):
        assert line.carrier.status() == f"registered as gateway at {host}"
        cases = ("11", "12", "13", "20", "22", "23")
        for digits in cases:
            line.call(PREFIX + digits, key=digits, said=name)
        wait_for(partial(_all_final, line, cases), seconds=60)
        finals = {digits: line.final(digits) for digits in cases}
        assert (finals["11"].status, finals["11"].playback) == (S.COMPLETED, 100)
        assert (finals["12"].status, finals["12"].cause) == (S.UNANSWERED, Cause.BUSY)
        # Its phone repeats the 200 until the ACK arrives.
        assert (finals["13"].status, finals["13"].playback) == (S.COMPLETED, 100)
        # Kamailio's own 408, because nobody is there.
        assert (finals["20"].status, finals["20"].cause) == (S.UNANSWERED, Cause.NO_ANSWER)
        assert finals["20"].text.startswith("408")
        assert (finals["22"].status, finals["22"].playback) == (S.COMPLETED, 100)
        assert (finals["23"].status, finals["23"].cause) == (S.FAILED, Cause.REFUSED)
        assert "198.51.100.9 is not a host of this trunk" in finals["23"].text
    ports.close()
    assert far_end.errors() == ""
    heard = far_end.heard()
    for digits in ("11", "13"):
        assert correlation(heard[PREFIX + digits].samples, samples) > 0.99


def _all_final(line: Line, keys: tuple[str, ...]) -> bool:
    return all(any(event.status >= S.COMPLETED for event in line.reports(key)) for key in keys)
