"""What a call that was never answered came to: SIP's and Q.850's words into ours."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass, replace

from telephony.carriers.refusals import Meaning
from telephony.models import Cause, DeliveryStatus

UNANSWERED, FAILED = DeliveryStatus.UNANSWERED, DeliveryStatus.FAILED


@dataclass(frozen=True, slots=True)
class Outcome:
    """`meaning` is of a call on which no phone has rung. `uncalled`: surely none has, so it may be made once more."""

    status: DeliveryStatus
    cause: Cause
    meaning: Meaning
    uncalled: bool = False

    @property
    def again(self) -> bool:
        """The trunk did not take the call, and it is made once more."""
        return self.meaning in (Meaning.BUSY, Meaning.TRUNK)


BUSY = Outcome(UNANSWERED, Cause.BUSY, Meaning.RECIPIENT, uncalled=True)
NO_ANSWER = Outcome(UNANSWERED, Cause.NO_ANSWER, Meaning.RECIPIENT)
NEVER_RANG = Outcome(UNANSWERED, Cause.NO_ANSWER, Meaning.DOUBTFUL)
NOT_REACHED = Outcome(UNANSWERED, Cause.NO_ANSWER, Meaning.DOUBTFUL, uncalled=True)
INVALID = Outcome(FAILED, Cause.INVALID, Meaning.RECIPIENT, uncalled=True)
NOT_FOUND = Outcome(FAILED, Cause.INVALID, Meaning.DOUBTFUL, uncalled=True)
REFUSED = Outcome(FAILED, Cause.REFUSED, Meaning.RECIPIENT)
REFUSED_BY_TRUNK = Outcome(FAILED, Cause.REFUSED, Meaning.DOUBTFUL, uncalled=True)
FAILED_IN_TRUNK = Outcome(FAILED, Cause.REFUSED, Meaning.DOUBTFUL)  # perhaps when it had already called
CONGESTED = Outcome(FAILED, Cause.REFUSED, Meaning.BUSY, uncalled=True)
LOCKED_OUT = Outcome(FAILED, Cause.REFUSED, Meaning.TRUNK, uncalled=True)
SILENT = Outcome(FAILED, Cause.LOST, Meaning.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Answer:
    """A final answer to an INVITE: its name, the document that defines it, and what it comes to."""

    name: str
    source: str
    outcome: Outcome


# All that is registered (IANA, Session Initiation Protocol Parameters, Response Codes). Other numbers count as `CLASSES`.
SIP = {
    300: Answer("Multiple Choices", "RFC 3261 §21.3.1", REFUSED_BY_TRUNK),
    301: Answer("Moved Permanently", "RFC 3261 §21.3.2", REFUSED_BY_TRUNK),
    302: Answer("Moved Temporarily", "RFC 3261 §21.3.3", REFUSED_BY_TRUNK),
    305: Answer("Use Proxy", "RFC 3261 §21.3.4", REFUSED_BY_TRUNK),
    380: Answer("Alternative Service", "RFC 3261 §21.3.5", REFUSED_BY_TRUNK),
    400: Answer("Bad Request", "RFC 3261 §21.4.1", REFUSED_BY_TRUNK),
    401: Answer("Unauthorized", "RFC 3261 §21.4.2", LOCKED_OUT),  # to our answer to its challenge
    402: Answer("Payment Required", "RFC 3261 §21.4.3", REFUSED_BY_TRUNK),
    403: Answer("Forbidden", "RFC 3261 §21.4.4", REFUSED_BY_TRUNK),
    404: Answer("Not Found", "RFC 3261 §21.4.5", NOT_FOUND),
    405: Answer("Method Not Allowed", "RFC 3261 §21.4.6", REFUSED_BY_TRUNK),
    406: Answer("Not Acceptable", "RFC 3261 §21.4.7", REFUSED_BY_TRUNK),
    407: Answer("Proxy Authentication Required", "RFC 3261 §21.4.8", LOCKED_OUT),
    408: Answer("Request Timeout", "RFC 3261 §21.4.9", NOT_REACHED),
    410: Answer("Gone", "RFC 3261 §21.4.10", INVALID),
    412: Answer("Conditional Request Failed", "RFC 3903 §11.2.1", REFUSED_BY_TRUNK),
    413: Answer("Request Entity Too Large", "RFC 3261 §21.4.11", REFUSED_BY_TRUNK),
    414: Answer("Request-URI Too Long", "RFC 3261 §21.4.12", REFUSED_BY_TRUNK),
    415: Answer("Unsupported Media Type", "RFC 3261 §21.4.13", REFUSED_BY_TRUNK),
    416: Answer("Unsupported URI Scheme", "RFC 3261 §21.4.14", REFUSED_BY_TRUNK),
    417: Answer("Unknown Resource-Priority", "RFC 4412", REFUSED_BY_TRUNK),
    420: Answer("Bad Extension", "RFC 3261 §21.4.15", REFUSED_BY_TRUNK),
    421: Answer("Extension Required", "RFC 3261 §21.4.16", REFUSED_BY_TRUNK),
    422: Answer("Session Interval Too Small", "RFC 4028 §6", REFUSED_BY_TRUNK),
    423: Answer("Interval Too Brief", "RFC 3261 §21.4.17", REFUSED_BY_TRUNK),
    424: Answer("Bad Location Information", "RFC 6442 §4.3", REFUSED_BY_TRUNK),
    425: Answer("Bad Alert Message", "RFC 8876", REFUSED_BY_TRUNK),
    428: Answer("Use Identity Header", "RFC 8224", REFUSED_BY_TRUNK),
    429: Answer("Provide Referrer Identity", "RFC 3892", REFUSED_BY_TRUNK),
    430: Answer("Flow Failed", "RFC 5626", REFUSED_BY_TRUNK),
    433: Answer("Anonymity Disallowed", "RFC 5079", REFUSED_BY_TRUNK),
    436: Answer("Bad Identity Info", "RFC 8224", REFUSED_BY_TRUNK),
    437: Answer("Unsupported Credential", "RFC 8224", REFUSED_BY_TRUNK),
    438: Answer("Invalid Identity Header", "RFC 8224", REFUSED_BY_TRUNK),
    439: Answer("First Hop Lacks Outbound Support", "RFC 5626", REFUSED_BY_TRUNK),
    440: Answer("Max-Breadth Exceeded", "RFC 5393", REFUSED_BY_TRUNK),
    469: Answer("Bad Info Package", "RFC 6086", REFUSED_BY_TRUNK),
    470: Answer("Consent Needed", "RFC 5360", REFUSED_BY_TRUNK),
    480: Answer("Temporarily Unavailable", "RFC 3261 §21.4.18", NOT_REACHED),
    481: Answer("Call/Transaction Does Not Exist", "RFC 3261 §21.4.19", REFUSED_BY_TRUNK),
    482: Answer("Loop Detected", "RFC 3261 §21.4.20", REFUSED_BY_TRUNK),
    483: Answer("Too Many Hops", "RFC 3261 §21.4.21", REFUSED_BY_TRUNK),
    484: Answer("Address Incomplete", "RFC 3261 §21.4.22", NOT_FOUND),
    485: Answer("Ambiguous", "RFC 3261 §21.4.23", NOT_FOUND),
    486: Answer("Busy Here", "RFC 3261 §21.4.24", BUSY),
    487: Answer("Request Terminated", "RFC 3261 §21.4.25", NOT_REACHED),  # cancelled, by us or on the way
    488: Answer("Not Acceptable Here", "RFC 3261 §21.4.26", REFUSED_BY_TRUNK),
    489: Answer("Bad Event", "RFC 6665", REFUSED_BY_TRUNK),
    491: Answer("Request Pending", "RFC 3261 §21.4.27", REFUSED_BY_TRUNK),
    493: Answer("Undecipherable", "RFC 3261 §21.4.28", REFUSED_BY_TRUNK),
    494: Answer("Security Agreement Required", "RFC 3329", REFUSED_BY_TRUNK),
    500: Answer("Server Internal Error", "RFC 3261 §21.5.1", FAILED_IN_TRUNK),
    501: Answer("Not Implemented", "RFC 3261 §21.5.2", FAILED_IN_TRUNK),
    502: Answer("Bad Gateway", "RFC 3261 §21.5.3", FAILED_IN_TRUNK),
    503: Answer("Service Unavailable", "RFC 3261 §21.5.4", CONGESTED),
    504: Answer("Server Time-out", "RFC 3261 §21.5.5", FAILED_IN_TRUNK),
    505: Answer("Version Not Supported", "RFC 3261 §21.5.6", FAILED_IN_TRUNK),
    513: Answer("Message Too Large", "RFC 3261 §21.5.7", FAILED_IN_TRUNK),
    555: Answer("Push Notification Service Not Supported", "RFC 8599", FAILED_IN_TRUNK),
    580: Answer("Precondition Failure", "RFC 3312", FAILED_IN_TRUNK),
    600: Answer("Busy Everywhere", "RFC 3261 §21.6.1", BUSY),
    603: Answer("Decline", "RFC 3261 §21.6.2", REFUSED),
    604: Answer("Does Not Exist Anywhere", "RFC 3261 §21.6.3", INVALID),
    606: Answer("Not Acceptable", "RFC 3261 §21.6.4", REFUSED),
    607: Answer("Unwanted", "RFC 8197", REFUSED),
    608: Answer("Rejected", "RFC 8688", REFUSED_BY_TRUNK),  # by somebody on the way, before the phone
}
CLASSES = {3: REFUSED_BY_TRUNK, 4: REFUSED_BY_TRUNK, 5: FAILED_IN_TRUNK}
# A phone may have rung for so long unheard: not every gateway says that it rings. Of a call that was given up sooner, no
# phone has rung long enough for anybody to answer.
UNHEARD_RING_SECONDS = 10.0

# ITU-T Q.850, table 1: what the telephone network behind the trunk said, in a Reason header (RFC 3326). It knows better
# than the gateway that had to put it into SIP. What is not here says no more than the SIP status.
Q850 = {
    1: ("Unallocated number", INVALID),
    2: ("No route to transit network", REFUSED_BY_TRUNK),
    3: ("No route to destination", NOT_FOUND),
    17: ("User busy", BUSY),
    18: ("No user responding", NO_ANSWER),
    19: ("No answer from user", NO_ANSWER),
    20: ("Subscriber absent", NO_ANSWER),  # switched off, out of coverage
    21: ("Call rejected", REFUSED),
    22: ("Number changed", INVALID),
    27: ("Destination out of order", NOT_REACHED),
    28: ("Invalid number format", NOT_FOUND),
    34: ("No circuit available", CONGESTED),
    38: ("Network out of order", CONGESTED),
    41: ("Temporary failure", CONGESTED),
    42: ("Switching equipment congestion", CONGESTED),
    44: ("Requested channel not available", CONGESTED),
    47: ("Resource unavailable", CONGESTED),
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

_ERRNO = re.compile(r"\[(\d{1,5})\]$")
_STATUS = re.compile(r"(\d{3})\b")
_Q850 = re.compile(r"Q\.850\s*;(?:[^,]*;)?\s*cause\s*=\s*(\d{1,5})(?!\d)", re.IGNORECASE)
MAX_CHARACTERS = 500  # of a reason that is read: the far end decides how long it is


def outcome_of(text: str, *, rang: bool, transport: str, seconds: float) -> Outcome:
    """The outcome of a call whose last word was `text`, such as `486 Busy Here,Q.850;cause=17`, `seconds` after its INVITE.

    A text without a status is the transport's, such as `Connection refused [111]`: the INVITE never left, or nobody
    answered it, and then nobody knows. After the phone has rung nothing is tried again.
    """
    text = text[:MAX_CHARACTERS]
    status, q850 = _STATUS.match(text), _Q850.search(text)
    if not status:
        number = _ERRNO.search(text)
        surely_unsent = number and _is_unsent(int(number[1]), transport, seconds)
        return CONGESTED if surely_unsent and not rang else SILENT
    code = int(status[1])
    found = SIP[code].outcome if code in SIP else CLASSES.get(code // 100, REFUSED)
    if q850 and found.meaning is not Meaning.TRUNK:
        found = Q850.get(int(q850[1]), ("", found))[1]
    if rang:
        return replace(found, meaning=Meaning.TAKEN, uncalled=False)
    if found.cause == Cause.NO_ANSWER and seconds >= UNHEARD_RING_SECONDS:
        return replace(found, uncalled=False)
    return found


def described(text: str) -> str:
    """The trunk's last words, with the name of a status that it sent without one."""
    status = _STATUS.fullmatch(text.strip())
    answer = SIP.get(int(status[1])) if status else None
    return f"{text.strip()} {answer.name}" if answer else text


def _is_unsent(number: int, transport: str, seconds: float) -> bool:
    bound = LOOKING_UP_SECONDS if number == errno.EDESTADDRREQ else FIRST_SECONDS[transport]
    return number in UNSENT and seconds < bound
