"""Call twenty phones of PJSIP, a SIP stack that others wrote, and compare what they recorded with the message."""

from __future__ import annotations

import os
import subprocess
import sys
import wave
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tests.live import ROOT, wait_for
from tests.scale import IS_FIELD
from tests.telephony.sip.far_end import Ports
from tests.telephony.sip.line import chirp
from tests.telephony.sip.processes import sip_iris
from tests.telephony.sip.test_cases import as_wav

SECONDS = 7.0  # of the message
PIECE, STEP = 800, 4_000  # samples that are compared at once: a tenth of a second, and of each half second
FIRST_PIECE = 8_000  # before that, the message is too low for telephones
FIRST = 11
TRUNK = """
[carriers.line]
BACKEND = "telephony.carriers.sip.SipCarrier"
CHANNELS = 4  # as many calls as the published build of PJSIP carries

[carriers.line.OPTIONS]
host = "HOST"
interface = "127.0.0.1"
rtp_ports = "20000-40000"
ring_seconds = 8
lead_seconds = 0.2
tail_seconds = 0.2
"""
# By the last two digits: status, cause, and keys.
ENDS = {
    **dict.fromkeys(
        ("11", "12", "13", "14", "18", "19", "23", "24", "25", "28", "29"), ("completed", "", "")
    ),
    "15": ("unanswered", "busy", ""),
    "16": ("unanswered", "no_answer", ""),
    "17": ("failed", "refused", ""),
    "20": ("completed", "", "159#"),
    "21": ("completed", "", "159#"),
    "22": ("hungup", "cut_off", ""),
    "26": ("unanswered", "no_answer", ""),
    "27": ("failed", "invalid", ""),
    "30": ("hungup", "cut_off", ""),
}
IN_ONE_PIECE = ("11", "12", "13", "14", "18", "20", "21", "23", "24", "25", "29")
HOLDS = {"19": 1, "28": 2}


@contextmanager
def pjsua(folder: Path, port: int) -> Iterator[None]:
    """Run PJSIP on a port of 127.0.0.1."""
    with (folder / "errors").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.telephony.sip.pjsua_far_end", str(port), str(folder)],
            cwd=ROOT, env=os.environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            # PJSIP writes lines of its own before it is told where its log is.
            assert any(line == b"ready\n" for line in process.stdout), (folder / "errors").read_text()
            yield
        finally:
            process.communicate(b"end\n", timeout=60)


@pytest.mark.field
@pytest.mark.skipif(not IS_FIELD, reason="Runs with `make field`.")
@pytest.mark.skipif(find_spec("pjsua2") is None, reason="PJSIP is not installed: pip install pjsua2-python.")
def test_twenty_phones_of_pjsip_hear_the_message(tmp_path: Path) -> None:
    _, samples = chirp(SECONDS)
    numbers = [9_841_000_000 + FIRST + place for place in range(len(ENDS))]
    ports = Ports()
    with (
        pjsua(tmp_path, ports.sip),
        sip_iris(tmp_path / "iris", TRUNK.replace("HOST", f"127.0.0.1:{ports.sip}")) as iris,
    ):
        worker = iris.start_trunk_worker("line")
        wait_for(lambda: "ready for" in iris.manage("trunk_status"), seconds=120)
        before = iris.balance()
        created = iris.demo.post(
            "/api/system/campaigns/",
            json={"name": "PJSIP", "services": "PHONE", "individual_number": numbers},
        )
        campaign = created.json()["data"]["details"][0]["id"]
        begun = iris.demo.post(
            f"/api/system/campaigns/{campaign}/begin/", files={"aud_file": ("chirp.wav", as_wav(samples))}
        )
        assert begun.status_code == 200, begun.text
        iris.wait_until(campaign, "Completed", seconds=180)
        rows = {str(row["number"])[-2:]: row for row in iris.numbers(campaign)}
        said = {
            to[-2:]: (cause, digits, text)
            for to, cause, digits, text in iris.rows(
                'SELECT "to", cause, digits, carrier_text FROM telephony_delivery'
            )
        }
        assert {digits: (rows[digits]["status"], *said[digits][:2]) for digits in ENDS} == ENDS, said
        assert before - iris.balance() == sum(row["credit_consumed"] for row in rows.values())
        assert "difference 0" in iris.manage("check_ledger")
        worker.terminate()
        worker.wait(90)
    ports.close()
    heard = {digits: recording(tmp_path / f"{digits}.wav") for digits in (*IN_ONE_PIECE, *HOLDS, "22")}
    for digits in (*IN_ONE_PIECE, *HOLDS):
        found = similarities(heard[digits], samples)
        # Each hold cuts one piece, which is heard in two parts. What was not heard has less than 0.1.
        assert min(found) > 0.1, (digits, found)
        assert sum(one < 0.95 for one in found) <= HOLDS.get(digits, 0), (digits, found)
    found = similarities(heard["22"], samples)
    assert found[0] > 0.5 > 0.2 > found[-1], found


def similarities(heard: array, said: array) -> list[float]:
    """Return for a piece of each half second of `said` its highest correlation with any part of `heard`."""
    recorded, found = np.array(heard, float), []
    energy = np.cumsum(np.concatenate(([0.0], recorded**2)))
    energy = energy[PIECE:] - energy[:-PIECE]
    for begin in range(FIRST_PIECE, len(said) - PIECE, STEP):
        piece = np.array(said[begin : begin + PIECE], float)
        products = np.correlate(recorded, piece, "valid")
        found.append(round(float((products / np.sqrt(energy * (piece @ piece) + 1)).max()), 2))
    return found


def recording(path: Path) -> array:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        return array("h", file.readframes(file.getnframes()))
