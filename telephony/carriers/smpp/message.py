"""The state of an SMS on its way to the SMSC: its PDUs, and the response to each."""

from __future__ import annotations

from dataclasses import dataclass, field

from telephony.carriers.refusals import Meaning
from telephony.carriers.smpp import protocol

WAITING, UNANSWERED, UNWRITTEN = -1, -2, -3  # states of a part that has no command_status


@dataclass(slots=True, eq=False)
class OutgoingSms:
    """An SMS of one or several parts. `pdus` lack only their sequence numbers. Nothing is written after `until` (monotonic).

    `statuses` holds the state of each part: None at first, then WAITING, then the command_status of its response, or
    UNANSWERED. It is UNWRITTEN if the connection ended before the part was written.

    A resend has a `cancel`: the cancel_sm that is sent first, because the SMSC may already have the message. If the SMSC
    has cancelled it, or says that there is nothing to cancel, the message is sent. If the SMSC does not support cancel_sm,
    `replacing` is sent: the same PDU with the replace_if_present_flag. After any other response, or none, the message is
    not sent (`is_withheld`), unless it `always_sends`.

    `to` is the recipient's number, `sender` the approved sender, if any. `sms_specific_status` is the status (throttled or
    queue full) that concerns only this SMS: the SMSC accepts others, or the queue of this phone is full. Such a status does
    not slow down the trunk.

    `has_result`: its result was already recorded. After that, only a late acceptance of all parts counts.
    """

    key: str
    attempt: int
    pdus: list[bytes]
    until: float
    cancel: bytes = b""
    replacing: bytes = b""
    always_sends: bool = False
    cancel_status: int | None = None
    is_withheld: bool = False
    to: str = ""
    sender: str = ""
    sms_specific_status: int | None = None
    written_at: float = 0.0  # monotonic
    statuses: list[int | None] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    has_result: bool = False

    def __post_init__(self) -> None:
        self.statuses = [None] * len(self.pdus)
        self.ids = [""] * len(self.pdus)

    @property
    def is_waiting(self) -> bool:
        return WAITING in self.statuses

    @property
    def is_unwritten(self) -> bool:
        return all(status is None for status in self.statuses)

    @property
    def accepted_parts(self) -> int:
        """Return how many parts the SMSC has accepted."""
        return self.statuses.count(protocol.OK)

    def may_send_after_cancel(self, status: int) -> bool:
        """Record the response to the cancel_sm (a status, or UNANSWERED). Return whether the message may be sent now.

        It may be sent as `replacing`. If it may not be sent, it is withheld.
        """
        self.cancel_status = status
        if status in (protocol.OK, protocol.CANCEL_FAILED):
            return True
        if self.replacing and (self.always_sends or status in protocol.CANCEL_UNSUPPORTED):
            self.pdus = [self.replacing]
            return True
        self.is_withheld = not self.always_sends
        return self.always_sends

    def parts_to_repeat(self) -> list[int]:
        """Return the temporarily refused parts of a message, if the SMSC has accepted other parts of it."""
        if not self.accepted_parts:
            return []
        return [
            part
            for part, status in enumerate(self.statuses)
            if status is not None
            and status > 0
            and protocol.meaning_of(status) in (Meaning.TOO_FAST, Meaning.BUSY)
        ]

    def parts_to_write(self) -> list[int]:
        """Return the parts that were not written yet because of the cancel_sm; else those to repeat."""
        return [part for part, status in enumerate(self.statuses) if status is None] or self.parts_to_repeat()
