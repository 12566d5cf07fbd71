"""Calls over a SIP trunk or PBX, by the SIP stack baresip (the extra `iris[sip]`).

One trunk worker keeps the stack for its whole life, with hundreds of calls on one event loop. It plays the
recording, measures how much of it was sent, takes DTMF, and records what is said where that is asked for. docs/sip.md
has the options, `causes` what SIP's answers mean.

A worker that dies takes its calls with it. Nobody is called again for that: their deliveries end as "lost", as soon as
the next worker runs, or else after `report_timeout`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
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
from telephony.carriers.sip.line import Dial, Line, TooManyCallers
from telephony.carriers.sip.options import DEFAULTS, SipOptions
from telephony.models import Cause, Channel
from telephony.voices import audio as recordings

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
        dials: list[Dial] = []
        now = timezone.now()
        for one in batch:
            if one.valid_until <= now:
                results.append(Later(key=one.key, seconds=0, text="Came after its validity had ended."))
                continue
            try:
                pcm = _pcm_of(one.audio_name)
            except (OperationalError, InterfaceError) as error:  # nobody was called yet
                raise Unreachable("The database is away.") from error
            except FileNotFoundError:
                text = "The recording is gone from the media folder."
                results.append(Rejected(key=one.key, cause=Cause.REFUSED, text=text))
                continue
            dials.append(
                Dial(
                    key=one.key,
                    to=one.to,
                    caller=one.caller,
                    attempt=one.attempt,
                    pcm=pcm,
                    script=one.script,
                )
            )
        if dials:
            results += [_result(one, sent) for one, sent in zip(dials, self._line.dial(dials), strict=True)]
        return results

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
    from baresip import BaresipError, CommandTimeout

    if sent is True:
        return Pending(key=one.key)
    if sent is False:
        return Later(key=one.key, seconds=1.0, text="The trunk is tried with one call first.")
    if isinstance(sent, TooManyCallers):
        return Rejected(key=one.key, cause=Cause.REFUSED, text=str(sent))
    if isinstance(sent, BaresipError) and not isinstance(sent, CommandTimeout):
        # The stack itself would not: no address of ours leads there, the name is unknown. Nothing was sent.
        return Later(key=one.key, seconds=5.0, text=str(sent))
    return Unknown(key=one.key, text=repr(sent))


@lru_cache(maxsize=16)
def _pcm_of(name: str) -> bytes:
    """Campaigns play few recordings to many."""
    return recordings.pcm_of(name)
