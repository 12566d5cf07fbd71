"""Calls over a SIP trunk or PBX, by the SIP stack baresip (the extra `iris[sip]`).

One trunk worker keeps the stack for its whole life, with hundreds of calls on one event loop. It plays the
recording, measures how much of it was sent, takes DTMF, and records what is said where that is asked for. docs/sip.md
has the options, `causes` what SIP's answers mean.

A worker that dies takes its calls with it. Nobody is called again for that: their deliveries end as "lost", as soon as
the next worker runs, or else after `report_timeout`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from importlib.util import find_spec
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError
from django.utils import timezone

from telephony.carriers.base import (
    Later,
    Pending,
    Rejected,
    Result,
    SessionCarrier,
    SessionRecord,
    Submission,
    Unknown,
)
from telephony.carriers.errors import Unreachable
from telephony.carriers.sip.calls import SETUP_SECONDS
from telephony.carriers.sip.circuit_breaker import AGAIN_SECONDS
from telephony.carriers.sip.options import DEFAULTS, SipOptions
from telephony.carriers.sip.recordings import Gone, Recordings
from telephony.carriers.sip.stack import Dial, Line, NotDialled, TooManyCallers
from telephony.models import Cause, Channel

log = logging.getLogger(__name__)

UNREAD_SECONDS = 30.0  # until a call whose recording could not be read is tried again
# Seconds beyond the longest call after which nobody will report on it any more.
REPORT_GRACE = 60.0


class SipCarrier(SessionCarrier):
    channels: ClassVar = frozenset({Channel.CALL})
    batch_size: ClassVar = 10
    gather_seconds: ClassVar = 0.2
    dies_with_worker: ClassVar = True
    options: ClassVar = DEFAULTS

    def __init__(self, *, alias: str, **options: Any) -> None:
        super().__init__(alias=alias, **options)
        if find_spec("baresip") is None:
            raise ImproperlyConfigured(
                "SIP trunks need the package baresip-python: pip install --require-hashes -r requirements/sip.txt"
            )
        self._options = SipOptions.of(alias, options)
        self._recordings = Recordings()
        self._line: Line | None = None

    def open(self, record: SessionRecord) -> None:
        self._line = Line(self.alias, self._options, record)

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def status(self) -> str:
        return self._line.status if self._line is not None else "closed"

    def submit(self, batch: Sequence[Submission]) -> list[Result]:
        if self._line is None:
            raise Unreachable("The trunk is not open.")
        results: list[Result] = []
        dials: list[tuple[Dial, datetime]] = []
        unread: list[Exception] = []
        for one in batch:
            try:
                dials.append((self._dial_of(one), one.valid_until))
            except (OperationalError, InterfaceError) as error:  # nobody was called yet
                raise Unreachable("The database is away.") from error
            except Gone as error:
                results.append(Rejected(key=one.key, cause=Cause.REFUSED, text=str(error)))
            except Exception as error:
                # Whatever it is: nobody was called for this one, and the others can be.
                text = "The recording cannot be read at present."
                results.append(Later(key=one.key, seconds=UNREAD_SECONDS, text=text))
                unread.append(error)
        if unread:
            log.warning(
                "%s: the recordings of %d calls cannot be read: %r", self.alias, len(unread), unread[0]
            )
        now = timezone.now()  # when all has been read, which may have taken long
        text = "Came after its validity had ended."
        # Behind others, since it may be its own recording that takes so long to read.
        results += [Later(key=one.key, seconds=1.0, text=text) for one, until in dials if until <= now]
        if valid := [one for one, until in dials if until > now]:
            results += [_result(one, sent) for one, sent in zip(valid, self._line.dial(valid), strict=True)]
        return results

    def _dial_of(self, one: Submission) -> Dial:
        return Dial(
            key=one.key,
            to=one.to,
            caller=one.caller,
            attempt=one.attempt,
            pcm=self._recordings.pcm_of(one.audio_name),
            script=one.script,
        )

    def report_timeout(self) -> float:
        return (
            SETUP_SECONDS
            + self._options.ring_seconds
            + self._options.lead_seconds
            + settings.IRIS_MAX_AUDIO_SECONDS
            + self._options.tail_seconds
            + REPORT_GRACE
        )


def _result(one: Dial, sent: bool | Exception) -> Result:
    from baresip import BaresipError, CommandTimeout, RuntimeDead

    if sent is True:
        return Pending(key=one.key)
    if sent is False:
        return Later(key=one.key, seconds=1.0, text="The trunk is tried with one call first.")
    if isinstance(sent, TooManyCallers):
        return Rejected(key=one.key, cause=Cause.REFUSED, text=str(sent))
    if isinstance(sent, NotDialled):
        if sent.seconds is None:
            return Rejected(key=one.key, cause=Cause.REFUSED, text=str(sent))
        return Later(key=one.key, seconds=sent.seconds, text=str(sent))
    if isinstance(sent, BaresipError) and not isinstance(sent, (CommandTimeout, RuntimeDead)):
        # There is no agent for the number that calls. Nothing was sent.
        return Later(key=one.key, seconds=AGAIN_SECONDS, text=str(sent))
    return Unknown(key=one.key, text=repr(sent))
