"""Translate SIP statuses and Q.850 causes of unanswered calls into delivery statuses and causes."""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from telephony.carriers.refusals import Meaning
from telephony.carriers.sip.messages import parameters_of, reasons_in
from telephony.models import Cause, DeliveryStatus

UNANSWERED, FAILED = DeliveryStatus.UNANSWERED, DeliveryStatus.FAILED


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a call that was not answered.

    `meaning` says what the response concerns, such as the trunk or the recipient, if no phone has rung. `did_not_ring` means
    that certainly no phone rang, so the call may be retried.
    """

    status: DeliveryStatus
    cause: Cause
    meaning: Meaning
    did_not_ring: bool = False

    @property
    def again(self) -> bool:
        """Return whether the call is retried, because the trunk did not accept it."""
        return self.meaning in (Meaning.BUSY, Meaning.TRUNK)


BUSY = Outcome(UNANSWERED, Cause.BUSY, Meaning.RECIPIENT, did_not_ring=True)
NO_ANSWER = Outcome(UNANSWERED, Cause.NO_ANSWER, Meaning.RECIPIENT)
NEVER_RANG = Outcome(UNANSWERED, Cause.NO_ANSWER, Meaning.DOUBTFUL)
NOT_REACHED = Outcome(UNANSWERED, Cause.NO_ANSWER, Meaning.DOUBTFUL, did_not_ring=True)
INVALID = Outcome(FAILED, Cause.INVALID, Meaning.RECIPIENT, did_not_ring=True)
NOT_FOUND = Outcome(FAILED, Cause.INVALID, Meaning.DOUBTFUL, did_not_ring=True)
REFUSED = Outcome(FAILED, Cause.REFUSED, Meaning.RECIPIENT)
REFUSED_BY_TRUNK = Outcome(FAILED, Cause.REFUSED, Meaning.DOUBTFUL, did_not_ring=True)
FAILED_IN_TRUNK = Outcome(FAILED, Cause.REFUSED, Meaning.DOUBTFUL)  # a phone may have rung before the failure
CONGESTED = Outcome(FAILED, Cause.REFUSED, Meaning.BUSY, did_not_ring=True)
LOCKED_OUT = Outcome(FAILED, Cause.REFUSED, Meaning.TRUNK, did_not_ring=True)
SILENT = Outcome(FAILED, Cause.LOST, Meaning.UNKNOWN)


@dataclass(frozen=True, slots=True)
class FinalResponse:
    """A final SIP response to an INVITE: its name, the document that defines it, and the outcome of the call."""

    name: str
    source: str
    outcome: Outcome


# All registered codes (IANA, Session Initiation Protocol Parameters, Response Codes). For the others see OUTCOMES_BY_CLASS.
SIP_RESPONSES = {
    300: FinalResponse("Multiple Choices", "RFC 3261 §21.3.1", REFUSED_BY_TRUNK),
    301: FinalResponse("Moved Permanently", "RFC 3261 §21.3.2", REFUSED_BY_TRUNK),
    302: FinalResponse("Moved Temporarily", "RFC 3261 §21.3.3", REFUSED_BY_TRUNK),
    305: FinalResponse("Use Proxy", "RFC 3261 §21.3.4", REFUSED_BY_TRUNK),
    380: FinalResponse("Alternative Service", "RFC 3261 §21.3.5", REFUSED_BY_TRUNK),
    400: FinalResponse("Bad Request", "RFC 3261 §21.4.1", REFUSED_BY_TRUNK),
    401: FinalResponse("Unauthorized", "RFC 3261 §21.4.2", LOCKED_OUT),  # the trunk rejected our digest
    402: FinalResponse("Payment Required", "RFC 3261 §21.4.3", REFUSED_BY_TRUNK),
    403: FinalResponse("Forbidden", "RFC 3261 §21.4.4", REFUSED_BY_TRUNK),
    404: FinalResponse("Not Found", "RFC 3261 §21.4.5", NOT_FOUND),
    405: FinalResponse("Method Not Allowed", "RFC 3261 §21.4.6", REFUSED_BY_TRUNK),
    406: FinalResponse("Not Acceptable", "RFC 3261 §21.4.7", REFUSED_BY_TRUNK),
    407: FinalResponse("Proxy Authentication Required", "RFC 3261 §21.4.8", LOCKED_OUT),
    408: FinalResponse("Request Timeout", "RFC 3261 §21.4.9", NOT_REACHED),
    410: FinalResponse("Gone", "RFC 3261 §21.4.10", INVALID),
    412: FinalResponse("Conditional Request Failed", "RFC 3903 §11.2.1", REFUSED_BY_TRUNK),
    413: FinalResponse("Request Entity Too Large", "RFC 3261 §21.4.11", REFUSED_BY_TRUNK),
    414: FinalResponse("Request-URI Too Long", "RFC 3261 §21.4.12", REFUSED_BY_TRUNK),
    415: FinalResponse("Unsupported Media Type", "RFC 3261 §21.4.13", REFUSED_BY_TRUNK),
    416: FinalResponse("Unsupported URI Scheme", "RFC 3261 §21.4.14", REFUSED_BY_TRUNK),
    417: FinalResponse("Unknown Resource-Priority", "RFC 4412", REFUSED_BY_TRUNK),
    420: FinalResponse("Bad Extension", "RFC 3261 §21.4.15", REFUSED_BY_TRUNK),
    421: FinalResponse("Extension Required", "RFC 3261 §21.4.16", REFUSED_BY_TRUNK),
    422: FinalResponse("Session Interval Too Small", "RFC 4028 §6", REFUSED_BY_TRUNK),
    423: FinalResponse("Interval Too Brief", "RFC 3261 §21.4.17", REFUSED_BY_TRUNK),
    424: FinalResponse("Bad Location Information", "RFC 6442 §4.3", REFUSED_BY_TRUNK),
    425: FinalResponse("Bad Alert Message", "RFC 8876", REFUSED_BY_TRUNK),
    428: FinalResponse("Use Identity Header", "RFC 8224", REFUSED_BY_TRUNK),
    429: FinalResponse("Provide Referrer Identity", "RFC 3892", REFUSED_BY_TRUNK),
    430: FinalResponse("Flow Failed", "RFC 5626", REFUSED_BY_TRUNK),
    433: FinalResponse("Anonymity Disallowed", "RFC 5079", REFUSED_BY_TRUNK),
    436: FinalResponse("Bad Identity Info", "RFC 8224", REFUSED_BY_TRUNK),
    437: FinalResponse("Unsupported Credential", "RFC 8224", REFUSED_BY_TRUNK),
    438: FinalResponse("Invalid Identity Header", "RFC 8224", REFUSED_BY_TRUNK),
    439: FinalResponse("First Hop Lacks Outbound Support", "RFC 5626", REFUSED_BY_TRUNK),
    440: FinalResponse("Max-Breadth Exceeded", "RFC 5393", REFUSED_BY_TRUNK),
    469: FinalResponse("Bad Info Package", "RFC 6086", REFUSED_BY_TRUNK),
    470: FinalResponse("Consent Needed", "RFC 5360", REFUSED_BY_TRUNK),
    480: FinalResponse("Temporarily Unavailable", "RFC 3261 §21.4.18", NOT_REACHED),
    481: FinalResponse("Call/Transaction Does Not Exist", "RFC 3261 §21.4.19", REFUSED_BY_TRUNK),
    482: FinalResponse("Loop Detected", "RFC 3261 §21.4.20", REFUSED_BY_TRUNK),
    483: FinalResponse("Too Many Hops", "RFC 3261 §21.4.21", REFUSED_BY_TRUNK),
    484: FinalResponse("Address Incomplete", "RFC 3261 §21.4.22", NOT_FOUND),
    485: FinalResponse("Ambiguous", "RFC 3261 §21.4.23", NOT_FOUND),
    486: FinalResponse("Busy Here", "RFC 3261 §21.4.24", BUSY),
    487: FinalResponse(
        "Request Terminated", "RFC 3261 §21.4.25", NOT_REACHED
    ),  # cancelled by us or by a proxy
    488: FinalResponse("Not Acceptable Here", "RFC 3261 §21.4.26", REFUSED_BY_TRUNK),
    489: FinalResponse("Bad Event", "RFC 6665", REFUSED_BY_TRUNK),
    491: FinalResponse("Request Pending", "RFC 3261 §21.4.27", REFUSED_BY_TRUNK),
    493: FinalResponse("Undecipherable", "RFC 3261 §21.4.28", REFUSED_BY_TRUNK),
    494: FinalResponse("Security Agreement Required", "RFC 3329", REFUSED_BY_TRUNK),
    500: FinalResponse("Server Internal Error", "RFC 3261 §21.5.1", FAILED_IN_TRUNK),
    501: FinalResponse("Not Implemented", "RFC 3261 §21.5.2", FAILED_IN_TRUNK),
    502: FinalResponse("Bad Gateway", "RFC 3261 §21.5.3", FAILED_IN_TRUNK),
    503: FinalResponse("Service Unavailable", "RFC 3261 §21.5.4", CONGESTED),
    504: FinalResponse("Server Time-out", "RFC 3261 §21.5.5", FAILED_IN_TRUNK),
    505: FinalResponse("Version Not Supported", "RFC 3261 §21.5.6", FAILED_IN_TRUNK),
    513: FinalResponse("Message Too Large", "RFC 3261 §21.5.7", FAILED_IN_TRUNK),
    555: FinalResponse("Push Notification Service Not Supported", "RFC 8599", FAILED_IN_TRUNK),
    580: FinalResponse("Precondition Failure", "RFC 3312", FAILED_IN_TRUNK),
    600: FinalResponse("Busy Everywhere", "RFC 3261 §21.6.1", BUSY),
    603: FinalResponse("Decline", "RFC 3261 §21.6.2", REFUSED),
    604: FinalResponse("Does Not Exist Anywhere", "RFC 3261 §21.6.3", INVALID),
    606: FinalResponse("Not Acceptable", "RFC 3261 §21.6.4", REFUSED),
    607: FinalResponse("Unwanted", "RFC 8197", REFUSED),
    608: FinalResponse(
        "Rejected", "RFC 8688", REFUSED_BY_TRUNK
    ),  # a proxy rejected the call before the phone rang
}
OUTCOMES_BY_CLASS = {3: REFUSED_BY_TRUNK, 4: REFUSED_BY_TRUNK, 5: FAILED_IN_TRUNK}
# Not every gateway reports ringing. If a refusal comes later than this, the phone may have rung without a report. If the
# refusal comes sooner, no phone has rung long enough for anybody to pick up.
UNHEARD_RING_SECONDS = 10.0

# ITU-T Q.850, table 1: the cause from the telephone network behind the trunk, sent in a Reason header (RFC 3326). It is
# more precise than the SIP status that the gateway derived from it. For other causes the SIP status decides.
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

# Errors that keep an INVITE from being sent: the trunk's port is closed, no route exists, or its name cannot be resolved.
# Over TCP and TLS they occur only while the connection is being made.
UNSENT_ERRNOS = {
    errno.ECONNREFUSED,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.ENETDOWN,
    errno.EADDRNOTAVAIL,
    errno.EDESTADDRREQ,
}
# The stack reports the same errors if the first INVITE was sent and a later one could not be. Over UDP it retransmits after
# 0.5 s (RFC 3261, T1); it tries the trunk's next address after 32 s of silence (timer B). So only an error that comes sooner
# proves that nothing was sent.
MAX_UNSENT_SECONDS = {"udp": 0.4, "tcp": 30.0, "tls": 30.0}
MAX_LOOKUP_SECONDS = 30.0

_ERRNO = re.compile(r"\[(\d{1,5})\]$")
_STATUS = re.compile(r"(\d{3})\b")
MAX_CHARACTERS = 1_000  # limit for parsing, because the far end decides how long its reason is


def outcome_of(text: str, *, rang: bool, transport: str, seconds: float) -> Outcome:
    """Return the outcome of a call that ended with `text`, `seconds` after its INVITE.

    `text` is such as `486 Busy Here,Q.850;cause=17`. A text without a status is a transport error, such as `Connection
    refused [111]`: either the INVITE was not sent, or the outcome is unknown. A call whose phone rang (`rang`) is never
    retried.
    """
    text = text[:MAX_CHARACTERS]
    status = _STATUS.match(text)
    if not status:
        number = errno_in(text)
        surely_unsent = number is not None and _is_unsent(number, transport, seconds)
        return CONGESTED if surely_unsent and not rang else SILENT
    code = int(status[1])
    found = (
        SIP_RESPONSES[code].outcome if code in SIP_RESPONSES else OUTCOMES_BY_CLASS.get(code // 100, REFUSED)
    )
    if found.meaning is not Meaning.TRUNK:
        found = outcome_of_reasons(list(reasons_in(text))[1:]) or found
    if rang:
        return replace(found, meaning=Meaning.TAKEN, did_not_ring=False)
    if found.cause == Cause.NO_ANSWER and seconds >= UNHEARD_RING_SECONDS:
        return replace(found, did_not_ring=False)
    return found


def outcome_of_timeout(reasons: Sequence[str], *, rang: bool) -> Outcome:
    """Return the outcome of a call that we cancel. The `reasons` of a provisional response may say why nobody answers."""
    found = outcome_of_reasons(reasons)
    if found is None:
        return NO_ANSWER if rang else NEVER_RANG
    return replace(found, meaning=Meaning.TAKEN if rang else Meaning.DOUBTFUL, did_not_ring=False)


def outcome_of_reasons(reasons: Sequence[str]) -> Outcome | None:
    """Return the outcome of the first Q.850 cause that is in the table, among the values of Reason headers."""
    for reason in reasons:
        protocol, parameters = parameters_of(reason)
        cause = parameters.get("cause", "")
        if protocol.lower() not in ("q.850", "q850") or not (cause.isascii() and cause.isdigit()):
            continue
        if len(cause) < 6 and int(cause) in Q850:
            return Q850[int(cause)][1]
    return None


def describe(text: str) -> str:
    """Return the trunk's response for display, and add the standard name if it sent a bare status code."""
    code, comma, reasons = text.strip().partition(",")
    answer = SIP_RESPONSES.get(int(code)) if _STATUS.fullmatch(code.strip()) else None
    return f"{code.strip()} {answer.name}{comma}{reasons}" if answer else text.strip()


def errno_in(text: str) -> int | None:
    """Return the number of the system's error with which the stack ended a call, such as `Connection refused [111]`."""
    found = None if _STATUS.match(text) else _ERRNO.search(text)
    return int(found[1]) if found else None


def _is_unsent(number: int, transport: str, seconds: float) -> bool:
    bound = MAX_LOOKUP_SECONDS if number == errno.EDESTADDRREQ else MAX_UNSENT_SECONDS[transport]
    return number in UNSENT_ERRNOS and seconds < bound
