"""The carrier interface: the base owns the words, a carrier only translates them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured

from telephony.models import Cause, Channel, DeliveryStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """One call or SMS as a carrier gets it. Past `valid_until` it must not be sent any more."""

    key: str
    channel: Channel
    to: str
    caller: str
    text: str
    audio_name: str
    audio_seconds: float | None
    attempt: int
    owner_id: int
    valid_until: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    key: str
    ref: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejected:
    """The carrier will never take this one."""

    key: str
    cause: Cause
    text: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Later:
    """Surely not taken; the same again in `seconds`."""

    key: str
    seconds: float
    text: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Unknown:
    """It may have been taken: never sent again blindly."""

    key: str
    text: str = ""


Result = Accepted | Rejected | Later | Unknown


@dataclass(frozen=True, kw_only=True, slots=True)
class CarrierEvent:
    """One report. It names its delivery by our `key`, or by the carrier's `ref` where our key does not travel.

    `seconds` is how long the call was answered, `playback` the per cent of the message that was heard.
    """

    key: str = ""
    ref: str = ""
    status: DeliveryStatus
    at: datetime
    cause: Cause = Cause.NONE
    seconds: float | None = None
    playback: int | None = None
    text: str = ""


Record = Callable[[Sequence[CarrierEvent]], object]


class Carrier(ABC):
    """One configured connection to a carrier.

    Subclasses name their options in `options`; an unknown one stops the start.
    """

    channels: ClassVar[frozenset[Channel]]
    batch_size: ClassVar[int] = 1
    polls: ClassVar[bool] = False
    looks_up: ClassVar[bool] = False
    options: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, *, alias: str, **options: Any) -> None:
        unknown = sorted(set(options) - set(self.options))
        if unknown:
            raise ImproperlyConfigured(
                f"Carrier {alias!r} has no option {', '.join(unknown)}; it has: {', '.join(sorted(self.options)) or 'none'}."
            )
        self.alias = alias
        self.settings = {**self.options, **options}

    @abstractmethod
    def submit(self, batch: Sequence[Submission]) -> list[Result]:
        """Hand over at most `batch_size` calls or SMS; one result each, in any order.

        Raises a `CarrierError` when surely none was taken. Any other exception makes all of them unknown.
        """

    def poll(self, record: Record) -> int:
        """Pass what is new to `record`, and forget it only after `record` has returned; the number of events."""
        raise NotImplementedError

    def look_up(self, keys: Sequence[str]) -> dict[str, bool]:
        """Whether each was taken, asked only after its `valid_until`; absent when the carrier cannot tell."""
        raise NotImplementedError

    def report_timeout(self) -> float:
        """Seconds without a final report after which a delivery counts as lost."""
        from django.conf import settings

        return float(settings.IRIS_REPORT_TIMEOUT_SECONDS)


class SessionCarrier(Carrier):
    """A carrier that keeps a connection: registered, bound, with calls on the line.

    It lives in the worker process of its trunk's own queue (`telephony.sessions`), which opens it before the first
    submission and closes it at shutdown.
    """

    @abstractmethod
    def open(self, record: Record) -> None:
        """Connect, and go on connecting for as long as it takes. Events go to `record`, from whatever thread."""

    @abstractmethod
    def close(self) -> None:
        """Submit nothing more, let what is under way end within a reasonable time, and disconnect."""

    @abstractmethod
    def status(self) -> str:
        """Registered, bound or not, and why not: a line for `manage.py trunk_status`."""
