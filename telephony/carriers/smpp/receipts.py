"""Parse delivery receipts: a `deliver_sm` with a text, with TLVs, or with both.

Sources: SMPP 3.4, appendix B (the text, which is only a convention) and 5.3.2.12/5.3.2.35 (the TLVs).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from telephony.models import Cause, DeliveryStatus

MESSAGE_TYPE = 0x3C  # bit mask within esm_class
RECEIPT, INTERMEDIATE = 0x04, 0x20
_ID = re.compile(r"\bid:\s*([^\s:]+)", re.IGNORECASE)
_STATE = re.compile(r"\bstat:\s*([A-Z]+)", re.IGNORECASE)
_ERROR = re.compile(r"\berr:\s*([^\s:]+)(?=\s|$)", re.IGNORECASE)
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]+")

MAX_ID_CHARACTERS = 100  # the standard has 64

# The state by its number (TLV message_state), and as it is written in the text: seven letters.
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
# Other spellings of these states, cut to seven letters.
_STATE_SYNONYMS = {"DELIVER": "DELIVRD", "REJECTE": "REJECTD", "ACCEPTE": "ACCEPTD", "FAILED": "UNDELIV"}
# None means an intermediate state. UNKNOWN is one too: if no other report follows, the delivery ends as lost.
FINAL_STATES: dict[str, tuple[DeliveryStatus, Cause] | None] = {
    "ENROUTE": None,
    "ACCEPTD": None,
    "UNKNOWN": None,
    "DELIVRD": (DeliveryStatus.COMPLETED, Cause.NONE),
    "EXPIRED": (DeliveryStatus.FAILED, Cause.EXPIRED),
    "DELETED": (DeliveryStatus.FAILED, Cause.REFUSED),
    "UNDELIV": (DeliveryStatus.FAILED, Cause.REFUSED),
    "REJECTD": (DeliveryStatus.FAILED, Cause.REFUSED),
}


class MessageIdFormat(Enum):
    """How an SMSC writes the same message id in its submit responses and in its receipts."""

    SAME = "same"
    HEX_THEN_DECIMAL = "hex-decimal"
    DECIMAL_THEN_HEX = "decimal-hex"

    def from_response(self, raw: str) -> str:
        return _canonical(raw, hexadecimal=self is MessageIdFormat.HEX_THEN_DECIMAL)

    def from_receipt(self, raw: str) -> str:
        return _canonical(raw, hexadecimal=self is MessageIdFormat.DECIMAL_THEN_HEX)


def _canonical(raw: str, *, hexadecimal: bool) -> str:
    """Normalize an id, so that equal ids are equal strings: decimal or lower case, without leading zeros."""
    raw = raw.strip()[:MAX_ID_CHARACTERS]
    if _HEXADECIMAL.fullmatch(raw):
        raw = str(int(raw, 16)) if hexadecimal else raw.lower().lstrip("0") or "0"
    return raw[:MAX_ID_CHARACTERS]


@dataclass(frozen=True, slots=True)
class Receipt:
    """A delivery receipt.

    `ref` is the normalized message id. `state` is one of `STATES`, or another word of the SMSC, or "".
    """

    ref: str
    state: str
    error: str

    @property
    def final_status(self) -> tuple[DeliveryStatus, Cause] | None:
        return FINAL_STATES.get(self.state)


def read(
    *,
    text: str,
    esm_class: int,
    message_id: str | None,
    state: int | None,
    ids: MessageIdFormat,
    tlv_as_text: bool,
) -> Receipt | None:
    """Return the receipt in a `deliver_sm`, or None if it is an SMS that a person sent.

    `message_id` and `state` are its TLVs; they take precedence over the text. By the standard the id in the TLV is
    written as in the submit response; `tlv_as_text` says that it is written as in the receipt's text. Some SMSCs do not
    set the receipt bit of `esm_class`, so a text with an id and a state also counts as a receipt.
    """
    is_marked = esm_class & MESSAGE_TYPE in (RECEIPT, INTERMEDIATE)
    id_match, state_match = _ID.search(text), _STATE.search(text)
    if not (is_marked or message_id or (id_match and state_match and text.lstrip()[:3].lower() == "id:")):
        return None
    error_match = _ERROR.search(text)
    if message_id:
        ref = ids.from_receipt(message_id) if tlv_as_text else ids.from_response(message_id)
    else:
        ref = ids.from_receipt(id_match[1]) if id_match else ""
    state_name = STATES.get(state or 0) or (state_match[1].upper()[:7] if state_match else "")
    return Receipt(
        ref=ref,
        state=_STATE_SYNONYMS.get(state_name, state_name),
        error=error_match[1] if error_match else "",
    )
