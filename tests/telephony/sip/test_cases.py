"""Test what a campaign records of trunks' and phones' behaviour: status, length, playback, credits, the trunk's last word.

All cases are the calls of one campaign, over one trunk, to one scripted far end.
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
from tests.telephony.sip.far_end import FarEnd, ReceivedAudio, correlation
from tests.telephony.sip.line import chirp
from tests.telephony.sip.processes import sip_iris
from tests.telephony.sip.script import (
    answer,
    answer_again,
    hang_up,
    info,
    listen,
    pause,
    pick_up,
    receive,
    refuse,
    reinvite,
    request,
    respond,
    ring,
    scenario,
    sdp,
)

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
OTHER = ";tag=other-phone"
QUIET = 50  # above the samples that A-law makes of silence
Q16 = 'Q.850;cause=16;text="Normal call clearing"'


@dataclass(frozen=True)
class Case:
    """What the far end does, and what the delivery then says. `seconds` and `playback` are (lowest, highest)."""

    steps: list[str]
    status: str
    text: str = ""
    cause: str = ""
    playback: tuple[int, int] | None = None
    seconds: tuple[float, float] | None = None
    digits: str = ""
    is_heard: bool = False  # the phone heard the whole message in one piece
    is_interrupted: bool = False  # it heard it in two pieces


WHOLE = (100, 100)
OTHER_CODEC = "other codec in the call"
LISTENS = [*pick_up(), *listen()]


def held(direction: str, *, seconds: int = 1, **resumed: Any) -> list[str]:
    return [
        *pick_up(),
        pause(1300),
        *reinvite(sdp(direction=direction, version=2)),
        pause(1000 * seconds),
        *reinvite(sdp(version=3, **resumed)),
        *listen(),
    ]


def keys(*bodies: str, content_type: str = "application/dtmf-relay") -> list[str]:
    pressed = [step for body in bodies for step in (info(body, content_type), pause(60))]
    return [*pick_up(), pause(200), *pressed, *listen()]


ALL_EVENTS = [f"Signal={code}\nDuration=160" for code in range(17)]
CASES: dict[str, Case] = {
    "heard to the end": Case(LISTENS, "completed", "200 OK", playback=WHOLE, is_heard=True),
    # Hold and resume. What is lost at a renegotiation is at most a packet or two.
    "held by sendonly": Case(held("sendonly"), "completed", playback=WHOLE, is_interrupted=True),
    "held by inactive": Case(held("inactive"), "completed", playback=WHOLE, is_interrupted=True),
    "held shortly": Case(held("sendonly", seconds=0), "completed", playback=WHOLE, is_interrupted=True),
    "other packet length after a hold": Case(
        held("sendonly", more="    a=ptime:30\n"), "completed", playback=WHOLE, is_interrupted=True
    ),
    "UPDATE in the call": Case(
        [*pick_up(), pause(1300), request("UPDATE", body=sdp(version=2)), *listen()],
        "completed",
        playback=WHOLE,
        is_heard=True,
    ),
    OTHER_CODEC: Case(
        [*pick_up(), pause(1300), *reinvite(sdp(formats="0 101", version=2)), *listen()],
        "completed",
        playback=WHOLE,
    ),
    "packets of 30 ms": Case(
        [*pick_up(sdp(more="    a=ptime:30\n")), *listen()], "completed", playback=WHOLE, is_heard=True
    ),
    # Confirmations.
    "first ACK lost": Case(
        [
            ring(),
            answer(once=True),
            receive("ACK"),
            *[step for _ in range(4) for step in (pause(400), answer_again(), receive("ACK"))],
            *listen(),
        ],
        "completed",
        playback=WHOLE,
    ),
    "two phones of a fork answer": Case(
        [
            ring(),
            respond("180 Ringing", tag=OTHER),
            answer(once=True),
            receive("ACK"),
            pause(200),
            answer_again(tag=OTHER),
            receive("ACK"),
            receive("BYE"),
            respond("200 OK", tag="", once=True),
            *listen(),
        ],
        "completed",
        playback=WHOLE,
    ),
    # Keys by INFO.
    "all events by INFO": Case(keys(*ALL_EVENTS), "completed", playback=WHOLE, digits="0123456789*#ABCD"),
    "INFO in many ways": Case(
        keys("Signal= 5", "signal = 6\nduration = 100", 'Signal="7"', "SIGNAL=*", "Signal=d", "Signal=!"),
        "completed",
        playback=WHOLE,
        digits="567*D",
    ),
    "bare keys by INFO": Case(
        keys("3", "10", "#", "b", "Signal=9\nDuration=250", content_type="application/dtmf"),
        "completed",
        playback=WHOLE,
        digits="3*#B9",
    ),
    # Ends of answered calls.
    "hangs up with a reason": Case(
        [*pick_up(), pause(2200), *hang_up(Q16)],
        "hungup",
        f" s: {Q16}.",
        "cut_off",
        playback=(10, 60),
        seconds=(2.1, 4.0),
    ),
    "hangs up without a reason": Case(
        [*pick_up(), pause(2200), *hang_up()],
        "hungup",
        "The far end hung up after ",
        "cut_off",
        playback=(10, 60),
    ),
    "several reasons in other spelling": Case(
        [*pick_up(), pause(2200), *hang_up("SIP ;cause=200, q.850 ; Cause=31")],
        "hungup",
        "SIP ;cause=200,q.850 ; Cause=31.",
        "cut_off",
    ),
    "short announcement": Case(
        [*pick_up(), pause(500), *hang_up(Q16)],
        "unanswered",
        "fewer than min_heard_seconds.",
        "no_answer",
        playback=(1, 20),
    ),
    "key within the announcement's time": Case(
        [*pick_up(), pause(300), info("Signal=1\nDuration=100"), pause(100), *hang_up()],
        "hungup",
        "The far end hung up",
        "cut_off",
        digits="1",
    ),
    # Answered without sound.
    "no session description": Case(
        [ring(), respond("200 OK"), receive("ACK"), *listen()],
        "failed",
        "Answered, but no sound could be sent: the answer describes no audio.",
        "refused",
        playback=(0, 0),
    ),
    "port 0": Case(
        [*pick_up(sdp(port="0")), *listen()],
        "failed",
        "the answer refuses the audio.",
        "refused",
        playback=(0, 0),
    ),
    "other codec": Case(
        [*pick_up(sdp(formats="9")), *listen()],
        "failed",
        "the answer has none of the codecs that were offered.",
        "refused",
        playback=(0, 0),
    ),
    "session description that cannot be read": Case(
        [ring(), answer("    v=0\n    nonsense\n"), receive("ACK"), *listen()],
        "failed",
        "Answered, but no sound could be sent: the answer refuses the audio.",
        "refused",
    ),
    "on hold until the end": Case(
        [*pick_up(sdp(direction="inactive")), pause(1000), *hang_up()],
        "failed",
        "the line was on hold until the end.",
        "refused",
        playback=(0, 0),
    ),
    "on hold at first": Case(
        [*pick_up(sdp(direction="sendonly")), pause(2500), *reinvite(sdp(version=2)), *listen()],
        "completed",
        playback=WHOLE,
        is_heard=True,
    ),
    # Ends without an answer.
    "two reasons": Case(
        refuse(
            "480 Temporarily Unavailable",
            'Reason: SIP;cause=480\nReason: Q.850 ; cause = "17";text="User, busy"',
        ),
        "unanswered",
        '480 Temporarily Unavailable,SIP;cause=480,Q.850 ; cause = "17";text="User, busy"',
        "busy",
    ),
    "reason in a list": Case(
        refuse("503 Service Unavailable", 'Reason: SIP;cause=503;text="a, Q.850;cause=1", Q.850;cause=19'),
        "unanswered",
        "503 Service Unavailable,SIP;cause=503",
        "no_answer",
    ),
    "rings until the end": Case(
        [ring(), receive("CANCEL"), respond("200 OK", tag="", once=True), pause(50)],
        "unanswered",
        "Not answered in 6 s. The trunk's last response was 180 Ringing.",
        "no_answer",
    ),
    "reason before the end": Case(
        [
            respond("183 Session Progress", headers="Reason: Q.850;cause=1"),
            receive("CANCEL"),
            respond("200 OK", tag="", once=True),
            pause(50),
        ],
        "failed",
        "Not answered in 6 s. The trunk's last response was 183 Session Progress,Q.850;cause=1.",
        "invalid",
    ),
    "redirect to another host": Case(
        refuse("302 Moved Temporarily", "Contact: <sip:+9779841000001@198.51.100.9>"),
        "failed",
        "302 Moved Temporarily. Not followed: 198.51.100.9 is not a host of this trunk.",
        "refused",
    ),
    "redirect without a target": Case(
        refuse("300 Multiple Choices"),
        "failed",
        "300 Multiple Choices. Not followed: it names no number.",
        "refused",
    ),
}


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
    text = scenario({digits_of(name): case.steps for name, case in CASES.items()})
    far_end = FarEnd(home, "cases", text=text)
    with far_end, sip_iris(home, TRUNK.replace("HOST", far_end.host)) as iris:
        worker = iris.start_trunk_worker("line")
        wait_for(lambda: iris.session_status("line").startswith("ready for"), seconds=120)
        before = iris.balance()
        created = iris.demo.post(
            "/api/system/campaigns/",
            json={"name": "Cases", "services": "PHONE", "individual_number": list(numbers.values())},
        )
        campaign = created.json()["data"]["details"][0]["id"]
        begun = iris.demo.post(
            f"/api/system/campaigns/{campaign}/begin/", files={"aud_file": ("chirp.wav", as_wav(samples))}
        )
        assert begun.status_code == 200, begun.text
        iris.wait_until(campaign, "Completed", seconds=180)
        rows = {int(row["number"]): row for row in iris.numbers(campaign)}
        deliveries = {
            int(to[-10:]): rest
            for to, *rest in iris.rows(
                'SELECT "to", carrier_text, cause, seconds::float8, digits FROM telephony_delivery'
            )
        }
        ((recording,),) = iris.rows(
            "SELECT DISTINCT a.name FROM telephony_delivery d JOIN telephony_audio a ON a.id = d.audio_id"
        )
        (path,) = iris.home.rglob(f"{recording}.wav")
        with wave.open(str(path)) as file:
            played = array("h", file.readframes(file.getnframes()))
        assert before - iris.balance() == sum(row["credit_consumed"] for row in rows.values())
        worker.terminate()
        worker.wait(90)
    heard = far_end.heard()
    assert far_end.errors() == ""
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
