"""Define the carrier interface. The engine uses only the types of this module; each carrier translates them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol

from django.core.exceptions import ImproperlyConfigured

from telephony.call_scripts import Script, SurveyResponse
from telephony.carriers.validity import Validity
from telephony.models import Cause, Channel, DeliveryStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """One call or SMS that the engine hands to a carrier. The carrier must not send it after `valid_until`.

    `valid_until` is a time of the database's clock. A carrier that sends from this process asks `seconds_left` instead.

    A `script` means that the recording asks survey questions. It says when each step begins and ends in the recording
    (`telephony.call_scripts`). `sender` is the approved sender of an SMS (`telephony.senders`): a name, a number in E.164 or
    a short code. It is empty if the trunk decides; otherwise it takes precedence over the trunk's own sender and `caller`.
    """

    key: str
    channel: Channel
    to: str = field(repr=False)
    caller: str
    sender: str = ""
    text: str = field(repr=False)
    audio_name: str
    audio_seconds: float | None
    attempt: int
    owner_id: int
    valid_until: datetime
    validity: Validity | None = None
    script: Script = ()

    def seconds_left(self) -> float:
        """Return for how many seconds the carrier may still send it, whatever the clock of this machine shows."""
        if self.validity is not None:
            return self.validity.seconds_left()
        return (self.valid_until - datetime.now(UTC)).total_seconds()


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """The carrier accepted the submission under the id `ref`.

    `parts` holds the ids of all parts if the carrier reports on each part separately. Then the SMS is completed when all
    parts are completed. `completes` means that no report will follow, so the SMS is completed now.
    """

    key: str
    ref: str = ""
    parts: tuple[str, ...] = ()
    completes: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejected:
    """The carrier refused the submission permanently."""

    key: str
    cause: Cause
    text: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Later:
    """The carrier certainly did not accept the submission. The engine retries it after `seconds`.

    If `attempt` is given, the engine ignores this result once a later attempt has begun.
    """

    key: str
    seconds: float
    text: str = ""
    attempt: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Unknown:
    """The carrier may have accepted the submission, so the engine never resends it blindly.

    `resent` means that a pinned delivery was sent again. Reports that arrived before this attempt concern earlier attempts.
    """

    key: str
    text: str = ""
    resent: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Pending:
    """The submission is on its way. The session carrier passes its result to `record` later.

    If the process dies first, the lease expires and the delivery becomes unknown.
    """

    key: str


Result = Accepted | Rejected | Later | Unknown | Pending


@dataclass(frozen=True, kw_only=True, slots=True)
class CarrierEvent:
    """One report on a delivery. It names the delivery by our `key`, or by the carrier's `ref` if the carrier drops our key.

    `seconds` is the length of the call since pickup. `playback` is the percentage of the message that was heard.
    `digits` are all keys pressed so far. `answers` are all survey responses so far. `number` is the recipient in E.164,
    if the carrier names it: it identifies the delivery when the submit response with the `ref` was lost, and tells two
    deliveries with the same `ref` apart. `written_ref` is the `ref` as the carrier wrote it, if the carrier normalizes ids.
    """

    key: str = ""
    ref: str = ""
    written_ref: str = ""
    number: str = field(default="", repr=False)  # logs show events, but must not show numbers or texts
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
    """An SMS that a person sent to us. Phone numbers are in E.164; short codes and names are as the carrier writes them.

    `ref` is the carrier's id of the SMS. If an SMS with this `ref` is already stored, nothing changes.
    """

    ref: str = ""
    sender: str = field(repr=False)
    to: str = field(repr=False)
    text: str = field(repr=False)
    at: datetime


Record = Callable[[Sequence[CarrierEvent]], object]
# Stores reports and SMS at once, in the caller's transaction if there is one.
Store = Callable[[Sequence[CarrierEvent | InboundSms]], object]
Done = Callable[[Store], object]


class SessionRecord(Protocol):
    """Queue the results and events of a session, in order, without blocking. `done` is called when all of it is stored.

    The thread that stores calls it with a function `store`, for items that the session derives from the stored ones,
    such as a long SMS that is joined from its parts.
    """

    def __call__(
        self, items: Sequence[CarrierEvent | InboundSms | Result], done: Done | None = None
    ) -> object: ...


class Carrier(ABC):
    """One configured connection to a carrier.

    Subclasses declare their options and defaults in `options`. An unknown option raises ImproperlyConfigured.
    """

    channels: ClassVar[frozenset[Channel]]
    batch_size: ClassVar[int] = 1
    polls: ClassVar[bool] = False
    looks_up: ClassVar[bool] = False
    # Whether each SMS can have a sender of its own (`Submission.sender`).
    takes_senders: ClassVar[bool] = False
    # True if the carrier may have accepted a delivery that look_up reports as not accepted, but can make a resend harmless,
    # for example by cancelling the earlier SMS. Then the delivery stays on this trunk, and reports about the earlier SMS
    # belong to it.
    pins_resends: ClassVar[bool] = False
    # Beginning of the text of reports that only confirm a cancellation by iris; "" if there are no such reports.
    recall_text: ClassVar[str] = ""
    # Whether iris must find out from the reports if the carrier reports on each part of a long SMS or only once.
    learns_part_reports: bool = False
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
        """Submit at most `batch_size` calls or SMS. Return one result for each, in any order.

        Raises a `CarrierError` if the carrier certainly accepted none. Any other exception makes all of them unknown.
        """

    def poll(self, record: Record) -> int:
        """Pass new events to `record` and return how many there were. Forget them only after `record` has returned."""
        raise NotImplementedError

    def look_up(self, keys: Sequence[str]) -> dict[str, bool]:
        """Return for each key whether the carrier accepted the delivery. Omit keys for which the carrier cannot tell.

        The engine asks only after the submission's `valid_until`. See `pins_resends` for a carrier that is not sure.
        """
        raise NotImplementedError

    def pace(self) -> float | None:
        """Return the carrier's own present limit in deliveries per second (besides the trunk's CPS), or None."""
        return None

    def claim_size(self) -> int | None:
        """Return how many deliveries may be claimed at once; None for the default.

        A small claim keeps OTPs fast, because an OTP cannot overtake a delivery that is already claimed.
        """
        return None

    def reports_on(self, text: str) -> int:
        """Return how many reports to expect on an SMS of this text: one, unless each part is reported separately."""
        return 1

    def reports_once(self) -> bool:
        """Return whether a report on one part of a long SMS counts for all of it (`Accepted.parts`)."""
        return False

    def advice(self) -> list[str]:
        """Return sentences for `manage.py trunk_status`: what the operator should know or change. May read the database."""
        return []

    def report_timeout(self) -> float:
        """Return after how many seconds without a final report a delivery is lost."""
        from django.conf import settings

        return float(settings.IRIS_REPORT_TIMEOUT_SECONDS)

    def balance(self) -> str:
        """Return the remaining credit at the carrier, for `manage.py trunk_status`; "" if the carrier cannot be asked.

        Raises a `CarrierError` if the carrier does not answer.
        """
        return ""


class ConcurrentCarrier(Carrier):
    """A carrier that works on many batches at once, so that a slow response delays no other submission."""

    @abstractmethod
    def max_in_flight(self) -> int:
        """Return how many submissions may be under way at the same time, in all batches of this process together."""

    def prepare(self) -> None:
        """Do whatever the first submission of a process needs, so that it leaves as soon as it is due, as all others do."""

    @abstractmethod
    def start(self, batch: Sequence[Submission]) -> Future[list[Result]]:
        """Begin to submit a batch, without blocking. The future has what `submit` would return or raise."""

    def submit(self, batch: Sequence[Submission]) -> list[Result]:
        return self.start(batch).result()


class SessionCarrier(Carrier):
    """A carrier that keeps a connection open: a registration, a bind, or calls in progress.

    It lives in the worker process of its trunk's own queue (`telephony.engine.trunk_worker`). The worker opens it before
    the first submission and closes it at shutdown.
    """

    # Events are collected for this many seconds before they are recorded. This makes batches larger, but delays each event.
    gather_seconds: ClassVar[float] = 0.0
    # True if deliveries in progress end with the process, as calls do. The next worker then finishes them as lost.
    dies_with_worker: ClassVar[bool] = False

    @abstractmethod
    def open(self, record: SessionRecord) -> None:
        """Start to connect, and reconnect until closed. Any thread may pass results and events to `record`."""

    @abstractmethod
    def close(self) -> None:
        """Stop submitting, give deliveries in progress a reasonable time to finish, and disconnect."""

    @abstractmethod
    def status(self) -> str:
        """Return one line for `manage.py trunk_status`: whether the session is connected, and if not, why not."""
