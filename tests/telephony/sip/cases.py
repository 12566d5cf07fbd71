"""What far ends do in calls, and what the delivery then says: the usual behaviours of trunks, PBXs and phones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
    sdp,
)

OTHER = ";tag=other-phone"
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
USUAL_CASES: dict[str, Case] = {
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
        [*pick_up(), pause(900), *hang_up(Q16)],
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
