"""Send SMS to an SMSC that speaks SMPP 3.4 (docs/smpp.md)."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import ClassVar

from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from telephony.carriers.base import (
    CarrierEvent,
    Done,
    InboundSms,
    Later,
    Pending,
    Rejected,
    Result,
    SessionCarrier,
    SessionRecord,
    Store,
    Submission,
    Unknown,
)
from telephony.carriers.errors import Misconfigured, Unreachable
from telephony.carriers.smpp import diagnosis, options, protocol, reassembly, resends
from telephony.carriers.smpp.hooks import Hooks, Receiver
from telephony.carriers.smpp.inbound import InboundReader
from telephony.carriers.smpp.link import Address, Link
from telephony.carriers.smpp.message import OutgoingSms
from telephony.carriers.smpp.outbound import SubmitSmEncoder, Unsendable
from telephony.carriers.smpp.outcomes import Outcomes
from telephony.carriers.smpp.pace import Pace
from telephony.carriers.smpp.part_reporting import CachedPartReporting
from telephony.carriers.smpp.protocol import Pdu
from telephony.carriers.smpp.receipts import MessageIdFormat
from telephony.carriers.smpp.separate_binds import SeparateLinks
from telephony.models import Cause, Channel
from telephony.segments import segments_of

log = logging.getLogger(__name__)

MIN_CLAIM_SIZE = 10
BIND_SECONDS = 5.0  # seconds that a submission waits for a bind
CLOSE_SECONDS = 8.0  # how long closing waits for outstanding responses
TRIAL_SECONDS = 1.0  # retry delay of the other SMS while one SMS tries a trunk that refused everybody
WAIT_SECONDS = 30.0  # retry delay of a resend while another SMS to the same number is in progress
MAX_BIND_NOTE_SECONDS = 5.0  # longest interval between two records of the bind in the database
CANCEL_SECONDS = 600.0  # how long after a cancel_sm a DELETED receipt counts as its confirmation
RECEIPT_SAMPLE_SIZE = 100  # latest receipts whose numbers are compared with those of their deliveries
RECEIPT_GRACE_SECONDS = 600.0  # how long after its validity period a receipt of an SMS may still come
_BAD_CREDENTIALS = (0x0E, 0x0F)


class SmppCarrier(SessionCarrier):
    """Submits SMS in a window and reports the result of each when the SMSC has responded.

    `submit` does not wait for responses. It only waits until the previous batch was written.
    """

    channels: ClassVar = frozenset({Channel.SMS})
    batch_size: ClassVar = 500
    gather_seconds: ClassVar = 0.1
    looks_up: ClassVar = True
    takes_senders: ClassVar = True
    pins_resends: ClassVar = True
    recall_text: ClassVar = resends.CANCELLED
    options: ClassVar = {name: option.default for name, option in options.OPTIONS.items()}

    def __init__(self, *, alias: str, **chosen: object) -> None:
        super().__init__(alias=alias, **chosen)
        options.check(alias, self.settings)
        if find_spec("smpp34") is None:
            raise ImproperlyConfigured(
                f"Carrier {alias!r} needs a package: pip install --require-hashes -r requirements/smpp.txt"
            )
        self._encoder = SubmitSmEncoder(self.settings)
        self._reader = InboundReader(alias, self.settings)
        self._pace = Pace(self.settings["parts_per_second"])
        self._outcomes = Outcomes(
            self.settings, ids=MessageIdFormat(self.settings["message_ids"]), pace=self._pace
        )
        self._average_parts = 1.0  # average number of PDUs per SMS in the latest batch
        self._bind_note_seconds = min(MAX_BIND_NOTE_SECONDS, self.settings["repeat_after_seconds"] / 2)
        self._bind_noted_at = 0.0
        self._cancelled: dict[str, float] = {}  # when a cancel_sm was sent, by recipient number
        self._receipts: deque[tuple[str, str]] = deque(maxlen=RECEIPT_SAMPLE_SIZE)  # (id, number)
        self.learns_part_reports = self.settings["receipts_for_long"] == "auto"
        self._part_reporting = CachedPartReporting(alias)
        self._link: Link | SeparateLinks | None = None
        self._record: SessionRecord = _nowhere

    def open(self, record: SessionRecord) -> None:
        self._record = record
        address = Address(**{name: self.settings[name] for name in Address.__dataclass_fields__})
        hooks = Hooks(
            withdrawn=resends.withdrawn,
            answered=self._outcomes.note_responses,
            settled=self._settled,
            unwritten=self._unwritten,
            received=self._received,
            held=lambda: time.monotonic() < self._pace.held_until,
            slot=lambda: self._pace.slot(now=time.monotonic()),
            bound=self._bound,
        )
        if self.settings["bind"] == "separate":
            receiver_port = self.settings["receiver_port"]
            self._link = SeparateLinks(self.alias, address, hooks, receiver_port=receiver_port)
        else:
            self._link = Link(self.alias, address, hooks)
        self._link.start()

    def close(self) -> None:
        if self._link is not None:
            self._link.stop(seconds=CLOSE_SECONDS)
            self._link = None

    def status(self) -> str:
        if self._link is None:
            return "not opened"
        if (slowed := self._pace.slowed) is None:
            return self._link.state
        # Round the pace, because each change of the status is written to the database.
        return f"{self._link.state}; slowed to about {round(slowed, 1 - len(str(int(slowed))))} parts a second by the SMSC"

    def pace(self) -> float | None:
        return limit / self._average_parts if (limit := self._pace.limit) else None

    def claim_size(self) -> int:
        if self._outcomes.is_on_trial:
            return 1
        return max(MIN_CLAIM_SIZE, int(self.settings["window"]))

    def reports_on(self, text: str) -> int:
        if self.settings["concatenation"] == "payload" or self.reports_once():
            return 1
        return max(1, segments_of(text))

    def reports_once(self) -> bool:
        if self.learns_part_reports:
            return self._part_reporting.reports_once()
        return bool(self.settings["receipts_for_long"] == "one")

    def advice(self) -> list[str]:
        return diagnosis.advice(self.alias, self.settings)

    def report_timeout(self) -> float:
        validity = self.settings["validity_seconds"]
        return validity + RECEIPT_GRACE_SECONDS if validity else super().report_timeout()

    def submit(self, batch: Sequence[Submission]) -> list[Result]:
        link = self._ready()
        results: list[Result] = []
        messages: list[OutgoingSms] = []
        resent = self._resends([int(one.key) for one in batch if one.attempt > 1])
        for one in batch:
            resend = resent.get(int(one.key))
            if resend is not None and (result := self._not_again(one, resend)):
                results.append(result)
                continue
            try:
                message = self._encoder.message(one, repeats=resend is not None)
                self._outcomes.prepare(message, to=one.to)
                messages.append(message)
            except Unsendable as error:
                results.append(Rejected(key=one.key, cause=Cause.REFUSED, text=str(error)))
            # Whatever the error is, this SMS was not sent, and the others can still be sent.
            except Exception as error:
                about = {"trunk": self.alias, "delivery": one.key}
                log.exception("%s: delivery %s cannot be written as SMPP", *about.values(), extra=about)
                text = f"SMPP cannot carry it: {error!r}"
                results.append(Rejected(key=one.key, cause=Cause.REFUSED, text=text))
        if messages and self._outcomes.is_on_trial:
            text = "The trunk is tried with one SMS first."
            for late in messages[1:]:
                results.append(Later(key=late.key, seconds=TRIAL_SECONDS, text=text, attempt=late.attempt))
            del messages[1:]
            self._outcomes.begin_trial()
        if messages:
            self._average_parts = sum(len(message.pdus) for message in messages) / len(messages)
            link.submit(messages)
        return results + [Pending(key=message.key) for message in messages]

    def look_up(self, keys: Sequence[str]) -> dict[str, bool]:
        """Return the messages that the SMSC has not accepted, as far as missing receipts show this (`resends`).

        The result is empty if the trunk requests no receipts.
        """
        if self.settings["repeat"] == "never" or not self.settings["receipts"]:
            return {}
        seconds = float(self.settings["repeat_after_seconds"])
        silent = resends.silent(self.alias, [int(key) for key in keys], seconds=seconds)
        ids = [
            pk
            for pk, text, heard in silent
            if heard is None
            or not (heard.decides(self.reports_on(text)) or heard.shows_accepted(self.reports_on(text)))
        ]
        resends.count(ids)
        return {str(pk): False for pk in ids}

    def _resends(self, ids: Sequence[int]) -> dict[int, resends.Resend]:
        """Raises Unreachable, since nothing of the batch is written yet."""
        try:
            return resends.pending(ids) if ids else {}
        except (OperationalError, InterfaceError) as error:
            raise Unreachable("The database is unavailable.") from error

    def _not_again(self, one: Submission, resend: resends.Resend) -> Result | None:
        """Return the result of a resend that must not be sent now, or None if it may be sent."""
        heard = resend.heard
        if heard is not None and heard.decides(self.reports_on(one.text)):
            event = CarrierEvent(
                key=one.key, status=heard.status, cause=heard.cause, text=heard.text, at=timezone.now()
            )
            self._record([event])
            return Pending(key=one.key)
        if heard is not None and heard.shows_accepted(self.reports_on(one.text)):
            return Unknown(key=one.key, text=f"The SMSC has this SMS. Its receipt says {heard.text}.")
        if resend.waits:
            text = "Another SMS to this number is under way, and the cancellation before the resend would cancel it, too."
            return Later(key=one.key, seconds=WAIT_SECONDS, text=text, attempt=one.attempt)
        self._note_cancel(one.to)
        return None

    def _note_cancel(self, number: str) -> None:
        now = time.monotonic()
        self._cancelled.pop(number, None)
        self._cancelled[number] = now
        # The oldest are first.
        while (oldest := next(iter(self._cancelled.items())))[1] < now - CANCEL_SECONDS:
            del self._cancelled[oldest[0]]

    def _ready(self) -> Link | SeparateLinks:
        """Return the bound link, or raise the CarrierError that says why nothing can be submitted now."""
        link = self._link
        if link is None:
            raise Unreachable("The trunk is not open.")
        self._outcomes.check()
        if not link.is_bound(within=BIND_SECONDS):
            if link.refusal in _BAD_CREDENTIALS:
                raise Misconfigured(link.state)
            raise Unreachable(link.state)
        return link

    # In the thread of the link

    def _settled(self, messages: Sequence[OutgoingSms]) -> None:
        results = []
        for message in messages:
            # The SMS may have been sent again since. Then a late refusal of the first attempt is ignored.
            if message.has_result and message.accepted_parts < len(message.pdus):
                continue
            result = self._outcomes.result(message)
            if isinstance(result, Unknown) and message.cancel and not message.is_withheld:
                result = replace(result, resent=True)
            message.has_result = True
            results.append(result)
        self._record(results)

    def _unwritten(self, messages: Sequence[OutgoingSms]) -> None:
        self._record([self._outcomes.unwritten(message) for message in messages])

    def _bound(self, seconds: float, after_refusal: bool) -> None:
        """Record how long the trunk has been bound, as soon as all receipts that have arrived so far are stored."""
        now = time.monotonic()
        if seconds >= self._bind_note_seconds and now - self._bind_noted_at >= self._bind_note_seconds:
            self._bind_noted_at = now
            receipts, self._receipts = self._receipts, deque(maxlen=RECEIPT_SAMPLE_SIZE)
            note = partial(
                resends.note_bound, self.alias, at=now, seconds=seconds, after_refusal=after_refusal
            )
            self._record([], partial(self._note, note, receipts))

    def _received(self, session: Receiver, pdus: Sequence[Pdu]) -> None:
        """Pass on receipts and inbound SMS. They are acknowledged after they are stored."""
        receipts: list[CarrierEvent] = []
        of_receipts: list[Pdu] = []
        items: list[CarrierEvent | InboundSms] = []
        parts: list[reassembly.Part] = []
        of_parts: list[Pdu] = []
        others: list[Pdu] = []
        for pdu in pdus:
            item = self._reader.item(pdu)
            if isinstance(item, CarrierEvent):
                self._receipts.append((item.ref, item.number))
                if item.ref and not self._confirms_cancel(item):
                    receipts.append(item)
                    of_receipts.append(pdu)
                    continue
            others.append(pdu)
            if isinstance(item, reassembly.Part):
                parts.append(item)
                of_parts.append(pdu)
            elif item is not None and not self._confirms_cancel(item):
                items.append(item)
        link = self._link
        assert link is not None
        # Separately from the other items, so that the engine can store receipts at once and apply them later.
        if receipts:
            self._record(receipts, partial(self._store, link, session, of_receipts, [], []))
        if others:
            self._record(items, partial(self._store, link, session, others, parts, of_parts))

    def _confirms_cancel(self, item: CarrierEvent | InboundSms) -> bool:
        """Return whether the item is a receipt that only confirms the cancellation of an SMS before its resend."""
        return (
            isinstance(item, CarrierEvent)
            and item.text.startswith(self.recall_text)
            and time.monotonic() - self._cancelled.get(item.number, -CANCEL_SECONDS) < CANCEL_SECONDS
        )

    # In the event writer's thread, after all earlier items are stored

    def _note(self, note: Callable[..., None], receipts: Sequence[tuple[str, str]], store: Store) -> None:
        note(receipts=receipts)
        reassembly.hand_on_incomplete(self.alias, store=store)

    def _store(
        self,
        link: Link | SeparateLinks,
        session: Receiver,
        pdus: Sequence[Pdu],
        parts: Sequence[reassembly.Part],
        of_parts: Sequence[Pdu],
        store: Store,
    ) -> None:
        """Acknowledge stored items. Parts of long messages are stored only now."""
        stored = pdus
        if parts:
            try:
                reassembly.keep(self.alias, parts, store=store)
            except (OperationalError, InterfaceError) as error:
                log.warning("%s: %d parts must come again: %s", self.alias, len(parts), error)
                stored = [pdu for pdu in pdus if pdu not in of_parts]
                link.acknowledge(session, of_parts, protocol.QUEUE_FULL)
            except Exception:  # otherwise the SMSC would send them for ever, with the same error each time
                log.exception("%s: parts that cannot be stored: %r", self.alias, parts)
        link.acknowledge(session, stored)


def _nowhere(items: Sequence[object], done: Done | None = None) -> None:
    """Drop reports. This is the `record` of a carrier that is not open."""
