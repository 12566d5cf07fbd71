"""What a call that was never answered came to: SIP's and Q.850's words into ours."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass

from telephony.models import Cause, DeliveryStatus

UNANSWERED, FAILED = DeliveryStatus.UNANSWERED, DeliveryStatus.FAILED


@dataclass(frozen=True, slots=True)
class Outcome:
    """`again`: the trunk did not take the call, nobody's phone has rung, and it may be made once more.

    `general`: a refusal that may be meant for whatever we call, and not for this call; `uncalled`: no phone has rung for it.
    """

    status: DeliveryStatus
    cause: Cause
    again: bool = False
    misconfigured: bool = False
    general: bool = False
    uncalled: bool = False


BUSY = Outcome(UNANSWERED, Cause.BUSY)
NO_ANSWER = Outcome(UNANSWERED, Cause.NO_ANSWER)
INVALID = Outcome(FAILED, Cause.INVALID)
REFUSED = Outcome(FAILED, Cause.REFUSED)
REFUSED_BY_TRUNK = Outcome(FAILED, Cause.REFUSED, general=True, uncalled=True)
FAILED_IN_TRUNK = Outcome(FAILED, Cause.REFUSED, general=True)  # perhaps when it had already called
CONGESTED = Outcome(FAILED, Cause.REFUSED, again=True)
LOCKED_OUT = Outcome(FAILED, Cause.REFUSED, again=True, misconfigured=True)
SILENT = Outcome(FAILED, Cause.LOST)

# RFC 3261 section 21. What is not here was refused: by the trunk (402, 403, 488, …), in it (500, 502, 504, …), or by the
# person and their phone (603, …).
SIP = {
    401: LOCKED_OUT,  # a second time: our answer to the challenge was wrong
    404: INVALID,
    407: LOCKED_OUT,
    408: NO_ANSWER,
    410: INVALID,
    480: NO_ANSWER,
    484: INVALID,
    486: BUSY,
    487: NO_ANSWER,  # cancelled, by us or on the way
    503: CONGESTED,
    600: BUSY,
    604: INVALID,
}

# ITU-T Q.850: what the telephone network behind the trunk said, in a Reason header (RFC 3326). It knows better than
# the gateway that had to put it into SIP. What is not here says no more than the SIP status.
Q850 = {
    1: INVALID,  # unallocated number
    3: INVALID,  # no route to destination
    17: BUSY,
    18: NO_ANSWER,  # no user responding
    19: NO_ANSWER,  # alerted, no answer
    20: NO_ANSWER,  # switched off, out of coverage
    21: REFUSED,  # call rejected
    22: INVALID,  # number changed
    28: INVALID,  # incomplete number
    34: CONGESTED,  # no circuit
    42: CONGESTED,  # switching equipment
    44: CONGESTED,  # requested channel not available
}

# What keeps an INVITE from leaving: the trunk's port is closed, no way leads there, its name is unknown. Over TCP and TLS
# only a connection that is being made ends so.
UNSENT = {
    errno.ECONNREFUSED,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.ENETDOWN,
    errno.EADDRNOTAVAIL,
    errno.EDESTADDRREQ,
}
# But the stack says the same when its first INVITE has left, and the next one could not. Over UDP it sends it again after
# 0.5 s (RFC 3261, T1); to the next address of the trunk, after 32 s of silence (timer B).
FIRST_SECONDS = {"udp": 0.4, "tcp": 30.0, "tls": 30.0}
LOOKING_UP_SECONDS = 30.0

_ERRNO = re.compile(r"\[(\d+)\]$")
_STATUS = re.compile(r"(\d{3})\b")
_Q850 = re.compile(r"Q\.850\s*;(?:[^,]*;)?\s*cause\s*=\s*(\d+)", re.IGNORECASE)


def outcome_of(text: str, *, rang: bool, transport: str, seconds: float) -> Outcome:
    """The outcome of a call whose last word was `text`, such as `486 Busy Here,Q.850;cause=17`, `seconds` after its INVITE.

    A text without a status is the transport's, such as `Connection refused [111]`: the INVITE never left, or nobody
    answered it, and then nobody knows. After the phone has rung nothing is tried again.
    """
    status, q850 = _STATUS.match(text), _Q850.search(text)
    if not status:
        number = _ERRNO.search(text)
        surely_unsent = number and _is_unsent(int(number[1]), transport, seconds)
        return CONGESTED if surely_unsent and not rang else SILENT
    found = SIP.get(int(status[1])) or _refusal(int(status[1]))
    if q850 and not found.misconfigured:
        found = Q850.get(int(q850[1]), found)
    if (found.again or found.general) and rang:
        return REFUSED
    return found


def _is_unsent(number: int, transport: str, seconds: float) -> bool:
    bound = LOOKING_UP_SECONDS if number == errno.EDESTADDRREQ else FIRST_SECONDS[transport]
    return number in UNSENT and seconds < bound


def _refusal(status: int) -> Outcome:
    if 400 <= status < 500:
        return REFUSED_BY_TRUNK
    return FAILED_IN_TRUNK if 500 <= status < 600 else REFUSED
