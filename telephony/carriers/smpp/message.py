"""An SMS on its way to an SMSC: its PDUs, and what was answered to each."""

from __future__ import annotations

from dataclasses import dataclass, field

from telephony.carriers.refusals import Meaning
from telephony.carriers.smpp import protocol

WAITING, UNANSWERED, UNWRITTEN = -1, -2, -3  # in the place of a part's status


@dataclass(slots=True, eq=False)
class Message:
    """An SMS of one or several parts. `pdus` lack only their sequence numbers.

    `statuses` has for each part None at first, then WAITING, then its answer's status, or UNANSWERED; or UNWRITTEN when
    the connection ended before. Nothing is written any more after `until` (monotonic).

    `recall`, if any, is the cancel_sm that goes first: the SMSC perhaps has this message already. Where it knows no such
    cancel_sm, `replacing` follows, if any: the same, to replace what is there. After any other answer, or none, the message
    is left as it is (`is_left`), unless it `insists`.

    `to` is the recipient's number. `own_complaint` is a status that means "too fast", but not for this message: the SMSC
    took others, or the phone has no room for it. That is no reason to slow down.
    """

    key: str
    attempt: int
    pdus: list[bytes]
    until: float
    recall: bytes = b""
    replacing: bytes = b""
    insists: bool = False
    recall_status: int | None = None
    is_left: bool = False
    to: str = ""
    own_complaint: int | None = None
    written_at: float = 0.0  # monotonic
    statuses: list[int | None] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    is_reported: bool = False

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
    def taken(self) -> int:
        """How many of its parts the SMSC has."""
        return self.statuses.count(protocol.OK)

    def may_follow(self, status: int) -> bool:
        """Whether it may be sent after its recall was answered like this, or UNANSWERED."""
        self.recall_status = status
        if status in (protocol.OK, protocol.NOTHING_TO_CANCEL):
            return True
        if self.replacing and (self.insists or status in protocol.KNOWS_NO_CANCEL):
            self.pdus = [self.replacing]
            return True
        self.is_left = not self.insists
        return self.insists

    def to_repeat(self) -> list[int]:
        """Parts the SMSC did not take for now, of a message of which it has others."""
        if not self.taken:
            return []
        return [
            part
            for part, status in enumerate(self.statuses)
            if status is not None
            and status > 0
            and protocol.meaning_of(status) in (Meaning.TOO_FAST, Meaning.BUSY)
        ]

    def to_write(self) -> list[int]:
        """Parts of one that has been recalled which were never written; else those to repeat."""
        return [part for part, status in enumerate(self.statuses) if status is None] or self.to_repeat()
