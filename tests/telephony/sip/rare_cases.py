"""What far ends do in calls, and what the delivery then says: behaviours that are legal and rare, or wrong and tolerated."""

from __future__ import annotations

from tests.telephony.sip.cases import WHOLE, Case
from tests.telephony.sip.script import (
    answer,
    answer_again,
    hang_up,
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

ANNOUNCED = respond("183 Session Progress", body=sdp())
UNKNOWN_ATTRIBUTES = "    a=silenceSupp:off - - - -\n    a=candidate:1 1 UDP 1 192.0.2.1 9 typ host\n"
REFER = "Refer-To: <sip:+9779841000099@198.51.100.9>"
# The trunk names another host than the one that it is reached at, and a route back to itself.
ROUTE, STRICT_ROUTE = (
    "Record-Route: <sip:[local_ip]:[local_port];lr>",
    "Record-Route: <sip:[local_ip]:[local_port]>",
)
NO_PORT = "<sip:phone@[local_ip]>"

RARE_CASES: dict[str, Case] = {
    # Before the answer.
    "announcement, then the answer": Case(
        [ANNOUNCED, pause(1200), answer(), receive("ACK"), *listen()],
        "completed",
        playback=WHOLE,
        is_heard=True,
    ),
    "180 after 183": Case(
        [ANNOUNCED, pause(300), ring(), pause(300), answer(), receive("ACK"), *listen()],
        "completed",
        playback=WHOLE,
        is_heard=True,
    ),
    "three provisional responses with sessions of their own": Case(
        [
            ANNOUNCED,
            respond("183 Session Progress", body=sdp(version=2), tag=";tag=gateway"),
            respond("199 Early Dialog Terminated", tag=";tag=gateway"),
            respond("181 Call Is Being Forwarded"),
            respond("182 Queued"),
            answer(sdp(version=3)),
            receive("ACK"),
            *listen(),
        ],
        "completed",
        playback=WHOLE,
    ),
    "announcement, then busy": Case(
        [ANNOUNCED, pause(500), *refuse("486 Busy Here", "Reason: Q.850;cause=17")],
        "unanswered",
        "486 Busy Here,Q.850;cause=17",
        "busy",
    ),
    "session timer too small": Case(
        refuse("422 Session Interval Too Small", "Min-SE: 1800"),
        "failed",
        "422 Session Interval Too Small",
        "refused",
    ),
    "request pending": Case(refuse("491 Request Pending"), "failed", "491 Request Pending", "refused"),
    "extension required": Case(
        refuse("421 Extension Required", "Require: 100rel"), "failed", "421 Extension Required", "refused"
    ),
    "answer crosses the cancellation": Case(
        [
            ring(),
            receive("CANCEL"),
            respond("200 OK", tag="", once=True),
            answer_again(),
            receive("ACK"),
            receive("BYE"),
            respond("200 OK", tag="", once=True),
        ],
        "unanswered",
        "Not answered in 6 s.",
        "no_answer",
    ),
    "cancellation is refused": Case(
        [
            ring(),
            receive("CANCEL"),
            respond("481 Call/Transaction Does Not Exist", tag="", once=True),
            pause(50),
        ],
        "unanswered",
        "Not answered in 6 s.",
        "no_answer",
    ),
    # The answer.
    "session description only in the provisional response": Case(
        [ANNOUNCED, pause(300), respond("200 OK"), receive("ACK"), *listen()],
        "completed",
        playback=WHOLE,
        is_heard=True,
    ),
    "ringing without a tag": Case(
        [respond("180 Ringing", tag=""), answer(), receive("ACK"), *listen()],
        "completed",
        playback=WHOLE,
    ),
    "another codec, comfort noise": Case(
        [*pick_up(sdp(formats="0 13 101")), *listen()], "completed", playback=WHOLE
    ),
    "phone whose RTP port is closed": Case([*pick_up(sdp(port="9")), *listen()], "completed", playback=WHOLE),
    "answer with a session timer": Case(
        [
            ring(),
            respond("200 OK", headers="Require: timer\nSession-Expires: 90;refresher=uac", body=sdp()),
            receive("ACK"),
            *listen(),
        ],
        "completed",
        playback=WHOLE,
        is_heard=True,
    ),
    "other code than 200": Case(
        [ring(), respond("202 Accepted", body=sdp()), receive("ACK"), *listen()], "completed", playback=WHOLE
    ),
    "contact without a port": Case(
        [ring(), respond("200 OK", headers=ROUTE, contact=NO_PORT, body=sdp()), receive("ACK"), *listen()],
        "completed",
        playback=WHOLE,
    ),
    "route without lr": Case(
        [ring(), respond("200 OK", headers=STRICT_ROUTE, body=sdp()), receive("ACK"), *listen()],
        "completed",
        playback=WHOLE,
    ),
    "unknown attributes": Case(
        [
            *pick_up(sdp(more=UNKNOWN_ATTRIBUTES)),
            *listen(),
        ],
        "completed",
        playback=WHOLE,
        is_heard=True,
    ),
    "names in capitals and short forms": Case(
        [
            ring(),
            respond("200 OK", headers='X-Carrier: far\nk: timer\nServer: far "end" 1.0', body=sdp()),
            receive("ACK"),
            *listen(),
        ],
        "completed",
        playback=WHOLE,
    ),
    # In the call.
    "session refreshed by UPDATE": Case(
        [*pick_up(), pause(600), request("UPDATE", headers="Session-Expires: 1800;refresher=uas"), *listen()],
        "completed",
        playback=WHOLE,
        is_heard=True,
    ),
    "RTP moves to another port": Case(
        [*pick_up(), pause(1300), *reinvite(sdp(port="[echo_port]", version=2)), *listen()],
        "completed",
        playback=WHOLE,
    ),
    "our goodbye finds no call": Case(
        [*pick_up(), receive("BYE"), respond("481 Call/Transaction Does Not Exist", tag="", once=True)],
        "completed",
        playback=WHOLE,
    ),
    "held by the null address": Case(
        [
            *pick_up(),
            pause(1300),
            *reinvite(sdp(address="0.0.0.0", version=2)),
            pause(1000),
            *reinvite(sdp(version=3)),
            *listen(),
        ],
        "completed",
        playback=WHOLE,
        is_interrupted=True,
    ),
    "held by UPDATE": Case(
        [
            *pick_up(),
            pause(1300),
            request("UPDATE", body=sdp(direction="sendonly", version=2)),
            pause(1000),
            request("UPDATE", body=sdp(version=3)),
            *listen(),
        ],
        "completed",
        playback=WHOLE,
        is_interrupted=True,
    ),
    "re-INVITE without an offer": Case(
        [*pick_up(), pause(1300), *reinvite("", confirmed=sdp(version=2)), *listen()],
        "completed",
        playback=WHOLE,
    ),
    "re-INVITE for a fax": Case(
        [
            *pick_up(),
            pause(600),
            *reinvite(
                sdp(version=2).replace("m=audio [rtp_port] RTP/AVP 8 101", "m=image [rtp_port] udptl t38"),
                status="488",
            ),
            *listen(),
        ],
        "completed",
        playback=WHOLE,
        is_heard=True,
    ),
    "two re-INVITEs at once": Case(
        [*pick_up(), pause(600), *reinvite(sdp(version=2)), *reinvite(sdp(version=3)), *listen()],
        "completed",
        playback=WHOLE,
    ),
    "OPTIONS in the call": Case(
        [*pick_up(), pause(600), request("OPTIONS"), *listen()], "completed", playback=WHOLE, is_heard=True
    ),
    "transfer is not followed": Case(
        [*pick_up(), pause(600), request("REFER", headers=REFER, status="202"), *listen()],
        "completed",
        playback=WHOLE,
    ),
    "unknown request in the call": Case(
        [*pick_up(), pause(600), request("PUBLISH", status="501"), *listen()], "completed", playback=WHOLE
    ),
    "hangs up with a SIP reason": Case(
        [*pick_up(), pause(2200), *hang_up('SIP;cause=200;text="Call completed elsewhere"')],
        "hungup",
        'SIP;cause=200;text="Call completed elsewhere".',
        "cut_off",
    ),
    "hangs up at once": Case(
        [*pick_up(), *hang_up("Q.850;cause=127")],
        "unanswered",
        "Q.850;cause=127.",
        "no_answer",
        playback=(0, 5),
    ),
}
