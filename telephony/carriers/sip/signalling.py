"""Store the SIP messages of each call, and acknowledge the 200 responses to an INVITE that the stack does not acknowledge.

RFC 3261, §13.2.2.4: each repetition of a 200 gets its ACK again, because the first may be lost. The 200 of another phone,
which a forking proxy rang as well, gets an ACK and a BYE. The stack does neither (libre 4.10: `sipsess_ack_again` sends an
empty packet, because it keeps the wrong buffer, and a 200 with another tag finds no dialog).
"""

from __future__ import annotations

import re
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from telephony.carriers.sip.messages import SipMessage
from telephony.carriers.sip.pressed_keys import key_in

# How long a call is remembered after its end. A far end repeats a 200 for 32 s (RFC 3261, 64 times T1).
KEEP_SECONDS = 70.0
MAX_CALLS = 5_000
# When the BYE to another phone is repeated over UDP, in seconds after the first one (RFC 3261, timer E).
BYE_REPEATS = (0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5)

_BRANCH = re.compile(rb"z9hG4bK[^;,\s]*")


@dataclass(slots=True)
class CallSignalling:
    """The SIP messages that the far end has sent in one call.

    `final` is the final response to the latest INVITE, `progress` its latest provisional response, `goodbye` the far end's
    BYE. `came_from` is the address that the latest response came from.
    """

    progress: SipMessage | None = None
    final: SipMessage | None = None
    goodbye: SipMessage | None = None
    came_from: str = ""
    our_tag: str = ""
    # The ACKs that were sent, by CSeq and the far end's tag: the packet and its destination.
    acks: dict[tuple[str, str], tuple[bytes, Peer]] = field(default_factory=dict)
    byes: dict[str, Bye] = field(default_factory=dict)  # to phones of a fork, by their tag
    last_info: str = ""  # CSeq of the latest INFO, because a far end repeats it if our 200 is lost


@dataclass(frozen=True, slots=True)
class Peer:
    """Where a packet goes to or comes from: the stack's number of the transport, its own address structure, and the host."""

    transport: int
    address: bytes
    host: str


@dataclass(slots=True)
class Bye:
    packet: bytes
    peer: Peer
    branch: str
    answered: bool = False


Send = Callable[[bytes, Peer], None]


class Signalling:
    """Reads every SIP message. The stack's thread calls it; `of` may be called from any thread."""

    def __init__(
        self, *, send: Send, on_key: Callable[[str, str], object], later: Callable[..., object]
    ) -> None:
        """Prepare. `send` sends a packet; `on_key` gets a Call-ID and a key; `later` calls a function after some seconds."""
        self._send = send
        self._on_key = on_key
        self._later = later
        self._calls: dict[str, CallSignalling] = {}
        self._ended: deque[tuple[float, str]] = deque()  # when (monotonic), and the Call-ID

    def end(self, call_id: str) -> None:
        """Forget a call after some time. Any thread may call it."""
        self._ended.append((time.monotonic(), call_id))

    def of(self, call_id: str) -> CallSignalling:
        """Return the messages of a call; an empty `CallSignalling` if there are none."""
        return self._calls.get(call_id) or CallSignalling()

    def on_sent(self, raw: bytes, message: SipMessage, peer: Peer) -> None:
        """Note a message that the stack sends."""
        if message.status:
            return
        known = self._known(message)
        if message.method == "INVITE" and not message.to_tag:
            # The INVITE is new, or repeated with a password, or sent to the trunk's next address.
            known = known or self._add(message)
            known.final, known.our_tag = None, message.from_tag
        elif message.method == "ACK" and known is not None:
            known.acks[message.sequence, message.to_tag] = raw, peer

    def on_received(self, message: SipMessage, peer: Peer) -> None:
        """Note a message from the far end, before the stack reads it."""
        known = self._known(message)
        if known is None:
            return
        if message.status and message.method == "INVITE":
            known.came_from = peer.host
            if message.status < 200:
                known.progress = message
            elif message.status >= 300 or known.final is None:
                known.final = message
        elif message.status and message.method == "BYE":
            for bye in known.byes.values():
                bye.answered = bye.answered or bye.branch in message.get("via")
        elif message.method == "BYE" and known.goodbye is None and _is_within(message, known):
            known.goodbye = message

    def confirm(self, message: SipMessage, peer: Peer) -> bool:
        """Confirm a 2xx to an INVITE whose transaction has ended. Return whether the response needs nothing further."""
        known = self._known(message)
        if known is not None and message.method == "BYE":
            return any(bye.branch in message.get("via") for bye in known.byes.values())
        if known is None or message.method != "INVITE" or not 200 <= message.status < 300:
            return False
        if ack := known.acks.get((message.sequence, message.to_tag)):
            packet, peer = ack
            self._send(_BRANCH.sub(_new_branch().encode(), packet, count=1), peer)
            return True
        tag = message.to_tag
        if tag not in known.byes:
            packet, branch = _request("BYE", message, sequence=int(message.sequence or 0) + 1)
            known.byes[tag] = Bye(packet, peer, branch)
            for seconds in BYE_REPEATS:
                self._later(seconds, self._repeat_bye, known.byes[tag])
        self._send(_request("ACK", message, sequence=int(message.sequence or 0))[0], peer)
        self._repeat_bye(known.byes[tag])
        return True

    def take_info(self, message: SipMessage) -> bool:
        """Report the key of an INFO request. Return whether the request is to be confirmed with 200.

        An INFO without a body asks only whether the call is still there (RFC 2976, §2.2).
        """
        known = self._known(message)
        if known is None or message.method != "INFO" or known.goodbye or not _is_within(message, known):
            return False
        key = key_in(message)
        if key is None:
            return not message.body.strip()
        if message.get("cseq") != known.last_info:
            known.last_info = message.get("cseq")
            if key:
                self._on_key(message.call_id, key)
        return True

    def _repeat_bye(self, bye: Bye) -> None:
        if not bye.answered:
            self._send(bye.packet, bye.peer)

    def _known(self, message: SipMessage) -> CallSignalling | None:
        return self._calls.get(message.call_id)

    def _add(self, message: SipMessage) -> CallSignalling:
        """Begin a call, and forget calls that ended long ago."""
        now = time.monotonic()
        while self._ended and now - self._ended[0][0] > KEEP_SECONDS:
            self._calls.pop(self._ended.popleft()[1], None)
        if len(self._calls) >= MAX_CALLS:
            del self._calls[next(iter(self._calls))]
        added = self._calls[message.call_id] = CallSignalling()
        return added


def _is_within(request: SipMessage, call: CallSignalling) -> bool:
    """Return whether a request is from the phone that has answered, and not from another one of a fork."""
    answer = call.final if call.final is not None and 200 <= call.final.status < 300 else None
    return request.to_tag == call.our_tag and (
        answer is None
        or answer.to_tag in ("", request.from_tag)  # far ends of the old standard answer without a tag
    )


def _request(method: str, answer: SipMessage, *, sequence: int) -> tuple[bytes, str]:
    """Return a request to the phone that sent this 2xx, and the branch of its Via header."""
    branch = _new_branch()
    sent_by = answer.get("via").partition(";")[0]
    routes = "".join(f"Route: {route}\r\n" for route in reversed(answer.values("record-route")))
    target = next(iter(answer.contacts()), "") or _address(answer.get("to"))
    lines = (
        f"{method} {target} SIP/2.0\r\nVia: {sent_by};branch={branch};rport\r\n{routes}Max-Forwards: 70\r\n"
        f"From: {answer.get('from')}\r\nTo: {answer.get('to')}\r\nCall-ID: {answer.call_id}\r\n"
        f"CSeq: {sequence} {method}\r\nContent-Length: 0\r\n\r\n"
    )
    return lines.encode(), branch


def _new_branch() -> str:
    """Return the branch of a new transaction. Each ACK of a 2xx is a transaction of its own (RFC 3261, §17.1.1.3)."""
    return f"z9hG4bK{secrets.token_hex(8)}"


def _address(header: str) -> str:
    found = re.search(r"<([^>]*)>", header)
    return found[1] if found else header.partition(";")[0].strip()
