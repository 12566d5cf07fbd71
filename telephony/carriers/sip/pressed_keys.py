"""Read the keys that a recipient presses: in INFO requests, and under which RTP payload types they arrive.

The stack reads the keys in RTP. `calls` collects the keys of a call.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from telephony.carriers.sip.messages import SipMessage

_SIGNAL = re.compile(r"^[ \t]*signal[ \t]*[=:]([^\r\n]*)", re.IGNORECASE | re.MULTILINE)
MAX_KEY_BODY = 500  # characters of an INFO request that are read
_DTMF_TYPES = ("application/dtmf-relay", "application/dtmf")
_EVENTS = {
    10: "*",
    11: "#",
    12: "A",
    13: "B",
    14: "C",
    15: "D",
}  # RFC 4733, §3.2; 16 is a hook flash, not a key
_FLASH = {"16", "!", "R", "F", "HF", "FLASH", "HOOKFLASH", "HOOK-FLASH"}


def key_in(message: SipMessage) -> str | None:
    """Return the key that an INFO request reports: one of 0-9, *, #, A-D, or "" for a hook flash. None if it reports none.

    Both content types in use are read, with a line `Signal=` or with the bare key. A key is a character, or the number of
    its event (RFC 4733): 10 is *, 11 is #, 12 to 15 are A to D.
    """
    if message.get("content-type").partition(";")[0].strip().lower() not in _DTMF_TYPES:
        return None
    body = message.body[:MAX_KEY_BODY]
    found = _SIGNAL.search(body)
    sign = (found[1] if found else body).strip().strip("\"'").strip().upper()
    if sign in _FLASH:
        return ""
    if sign.isascii() and sign.isdigit() and len(sign) <= 3:
        return str(int(sign)) if int(sign) < 10 else _EVENTS.get(int(sign))
    return sign if len(sign) == 1 and sign in "*#ABCD" else None


def event_payload_types(bodies: Sequence[str]) -> list[int]:
    """Return the RTP payload types that these session descriptions give to key presses."""
    found = (re.findall(r"^a=rtpmap:(\d{1,3}) telephone-event/8000", body, re.I | re.M) for body in bodies)
    return [int(one) for types in found for one in types if 96 <= int(one) <= 127]
