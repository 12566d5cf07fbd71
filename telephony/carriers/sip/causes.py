"""What a call that was never answered came to: SIP's and Q.850's words into ours."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass

from telephony.models import Cause, DeliveryStatus

UNANSWERED, FAILED = DeliveryStatus.UNANSWERED, DeliveryStatus.FAILED


@dataclass(frozen=True, slots=True)
class Outcome:
    """`again`: the trunk did not take the call, nobody's phone has rung, and it may be made once more."""

    status: DeliveryStatus
    cause: Cause
    again: bool = False
    misconfigured: bool = False


BUSY = Outcome(UNANSWERED, Cause.BUSY)
NO_ANSWER = Outcome(UNANSWERED, Cause.NO_ANSWER)
INVALID = Outcome(FAILED, Cause.INVALID)
REFUSED = Outcome(FAILED, Cause.REFUSED)
CONGESTED = Outcome(FAILED, Cause.REFUSED, again=True)
LOCKED_OUT = Outcome(FAILED, Cause.REFUSED, again=True, misconfigured=True)
SILENT = Outcome(FAILED, Cause.LOST)

# RFC 3261 section 21. What is not here was refused: 403, 488, 500, 603, …
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

# What keeps an INVITE from leaving at all: the trunk's port is closed, no way leads there, its name is unknown.
UNSENT = {
    errno.ECONNREFUSED,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.ENETDOWN,
    errno.EADDRNOTAVAIL,
    errno.EDESTADDRREQ,
}

_ERRNO = re.compile(r"\[(\d+)\]$")
_STATUS = re.compile(r"(\d{3})\b")
_Q850 = re.compile(r"Q\.850\s*;(?:[^,]*;)?\s*cause\s*=\s*(\d+)", re.IGNORECASE)


def outcome_of(text: str, *, rang: bool) -> Outcome:
    """The outcome of a call whose last word was `text`, such as `486 Busy Here,Q.850;cause=17`.

    A text without a status is the transport's, such as `Connection refused [111]`: the INVITE never left, or nobody
    answered it, and then nobody knows. After the phone has rung nothing is tried again.
    """
    status, q850 = _STATUS.match(text), _Q850.search(text)
    if not status:
        number = _ERRNO.search(text)
        return CONGESTED if number and int(number[1]) in UNSENT and not rang else SILENT
    found = SIP.get(int(status[1]), REFUSED)
    if q850 and not found.misconfigured:
        found = Q850.get(int(q850[1]), found)
    if found.again and rang:
        return REFUSED
    return found
