"""Act as the recipients of the sandbox's calls and SMS: answer an SMS, and press keys in a call.

Everything else follows as with a real carrier: STOP opts out, and keys answer surveys.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from uuid import uuid4

from django.db import transaction
from django.utils import timezone

from iris.errors import Conflict, InvalidInput, NotFound
from telephony import inbox
from telephony.carriers.base import InboundSms
from telephony.carriers.sandbox.carrier import last_report
from telephony.carriers.sandbox.fates import Fate
from telephony.carriers.sandbox.inbox import visible
from telephony.engine.delivery_reports import apply_events
from telephony.models import Channel, Delivery, SandboxMessage

MAX_CHARACTERS, MAX_KEYS = 1_000, 20
# Calls of the sandbox are short, so keys also count this long after the end of a call. The carrier then reports again.
LATE = timedelta(seconds=60)
_KEYS = re.compile(rf"[0-9*#]{{1,{MAX_KEYS}}}")
_WITHOUT_RECIPIENT = frozenset({Fate.BUSY, Fate.NO_ANSWER, Fate.SILENT})


def find_message(pk: int, *, owner_id: int | None = None) -> SandboxMessage:
    """Return a call or SMS in the sandbox's inbox of an account, or of any account. Raises NotFound."""
    found = visible(owner_id).filter(pk=pk).first() if pk < 2**63 else None
    if found is None:
        raise NotFound(
            f"The sandbox's inbox has no message {pk}. GET /sandbox/messages lists those that it has."
        )
    return found


def reply(*, message: SandboxMessage, text: str) -> None:
    """Answer an SMS as its recipient. Raises Conflict for a call, and InvalidInput for an empty or very long text."""
    if message.channel != Channel.SMS:
        raise Conflict("Nobody answers a call with an SMS. Press keys instead.", code="no_sms")
    if not text.strip() or len(text) > MAX_CHARACTERS:
        raise InvalidInput(
            f"Write an answer of 1 to {MAX_CHARACTERS:,} characters.",
            errors=[{"field": "text", "message": f"This must have 1 to {MAX_CHARACTERS:,} characters."}],
        )
    sms = InboundSms(
        ref=f"sandbox-{uuid4().hex}", sender=message.to, to=message.caller, text=text, at=timezone.now()
    )
    inbox.receive(_alias_of(message), [sms], owner_id=message.owner_id)


def press(*, message: SandboxMessage, keys: str) -> None:
    """Press keys in a call as its recipient: one key for each question, in their order.

    The keys count until LATE after the end of the call. Raises InvalidInput for other characters, and Conflict for an SMS,
    and for calls that nobody answers or that ended earlier.
    """
    if message.channel != Channel.CALL:
        raise Conflict("An SMS has no keys. Reply to it instead.", code="no_call")
    if not _KEYS.fullmatch(keys):
        raise InvalidInput(
            f"Send 1 to {MAX_KEYS} of the keys 0 to 9, * and #.",
            errors=[
                {"field": "keys", "message": f"This must be 1 to {MAX_KEYS} of the keys 0 to 9, * and #."}
            ],
        )
    if message.fate in _WITHOUT_RECIPIENT:
        raise Conflict("Nobody answers this call, so nobody can press a key.", code="not_answered")
    with transaction.atomic():
        # The carrier's poll skips a locked row, and reports on it later, with these keys.
        row = SandboxMessage.objects.select_for_update().get(pk=message.pk)
        if not takes_keys(row, timezone.now()):
            raise Conflict("This call has ended, so nobody can press a key any more.", code="call_ended")
        if len(row.keys) + len(keys) > MAX_KEYS:
            raise Conflict(f"More than {MAX_KEYS} keys cannot be pressed in one call.", code="too_many_keys")
        row.keys += keys
        row.save(update_fields=["keys"])
        if row.report_at is None:  # the last report was applied without these keys, so apply it again
            apply_events(_alias_of(row), [last_report(row)])


def takes_keys(message: SandboxMessage, now: datetime) -> bool:
    """Return whether keys can be pressed: in a call that is answered or will be, until LATE after its end."""
    if message.channel != Channel.CALL or message.fate in _WITHOUT_RECIPIENT:
        return False
    return message.report_at is not None or (message.end_at is not None and now <= message.end_at + LATE)


def _alias_of(message: SandboxMessage) -> str:
    """Return the trunk of a message. Raises Conflict if its delivery is no longer kept."""
    key = message.delivery_key
    sent = Delivery.objects.filter(pk=int(key)).select_related("trunk").first() if key.isdecimal() else None
    if sent is None:
        raise Conflict("This message is too old: what belongs to it is no longer kept.", code="too_old")
    return sent.trunk.alias
