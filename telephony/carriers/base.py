"""The carrier interface: the base owns the words, a carrier only translates them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Protocol

from django.core.exceptions import ImproperlyConfigured

from telephony.call_scripts import Script, SurveyResponse
from telephony.models import Cause, Channel, DeliveryStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """One call or SMS as a carrier gets it. Past `valid_until` it must not be sent any more.

    With a `script`, the recording asks for answers: `telephony.call_scripts` tells which part of it is which step.
    """

    key: str
    channel: Channel
    to: str = field(repr=False)
    caller: str
    text: str = field(repr=False)
    audio_name: str
    audio_seconds: float | None
    attempt: int
    owner_id: int
    valid_until: datetime
    script: Script = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """The carrier has it, under the id `ref`.

    `parts` are the ids of all parts, where the carrier numbers and reports them apart: the whole is completed when all of
    them are. `completes`: the carrier will say no more, so an SMS counts as completed.
    """

    key: str
    ref: str = ""
    parts: tuple[str, ...] = ()
    completes: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejected:
    """The carrier will never take this one."""

    key: str
    cause: Cause
    text: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Later:
    """Surely not taken; the same again in `seconds`. With `attempt`, nothing happens if another attempt has begun."""

    key: str
    seconds: float
    text: str = ""
    attempt: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Unknown:
    """It may have been taken: never sent again blindly."""

    key: str
    text: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pending:
    """On its way: a session carrier hands its result to `record` when it is known. Should it die, the lease ends."""

    key: str


Result = Accepted | Rejected | Later | Unknown | Pending


@dataclass(frozen=True, kw_only=True, slots=True)
class CarrierEvent:
    """One report. It names its delivery by our `key`, or by the carrier's `ref` where our key does not travel.

    `seconds` is how long the call was answered, `playback` the per cent of the message that was heard, `digits` are all
    keys that were pressed so far, `answers` those to the steps of its script so far. `number` is whom it is about (E.164),
    where the carrier says so: it finds the delivery when the answer with its `ref` was lost.
    """

    key: str = ""
    ref: str = ""
    number: str = field(default="", repr=False)  # logs show events, and no numbers and texts
    status: DeliveryStatus
    at: datetime
    cause: Cause = Cause.NONE
    seconds: float | None = None
    playback: int | None = None
    text: str = field(default="", repr=False)
    digits: str = field(default="", repr=False)
    answers: tuple[SurveyResponse, ...] = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class InboundSms:
    """An SMS that somebody has sent us. Numbers are in E.164 where they are phone numbers, else as the carrier has them."""

    sender: str = field(repr=False)
    to: str = field(repr=False)
    text: str = field(repr=False)
    at: datetime


Record = Callable[[Sequence[CarrierEvent]], object]


class SessionRecord(Protocol):
    """Takes what a session has to say, in order, and never waits. `done` is called when all of it is stored."""

    def __call__(
        self, items: Sequence[CarrierEvent | InboundSms | Result], done: Callable[[], object] | None = None
    ) -> object: ...


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

    def pace(self) -> float | None:
        """How many a second the carrier itself lets through at present, beside the trunk's CPS."""
        return None

    def claim_size(self) -> int | None:
        """How many are claimed for it at once at most: what is claimed is not overtaken by an OTP any more."""
        return None

    def reports_on(self, text: str) -> int:
        """How many reports on an SMS of this text there will be: one, unless its parts are reported apart."""
        return 1

    def report_timeout(self) -> float:
        """Seconds without a final report after which a delivery counts as lost."""
        from django.conf import settings

        return float(settings.IRIS_REPORT_TIMEOUT_SECONDS)


class SessionCarrier(Carrier):
    """A carrier that keeps a connection: registered, bound, with calls on the line.

    It lives in the worker process of its trunk's own queue (`telephony.engine.trunk_worker`). The worker opens it before
    the first submission and closes it at shutdown.
    """

    # For so long what it says is gathered before it is recorded: larger sets, a little later.
    gather_seconds: ClassVar[float] = 0.0
    # Whether what is under way ends with the process, as calls do: then the next one ends their deliveries as lost.
    dies_with_worker: ClassVar[bool] = False

    @abstractmethod
    def open(self, record: SessionRecord) -> None:
        """Connect, and go on connecting for as long as it takes. What happens goes to `record`, from whatever thread."""

    @abstractmethod
    def close(self) -> None:
        """Submit nothing more, let what is under way end within a reasonable time, and disconnect."""

    @abstractmethod
    def status(self) -> str:
        """Registered, bound or not, and why not: a line for `manage.py trunk_status`."""
