"""Parse delivery receipts: a `deliver_sm` or `data_sm` with a text, with TLVs, or with both.

Sources: SMPP 3.4, appendix B (the text, which is only a convention) and 5.3.2.12/5.3.2.35 (the TLVs).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from telephony.carriers.smpp import charsets
from telephony.models import Cause, DeliveryStatus

MESSAGE_TYPE = 0x3C  # bit mask within esm_class
RECEIPT, INTERMEDIATE = 0x04, 0x20
# A value ends before the next name: `id:7,sub:001`. Quotation marks and brackets around it do not belong to it.
_VALUE = r"\s?[:=]\s*[\"'<]*+([^\s:,;\"'<>]++(?:[,;](?!\w*+[:=])[^\s:,;\"'<>]++)*+)(?!:)"
_ID, _OTHER_ID = (
    re.compile(rf"\b{name}{_VALUE}", re.IGNORECASE) for name in ("id", "(?:message|msg)[_ ]?id")
)
_STATE, _OTHER_STATE = (
    re.compile(rf"\b{name}\s?[:=]\s*[\"'<]*+([\w-]++)(?!:)", re.IGNORECASE | re.ASCII)
    for name in ("stat", "stat(?:us|e)")
)
_ERROR = re.compile(rf"\berr(?:or)?{_VALUE}", re.IGNORECASE)
_HEXADECIMAL = re.compile(r"(?:0x)?([0-9a-f]+)")
_STARTS_LIKE_A_RECEIPT = re.compile(r"[\s\0\ufeff]*(?:(?:message|msg)[_ ]?)?id\s?[:=]", re.IGNORECASE)

MAX_ID_CHARACTERS = 100  # the standard has 64
MAX_STATE_CHARACTERS = 40

# The state by its number (TLV message_state), and as it is written in the text: seven letters. 0 and 9 are of SMPP 5.0.
STATES = {
    0: "SCHEDULED",
    1: "ENROUTE",
    2: "DELIVRD",
    3: "EXPIRED",
    4: "DELETED",
    5: "UNDELIV",
    6: "ACCEPTD",
    7: "UNKNOWN",
    8: "REJECTD",
    9: "SKIPPED",
}
# Other spellings of these states. A word counts as a whole: DELIVERY_FAILED is not DELIVERED.
_STATE_SYNONYMS = {
    "DELIVERED": "DELIVRD",
    "DELIVERD": "DELIVRD",
    "DELIVRED": "DELIVRD",
    "DLVRD": "DELIVRD",
    "UNDELIVERED": "UNDELIV",
    "UNDELIVERABLE": "UNDELIV",
    "UNDELIVRD": "UNDELIV",
    "FAILED": "UNDELIV",
    "EXPIRD": "EXPIRED",
    "REJECTED": "REJECTD",
    "ACCEPTED": "ACCEPTD",
    "EN_ROUTE": "ENROUTE",
    "BUFFERED": "ENROUTE",
}
# None means an intermediate state. UNKNOWN is one too: if no other report follows, the delivery ends as lost.
FINAL_STATES: dict[str, tuple[DeliveryStatus, Cause] | None] = {
    "SCHEDULED": None,
    "ENROUTE": None,
    "ACCEPTD": None,
    "UNKNOWN": None,
    "DELIVRD": (DeliveryStatus.COMPLETED, Cause.NONE),
    "EXPIRED": (DeliveryStatus.FAILED, Cause.EXPIRED),
    "DELETED": (DeliveryStatus.FAILED, Cause.REFUSED),
    "UNDELIV": (DeliveryStatus.FAILED, Cause.REFUSED),
    "REJECTD": (DeliveryStatus.FAILED, Cause.REFUSED),
    "SKIPPED": None,
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
    """Normalize an id, so that equal ids are equal strings: lower case, without leading zeros, decimal if `hexadecimal`."""
    raw = raw.strip(" \t\r\n\0\"'<>")[:MAX_ID_CHARACTERS].casefold()
    if digits := _HEXADECIMAL.fullmatch(raw):
        raw = str(int(digits[1], 16)) if hexadecimal else digits[1]
    return (raw.lstrip("0") or raw[:1])[:MAX_ID_CHARACTERS]


@dataclass(frozen=True, slots=True)
class Receipt:
    """A delivery receipt.

    `ref` is the normalized message id, `written_ref` as the receipt has it. `state` is one of `FINAL_STATES`, or another
    word of the SMSC, or "".
    """

    ref: str
    state: str
    error: str
    written_ref: str = field(default="", compare=False)

    @property
    def final_status(self) -> tuple[DeliveryStatus, Cause] | None:
        """Return the status and the cause for the state, or None for an unknown word, which may mean success or failure."""
        return FINAL_STATES.get(self.state)

    @property
    def words(self) -> str:
        """Return the state and the error code in a readable form."""
        state = self.state or "a receipt without a state"
        shows_error = self.error and self.state != "DELIVRD" and FINAL_STATES.get(self.state, True)
        return f"{state}, error {self.error}" if shows_error else state


def text_in(octets: bytes) -> str:
    """Return the text of a receipt. Its data_coding is ignored, because it is often that of the reported SMS."""
    first = ""
    for text in charsets.candidates(octets):
        if _id_in(text) and _state_in(text):
            return text
        first = first or text
    return first


def _id_in(text: str) -> re.Match[str] | None:
    return _ID.search(text) or _OTHER_ID.search(text)


def _state_in(text: str) -> re.Match[str] | None:
    return _STATE.search(text) or _OTHER_STATE.search(text)


def read(
    *,
    octets: bytes,
    esm_class: int,
    message_id: str | None,
    state: int | None,
    ids: MessageIdFormat,
    tlv_as_text: bool,
    states: Mapping[str, str] | None = None,
) -> Receipt | None:
    """Return the receipt in a `deliver_sm` or `data_sm`, or None if it is an SMS that a person sent.

    `message_id` and `state` are its TLVs; they take precedence over the text. By the standard the id in the TLV is
    written as in the submit response; `tlv_as_text` says that it is written as in the receipt's text. Some SMSCs do not
    set the receipt bit of `esm_class`, so a text with an id and a state also counts as a receipt. `states` has the
    standard state of words that only this SMSC uses.
    """
    is_marked = esm_class & MESSAGE_TYPE in (RECEIPT, INTERMEDIATE)
    text = text_in(octets)
    id_match, state_match = _id_in(text), _state_in(text)
    if not (is_marked or message_id or (id_match and state_match and _STARTS_LIKE_A_RECEIPT.match(text))):
        return None
    error_match = _ERROR.search(text)
    if message_id:
        ref = ids.from_receipt(message_id) if tlv_as_text else ids.from_response(message_id)
    else:
        ref = ids.from_receipt(id_match[1]) if id_match else ""
    return Receipt(
        ref=ref,
        written_ref=(message_id or (id_match[1] if id_match else "")).strip()[:MAX_ID_CHARACTERS],
        state=_state(state, state_match[1] if state_match else "", states or {}),
        error=error_match[1] if error_match else "",
    )


def _state(number: int | None, word: str, own: Mapping[str, str]) -> str:
    """Return the state of a receipt by its number in the TLV, else by the whole word in its text.

    A word of one digit is that number, too. Longer numbers are words: SMSCs give them meanings of their own.
    """
    word = word.upper()[:MAX_STATE_CHARACTERS]
    if number in STATES:
        word = STATES[number]
    elif not word and number is not None:
        word = f"message_state {number}"
    if word in own:
        return own[word]
    if len(word) == 1 and word.isdigit():
        word = STATES[int(word)]
    return _STATE_SYNONYMS.get(word, word)
