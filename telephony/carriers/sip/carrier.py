"""Make calls over a SIP trunk or PBX with the SIP stack baresip (the extra `iris[sip]`).

One trunk worker runs the stack for its whole life, with hundreds of calls on one event loop. It plays the recording,
measures how much of it was sent, receives DTMF, and records spoken survey responses. docs/sip.md describes the options;
`causes` has the meaning of SIP responses.

If the worker dies, its calls end with it. These recipients are not called again: their deliveries fail as "lost" when
the next worker starts, or else after `report_timeout`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError

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
from telephony.carriers.sip.agents import TooManyCallerNumbers
from telephony.carriers.sip.calls import SETUP_SECONDS
from telephony.carriers.sip.circuit_breaker import RETRY_SECONDS
from telephony.carriers.sip.options import DEFAULTS, SipOptions
from telephony.carriers.sip.recordings import RecordingGone, Recordings
from telephony.carriers.sip.stack import CallRequest, NotDialled, SipStack
from telephony.models import Cause, Channel

log = logging.getLogger(__name__)

UNREADABLE_RETRY_SECONDS = 30.0  # retry delay of a call if its recording could not be read
REPORT_GRACE_SECONDS = 60.0  # time beyond the longest possible call, after which no report can come


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
        self._stack: SipStack | None = None

    def open(self, record: SessionRecord) -> None:
        self._stack = SipStack(self.alias, self._options, record)

    def close(self) -> None:
        if self._stack is not None:
            self._stack.close()
            self._stack = None

    def status(self) -> str:
        return self._stack.status if self._stack is not None else "closed"

    def submit(self, batch: Sequence[Submission]) -> list[Result]:
        if self._stack is None:
            raise Unreachable("The trunk is not open.")
        results: list[Result] = []
        requests: list[tuple[CallRequest, Submission]] = []
        unreadable: list[Exception] = []
        for one in batch:
            try:
                requests.append((self._request_of(one), one))
            except (OperationalError, InterfaceError) as error:  # no call of this batch was made yet
                raise Unreachable("The database is unavailable.") from error
            except RecordingGone as error:
                results.append(Rejected(key=one.key, cause=Cause.REFUSED, text=str(error)))
            except Exception as error:
                # Whatever the error is, this call was not made, and the other calls must still be made.
                text = "The recording cannot be read at present."
                results.append(Later(key=one.key, seconds=UNREADABLE_RETRY_SECONDS, text=text))
                unreadable.append(error)
        if unreadable:
            log.warning(
                "%s: the recordings of %d calls cannot be read: %r",
                self.alias,
                len(unreadable),
                unreadable[0],
            )
        # Checked again, because reading the recordings may have taken long.
        valid = [call for call, one in requests if one.seconds_left() > 0]
        text = "The submission came after its time limit."
        # Retry behind other calls, because it may be this call's own recording that is slow to read.
        keys = {call.key for call in valid}
        results += [Later(key=one.key, seconds=1.0, text=text) for _, one in requests if one.key not in keys]
        if valid:
            results += [_result(one, sent) for one, sent in zip(valid, self._stack.dial(valid), strict=True)]
        return results

    def _request_of(self, one: Submission) -> CallRequest:
        return CallRequest(
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
            + REPORT_GRACE_SECONDS
        )


def _result(one: CallRequest, sent: bool | Exception) -> Result:
    from baresip import BaresipError, CommandTimeout, RuntimeDead

    if sent is True:
        return Pending(key=one.key)
    if sent is False:
        return Later(key=one.key, seconds=1.0, text="The trunk is tried with one call first.")
    if isinstance(sent, TooManyCallerNumbers):
        return Rejected(key=one.key, cause=Cause.REFUSED, text=str(sent))
    if isinstance(sent, NotDialled):
        if sent.seconds is None:
            return Rejected(key=one.key, cause=Cause.REFUSED, text=str(sent))
        return Later(key=one.key, seconds=sent.seconds, text=str(sent))
    if isinstance(sent, BaresipError) and not isinstance(sent, (CommandTimeout, RuntimeDead)):
        # The stack could not create the agent of the caller's number, so it sent nothing.
        return Later(key=one.key, seconds=RETRY_SECONDS, text=str(sent))
    return Unknown(key=one.key, text=f"The SIP stack has not said whether it called: {sent}")
