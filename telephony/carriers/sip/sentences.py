"""Describe a call for the operator: the latest response, who sent it, and when. Stored as `carrier_text`."""

from __future__ import annotations

import errno
import os
import re

from telephony.carriers.sip.causes import describe, errno_in
from telephony.carriers.sip.messages import SipMessage
from telephony.carriers.sip.signalling import CallSignalling

_HELD = re.compile(r"^a=(sendonly|inactive)\s*$", re.IGNORECASE | re.MULTILINE)
_AUDIO = re.compile(r"^m=audio +(\d{1,5})\S* +\S+ +([\d ]+)", re.IGNORECASE | re.MULTILINE)
_NULL_ADDRESS = re.compile(r"^c=IN IP4 0\.0\.0\.0\s*$", re.MULTILINE)  # the old way of holding (RFC 2543)
_G711 = {"0", "8"}
_ERRORS = {
    errno.ECONNREFUSED: "The trunk refused the connection.",
    errno.EHOSTUNREACH: "The network has no route to the trunk.",
    errno.ENETUNREACH: "The network has no route to the trunk.",
    errno.ENETDOWN: "This machine's network is down.",
    errno.EADDRNOTAVAIL: "This machine has no address from which the trunk can be reached.",
    errno.EDESTADDRREQ: "The trunk's name cannot be resolved.",
    errno.ETIMEDOUT: "The trunk did not respond.",
    errno.ECONNRESET: "The connection to the trunk broke.",
    errno.ECONNABORTED: "The connection to the trunk broke.",
    errno.EPIPE: "The connection to the trunk broke.",
    errno.EBADMSG: "The trunk's response cannot be read.",
    errno.EPROTO: "The trunk's response cannot be read.",
}


def of_response(text: str) -> str:
    """Return the text of a final response, or a sentence for the stack's error.

    A response without a name gets the standard name.
    """
    number = errno_in(text)
    if number is not None:
        return _ERRORS.get(number, f"The SIP stack ended the call: {os.strerror(number)}.")
    return describe(text) or "The trunk did not respond."


def of_answer(said: CallSignalling) -> str:
    return describe(said.final.text()) if said.final is not None else ""


def of_progress(said: CallSignalling) -> str:
    return describe(said.progress.text()) if said.progress is not None else ""


def of_timeout(said: CallSignalling, *, seconds: float, rang: bool) -> str:
    """Return the sentence for a call that iris cancels, with the trunk's latest response."""
    last = f" The trunk's last response was {of_progress(said)}." if said.progress is not None else ""
    return (f"Not answered in {seconds:g} s." if rang else f"No phone rang within {seconds:g} s.") + last


def of_end(said: CallSignalling, *, stack_text: str, seconds: float) -> str:
    """Return the sentence for an answered call that the far end, or the stack, has ended after `seconds`."""
    if said.goodbye is not None:
        reasons = ",".join(said.goodbye.values("reason"))
        return f"The far end hung up after {seconds:.1f} s" + (f": {reasons}." if reasons else ".")
    sentence = of_response(stack_text) if stack_text else "The SIP stack ended the call."
    return f"{sentence.rstrip('.')} after {seconds:.1f} s."


def of_silent_call(said: CallSignalling, text: str) -> str:
    """Return the sentence for an answered call to which no sound could be sent."""
    return f"Answered, but no sound could be sent: {_why_silent(said.final)}. {text}".strip()


def is_held(answer: SipMessage | None) -> bool:
    """Return whether the far end has answered with its line on hold: it takes no sound for now."""
    return answer is not None and bool(_HELD.search(answer.body) or _NULL_ADDRESS.search(answer.body))


def _why_silent(answer: SipMessage | None) -> str:
    if answer is None or not answer.body.strip():
        return "the answer describes no audio"
    if is_held(answer):
        return "the line was on hold until the end"
    audio = _AUDIO.search(answer.body)
    if audio is None or audio[1] == "0":
        return "the answer refuses the audio"
    if not _G711 & set(audio[2].split()):
        return "the answer has none of the codecs that were offered"
    return "the far end accepted none"
