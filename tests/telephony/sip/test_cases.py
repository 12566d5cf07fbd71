"""Test what a campaign records of trunks' and phones' behaviour: status, length, playback, credits, the trunk's last word.

All cases are calls of two campaigns over one trunk, each to a scripted far end: SIPp reads scenarios of 64 KB at most.
"""

from __future__ import annotations

import io
import re
import wave
from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.live import wait_for
from tests.telephony.sip.cases import OTHER_CODEC, USUAL_CASES
from tests.telephony.sip.far_end import FarEnd, Ports, ReceivedAudio, correlation
from tests.telephony.sip.line import chirp
from tests.telephony.sip.processes import SipIris, sip_iris
from tests.telephony.sip.rare_cases import RARE_CASES
from tests.telephony.sip.script import scenario

SECONDS = 4.0  # of the message
MIN_HEARD_SECONDS = 0.8
TRUNK = f"""
[carriers.line]
BACKEND = "telephony.carriers.sip.SipCarrier"
CHANNELS = 100

[carriers.line.OPTIONS]
host = "HOST"
interface = "127.0.0.1"
rtp_ports = "20000-40000"
ring_seconds = 6
lead_seconds = 0.2
tail_seconds = 0.2
min_heard_seconds = {MIN_HEARD_SECONDS}
"""
QUIET = 50  # above the samples that A-law makes of silence
CASES = {**USUAL_CASES, **RARE_CASES}


def digits_of(name: str) -> str:
    return f"{[*CASES].index(name) + 11:02d}"


@dataclass(frozen=True)
class Outcome:
    row: dict[str, Any]
    text: str
    cause: str
    seconds: float | None
    digits: str
    audio: ReceivedAudio | None
    recording: array


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    home: Path = tmp_path_factory.mktemp("cases")
    _, samples = chirp(SECONDS)
    numbers = {name: 9_841_000_000 + int(digits_of(name)) for name in CASES}
    rows: dict[int, dict[str, Any]] = {}
    heard: dict[str, ReceivedAudio] = {}
    ports = Ports()
    with sip_iris(home, TRUNK.replace("HOST", f"127.0.0.1:{ports.sip}")) as iris:
        worker = iris.start_trunk_worker("line")
        wait_for(lambda: iris.session_status("line").startswith("ready for"), seconds=120)
        before = iris.balance()
        for group, cases in (("usual", USUAL_CASES), ("rare", RARE_CASES)):
            text = scenario({digits_of(name): case.steps for name, case in cases.items()})
            far_end = FarEnd(home, group, text=text, ports=ports)
            with far_end:
                rows |= call(iris, [numbers[name] for name in cases], samples)
                if group == "rare":
                    worker.terminate()
                    worker.wait(90)
            heard |= far_end.heard()
            assert far_end.errors() == ""
        deliveries = {
            int(to[-10:]): rest
            for to, *rest in iris.rows(
                'SELECT "to", carrier_text, cause, seconds::float8, digits FROM telephony_delivery'
            )
        }
        recording = iris.rows(
            "SELECT a.name FROM telephony_delivery d JOIN telephony_audio a ON a.id = d.audio_id LIMIT 1"
        )[0][0]
        (path,) = iris.home.rglob(f"{recording}.wav")
        with wave.open(str(path)) as file:
            played = array("h", file.readframes(file.getnframes()))
        assert before - iris.balance() == sum(row["credit_consumed"] for row in rows.values())
        assert "difference 0" in iris.manage("check_ledger")
    ports.close()
    return {
        name: Outcome(
            row=rows[number],
            text=deliveries[number][0],
            cause=deliveries[number][1],
            seconds=deliveries[number][2],
            digits=deliveries[number][3],
            audio=heard.get(f"+977{number}"),
            recording=played,
        )
        for name, number in numbers.items()
    }


def call(iris: SipIris, numbers: list[int], samples: array) -> dict[int, dict[str, Any]]:
    """Call these numbers in one campaign. Return what the API says of each of them when it has ended."""
    created = iris.demo.post(
        "/api/system/campaigns/",
        json={"name": "Cases", "services": "PHONE", "individual_number": numbers},
    )
    campaign = created.json()["data"]["details"][0]["id"]
    begun = iris.demo.post(
        f"/api/system/campaigns/{campaign}/begin/", files={"aud_file": ("chirp.wav", as_wav(samples))}
    )
    assert begun.status_code == 200, begun.text
    iris.wait_until(campaign, "Completed", seconds=180)
    return {int(row["number"]): row for row in iris.numbers(campaign)}


def as_wav(samples: array) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(samples.tobytes())
    return file.getvalue()


@pytest.mark.parametrize("name", CASES)
def test_delivery_says_what_the_far_end_did(name: str, outcomes: dict[str, Outcome]) -> None:
    case, outcome = CASES[name], outcomes[name]
    assert (outcome.row["status"], outcome.cause) == (case.status, case.cause), outcome.text
    assert case.text in outcome.text
    assert not re.search(r"\[\d+\]", outcome.text)  # no number of an error of this machine
    assert outcome.digits == case.digits
    assert (outcome.row["credit_consumed"] > 0) == (case.status in ("completed", "hungup"))
    if case.playback is not None:
        assert case.playback[0] <= outcome.row["playback"] <= case.playback[1]
    if case.seconds is not None:
        assert outcome.seconds is not None
        assert case.seconds[0] <= outcome.seconds <= case.seconds[1]


def test_phone_hears_the_recording(outcomes: dict[str, Outcome]) -> None:
    audio, recording = outcomes["heard to the end"].audio, outcomes["heard to the end"].recording
    assert audio is not None
    assert correlation(audio.samples, recording[8_000:16_000]) > 0.99


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.is_heard])
def test_phone_hears_the_message_in_one_piece(name: str, outcomes: dict[str, Outcome]) -> None:
    audio = outcomes[name].audio
    assert audio is not None
    # The same codec makes the same samples.
    assert message_of(outcomes).tobytes() in audio.samples.tobytes()


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.is_interrupted])
def test_message_goes_on_after_an_interruption_where_it_was(name: str, outcomes: dict[str, Outcome]) -> None:
    message, audio = message_of(outcomes), outcomes[name].audio
    assert audio is not None
    heard = audio.samples
    begin = heard.tobytes().index(message[:1_600].tobytes()) // 2
    first = next((n for n, sample in enumerate(message) if heard[begin + n] != sample), len(message))
    end = heard.tobytes().rindex(message[-1_600:].tobytes()) // 2 + 1_600
    last = next(n for n, sample in enumerate(reversed(message)) if heard[end - 1 - n] != sample)
    assert first < len(message)  # it was interrupted
    assert last > 1_600
    # What the stack drops when it is told to hold is not repeated, which is more the busier this machine is.
    assert -0.1 < (len(message) - last - first) / 8000 < 1.0


def test_message_goes_on_in_another_codec(outcomes: dict[str, Outcome]) -> None:
    message, audio = message_of(outcomes), outcomes[OTHER_CODEC].audio
    assert audio is not None
    begin = audio.samples.tobytes().index(message[:1_600].tobytes()) // 2
    rest = audio.samples[begin + len(message) - 8_320 : begin + len(message) + 320]
    assert rest.tobytes().find(message[-8_000:].tobytes()) == -1  # it has other samples
    assert correlation(rest, message[-8_000:], frame=8) > 0.99


def message_of(outcomes: dict[str, Outcome]) -> array:
    """Return the message as the phone heard it that was left alone."""
    audio = outcomes["heard to the end"].audio
    assert audio is not None
    first = next(place for place, sample in enumerate(audio.samples) if abs(sample) > QUIET)
    return audio.samples[first : first + int(8000 * (SECONDS - 0.3))]
