"""What the sandbox's phone shows: calls, text messages, and what was answered to them, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from accounts.models import Account
from console.vocabulary import RECIPIENT, Word
from telephony import inbox as inbound
from telephony import sandbox_phone
from telephony.carriers.sandbox import inbox
from telephony.models import Channel, DeliveryStatus, InboundMessage, SandboxMessage

SHOWN, NUMBERS_OF = 30, 200
# The words of `carriers.sandbox.inbox.status_of`.
WORDS: dict[str, Word] = {
    "accepted": RECIPIENT[DeliveryStatus.SUBMITTED],
    "ringing": RECIPIENT[DeliveryStatus.RINGING],
    "answered": RECIPIENT[DeliveryStatus.ANSWERED],
    "delivered": RECIPIENT[DeliveryStatus.COMPLETED],
    "completed": RECIPIENT[DeliveryStatus.COMPLETED],
    "hungup": RECIPIENT[DeliveryStatus.HUNGUP],
    "busy": RECIPIENT[DeliveryStatus.UNANSWERED],
    "unanswered": RECIPIENT[DeliveryStatus.UNANSWERED],
}


@dataclass(frozen=True, kw_only=True)
class Event:
    """A call or SMS that arrived, or what its recipient wrote (`written`)."""

    at: datetime
    number: str
    message: SandboxMessage | None = None
    word: Word | None = None
    written: InboundMessage | None = None
    can_reply: bool = False
    can_press: bool = False

    @property
    def is_call(self) -> bool:
        return self.message is not None and self.message.channel == Channel.CALL


@dataclass(frozen=True, kw_only=True)
class Screen:
    """What the phone shows: of one number, or of all. `numbers` are those to choose from."""

    to: str
    numbers: list[str]
    events: list[Event]


def screen_of(account: Account, *, to: str = "") -> Screen:
    """Return what an account's phone shows at present. Takes three queries."""
    rows = inbox.visible(account.pk).order_by("-pk")
    numbers = list(dict.fromkeys(rows.values_list("to", flat=True)[:NUMBERS_OF]))
    chosen = to if to in numbers else ""
    shown = list((rows.filter(to=chosen) if chosen else rows)[:SHOWN])
    written = inbound.latest(account).filter(sender__in={row.to for row in shown})[:SHOWN]
    now = timezone.now()
    with_reply: set[str] = set()  # only the newest SMS to a number has a field for the reply
    events = []
    for row in shown:
        is_newest_sms = row.channel == Channel.SMS and row.to not in with_reply
        if is_newest_sms:
            with_reply.add(row.to)
        events.append(
            Event(
                at=row.created_at,
                number=row.to,
                message=row,
                word=WORDS[inbox.status_of(row, now)],
                can_reply=is_newest_sms,
                can_press=sandbox_phone.takes_keys(row, now),
            )
        )
    events += [Event(at=one.received_at, number=one.sender, written=one) for one in written]
    return Screen(
        to=chosen, numbers=sorted(numbers), events=sorted(events, key=lambda one: one.at, reverse=True)
    )
