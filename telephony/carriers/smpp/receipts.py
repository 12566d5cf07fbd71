"""What became of a message, as an SMSC tells it: a `deliver_sm` with a text, with TLVs, or with both.

SMPP 3.4, appendix B (the text, which is only a convention) and 5.3.2.12/5.3.2.35 (the TLVs).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from telephony.models import Cause, DeliveryStatus

MESSAGE_TYPE = 0x3C  # of an esm_class
RECEIPT, INTERMEDIATE = 0x04, 0x20
_ID = re.compile(r"\bid:\s*([^\s:]+)", re.IGNORECASE)
_STATE = re.compile(r"\bstat:\s*([A-Z]+)", re.IGNORECASE)
_ERROR = re.compile(r"\berr:\s*([^\s:]+)(?=\s|$)", re.IGNORECASE)
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]+")

MAX_ID_CHARACTERS = 100  # the standard has 64

# message_state, and the seven letters of the text.
STATES = {
    1: "ENROUTE",
    2: "DELIVRD",
    3: "EXPIRED",
    4: "DELETED",
    5: "UNDELIV",
    6: "ACCEPTD",
    7: "UNKNOWN",
    8: "REJECTD",
}
# What else is written for them, or for something close to them: the first seven letters.
_OTHER_WORDS = {"DELIVER": "DELIVRD", "REJECTE": "REJECTD", "ACCEPTE": "ACCEPTD", "FAILED": "UNDELIV"}
# None: nothing is decided yet. UNKNOWN too: should no other report come in time, the message counts as lost.
ENDS: dict[str, tuple[DeliveryStatus, Cause] | None] = {
    "ENROUTE": None,
    "ACCEPTD": None,
    "UNKNOWN": None,
    "DELIVRD": (DeliveryStatus.COMPLETED, Cause.NONE),
    "EXPIRED": (DeliveryStatus.FAILED, Cause.EXPIRED),
    "DELETED": (DeliveryStatus.FAILED, Cause.REFUSED),
    "UNDELIV": (DeliveryStatus.FAILED, Cause.REFUSED),
    "REJECTD": (DeliveryStatus.FAILED, Cause.REFUSED),
}


class Ids(Enum):
    """In which forms an SMSC writes one and the same message id: in its answers, and in its receipts."""

    SAME = "same"
    HEX_THEN_DECIMAL = "hex-decimal"
    DECIMAL_THEN_HEX = "decimal-hex"

    def of_answer(self, raw: str) -> str:
        return _canonical(raw, hexadecimal=self is Ids.HEX_THEN_DECIMAL)

    def of_receipt(self, raw: str) -> str:
        return _canonical(raw, hexadecimal=self is Ids.DECIMAL_THEN_HEX)


def _canonical(raw: str, *, hexadecimal: bool) -> str:
    """Ids that mean the same are the same text: a number without leading zeros, and without capitals."""
    raw = raw.strip()[:MAX_ID_CHARACTERS]
    if _HEXADECIMAL.fullmatch(raw):
        raw = str(int(raw, 16)) if hexadecimal else raw.lower().lstrip("0") or "0"
    return raw[:MAX_ID_CHARACTERS]


@dataclass(frozen=True, slots=True)
class Receipt:
    """`ref` is the message id in the form in which answers are stored; `state` one of `STATES`, or another word, or none."""

    ref: str
    state: str
    error: str

    @property
    def end(self) -> tuple[DeliveryStatus, Cause] | None:
        return ENDS.get(self.state)


def read(
    *, text: str, esm_class: int, message_id: str | None, state: int | None, ids: Ids, tlv_as_text: bool
) -> Receipt | None:
    """The receipt in a `deliver_sm`, or None when it is a message somebody sent.

    `message_id` and `state` are its TLVs, which count for more than the text. By the standard that id is written as in
    the answer; `tlv_as_text` says that it is written as in the text. Some SMSCs mark no receipt as one: what has an id
    and a state is one all the same.
    """
    marked = esm_class & MESSAGE_TYPE in (RECEIPT, INTERMEDIATE)
    found_id, found_state = _ID.search(text), _STATE.search(text)
    if not (marked or message_id or (found_id and found_state and text.lstrip()[:3].lower() == "id:")):
        return None
    error = _ERROR.search(text)
    if message_id:
        ref = ids.of_receipt(message_id) if tlv_as_text else ids.of_answer(message_id)
    else:
        ref = ids.of_receipt(found_id[1]) if found_id else ""
    word = STATES.get(state or 0) or (found_state[1].upper()[:7] if found_state else "")
    return Receipt(ref=ref, state=_OTHER_WORDS.get(word, word), error=error[1] if error else "")
