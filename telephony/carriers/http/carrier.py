"""The flow of every carrier over HTTP: send a batch at once, classify each response, and let the trunk rest or pause.

An adapter implements `request_of` and `outcome`. It never sends, waits, retries or logs.
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from importlib.util import find_spec
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured

from telephony.carriers.base import (
    Accepted,
    ConcurrentCarrier,
    Later,
    Rejected,
    Result,
    Submission,
    Unknown,
)
from telephony.carriers.errors import CarrierError, Misconfigured, OutOfFunds, Throttled, Unreachable
from telephony.carriers.http.client import ApiRequest, ApiResponse, HttpClient, NoResponse, NotSent
from telephony.carriers.http.options import COMMON, Option, Secret, checked, defaults_of
from telephony.carriers.http.outcomes import FAILURES, Refusal, Verdict, status_codes
from telephony.carriers.http.redaction import redacted
from telephony.carriers.refusals import Meaning, RefusalsInARow, Rest

log = logging.getLogger(__name__)

Outcome = Result | CarrierError

RETRY_SECONDS = 5.0  # of a submission that the carrier refused, while it accepted others
DOUBTFUL_RETRY_SECONDS = 30.0
# A delivery that is refused for a reason that may be the trunk's fault fails after this many attempts.
MAX_ATTEMPTS = 5
UNPREPARED_RETRY_SECONDS = 30.0  # of a submission whose request could not be prepared
LOOK_UP_SECONDS = 60.0  # until a carrier that could not tell is asked about the same delivery again
_SEVERITY = (Unreachable, Throttled, OutOfFunds, Misconfigured)


class HttpCarrier(ConcurrentCarrier):
    """A carrier over HTTP. Subclasses declare `table`, their options beside COMMON, and `needed`, the required ones."""

    batch_size: ClassVar[int] = 100
    max_look_ups: ClassVar[int] = 20  # deliveries in one look-up; the engine asks about the others later
    table: ClassVar[Mapping[str, Option]] = {}
    needed: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.options = defaults_of({**cls.table, **COMMON})

    def __init__(self, *, alias: str, **options: Any) -> None:
        super().__init__(alias=alias, **options)
        if find_spec("httpcore2") is None:
            raise ImproperlyConfigured(
                f"Carrier {alias!r} needs the package httpcore2: pip install --require-hashes -r requirements/http.txt"
            )
        table = {**self.table, **COMMON}
        self.settings = checked(alias, table, self.settings, needed=self.needed)
        self._secrets = _secrets(table, self.settings)
        common = {name: self.settings[name] for name in COMMON}
        self.client = HttpClient(alias, self.settings["base_url"], **common)
        self._refusals, self._rest = RefusalsInARow(), Rest()
        self._ask_at: dict[
            str, float
        ] = {}  # monotonic, by key: when the carrier may be asked about a delivery again

    # What an adapter translates ---------------------------------------------------------------------------------

    @abstractmethod
    def request_of(self, one: Submission) -> ApiRequest | Rejected:
        """Return the request that submits this call or SMS, or a rejection if the carrier cannot take it."""

    @abstractmethod
    def outcome(self, one: Submission, response: ApiResponse) -> Result | Refusal | None:
        """Return the result in the response; None if the adapter does not know the body, so that the HTTP status decides."""

    # The flow ---------------------------------------------------------------------------------------------------

    def max_in_flight(self) -> int:
        """Return how many submissions may be under way: only one after a rest, to try the trunk."""
        return 1 if self._rest else int(self.settings["connections"])

    def prepare(self) -> None:
        self.client.prepare()

    def start(self, batch: Sequence[Submission]) -> Future[list[Result]]:
        return self.client.start(self._submit_all([(one, self._prepared(one)) for one in batch]))

    def ask(self, *requests: ApiRequest) -> list[ApiResponse]:
        """Send requests that submit nothing, such as for a report. Raises Unreachable if one gets no response."""

        async def send_all() -> list[ApiResponse]:
            return list(await asyncio.gather(*(self.client.send(request) for request in requests)))

        try:
            return self.client.start(send_all()).result()
        except (NotSent, NoResponse) as error:
            raise Unreachable(str(error)) from None

    def look_up(self, keys: Sequence[str]) -> dict[str, bool]:
        now = time.monotonic()
        asked = [key for key in keys if self._ask_at.get(key, now) <= now][: self.max_look_ups]
        earlier = {key: self._ask_at[key] for key in keys if key in self._ask_at}
        self._ask_at = earlier | dict.fromkeys(asked, now + LOOK_UP_SECONDS)
        try:
            return self.find(asked) if asked else {}
        except CarrierError as error:
            log.warning("%s cannot be asked about %d deliveries: %s", self.alias, len(asked), error)
            return {}

    def find(self, keys: Sequence[str]) -> dict[str, bool]:
        """Return the result of `look_up`. Adapters with `looks_up` implement this. It may raise a `CarrierError`."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the connections. The carrier can be used again."""
        self.client.close()

    def redacted(self, text: str) -> str:
        """Return a carrier's text without our secrets and phone numbers."""
        return redacted(text, self._secrets)

    def _prepared(self, one: Submission) -> ApiRequest | Result:
        try:
            return self.request_of(one)
        except Exception as error:
            # Whatever the error is, this request was not sent, and the other requests must still be sent.
            about = {"trunk": self.alias, "delivery": one.key}
            log.exception("%s: the request of delivery %s cannot be prepared", *about.values(), extra=about)
            text = f"The request cannot be prepared ({type(error).__name__})."
            return Later(key=one.key, seconds=UNPREPARED_RETRY_SECONDS, text=text)

    async def _submit_all(self, prepared: Sequence[tuple[Submission, ApiRequest | Result]]) -> list[Result]:
        if (left := self._rest.seconds_left(now=time.monotonic())) > 0:
            raise Throttled(self._rest.reason, retry_after=left)
        outcomes: list[Outcome] = await asyncio.gather(*(self._submit(*pair) for pair in prepared))
        errors = [one for one in outcomes if isinstance(one, CarrierError)]
        if errors and len(errors) == len(outcomes):
            raise max(errors, key=_severity)
        # Some of the batch were accepted, so the errors do not stop the trunk.
        return [
            _later(one.key, outcome) if isinstance(outcome, CarrierError) else outcome
            for (one, _), outcome in zip(prepared, outcomes, strict=True)
        ]

    async def _submit(self, one: Submission, request: ApiRequest | Result) -> Outcome:
        if not isinstance(request, ApiRequest):
            return request
        seconds = one.seconds_left()
        if seconds <= 0:
            return Later(key=one.key, seconds=0, text="Came after its validity had ended.")
        sent_at = time.monotonic()
        try:
            response = await self.client.send(request, seconds=seconds)
        except NotSent as error:
            return Unreachable(str(error))
        except NoResponse as error:
            return Unknown(key=one.key, text=str(error))
        outcome = self._classify(one, response)
        log.debug(
            "%s: delivery %s: HTTP %d after %.3f s: %s",
            self.alias,
            one.key,
            response.status,
            time.monotonic() - sent_at,
            type(outcome).__name__,
            extra={"trunk": self.alias, "delivery": one.key},
        )
        if isinstance(outcome, Refusal):
            return self._refused(one, outcome, sent_at=sent_at)
        if isinstance(outcome, Accepted):
            self._refusals.end(sent_at=sent_at)
            self._rest.end(sent_at=sent_at)
        return outcome

    def _classify(self, one: Submission, response: ApiResponse) -> Result | Refusal:
        wait = response.retry_after()
        if response.status == 429 or (response.status == 503 and wait is not None):
            return Refusal(Verdict.TOO_FAST, f"HTTP {response.status}", str(response.status), wait)
        try:
            outcome = self.outcome(one, response)
        except Exception as error:
            # The response has an unexpected shape. The carrier may have accepted the submission.
            log.warning(
                "%s: a response with HTTP %d cannot be read (%s)",
                self.alias,
                response.status,
                type(error).__name__,
            )
            outcome = None
        if outcome is not None:
            return outcome
        told = response.problem or self.redacted(response.text()) or "no text"
        return Refusal(
            status_codes(response.status), f"HTTP {response.status}: {told}", f"HTTP {response.status}"
        )

    def _refused(self, one: Submission, refusal: Refusal, *, sent_at: float) -> Outcome:
        text = self.redacted(refusal.text)
        match refusal.verdict:
            case Verdict.UNKNOWN:
                return Unknown(key=one.key, text=text)
            case Verdict.MISCONFIGURED:
                return Misconfigured(f"{text} (delivery {one.key})")
            case Verdict.OUT_OF_FUNDS:
                return OutOfFunds(text)
            case Verdict.TOO_FAST:
                return Throttled(text, retry_after=refusal.retry_after or 1.0)
            case Verdict.BUSY:
                return Later(key=one.key, seconds=refusal.retry_after or RETRY_SECONDS, text=text)
        log.info(
            "%s refused delivery %s: %s",
            self.alias,
            one.key,
            text,
            extra={"trunk": self.alias, "delivery": one.key},
        )
        cause, meaning = FAILURES[refusal.verdict]
        now = time.monotonic()
        refused = one.sender if refusal.about_sender and one.sender else one.to
        in_a_row = self._refusals.count(
            recipient=refused, meaning=meaning, code=refusal.code, sent_at=sent_at, now=now
        )
        if in_a_row and meaning is Meaning.TRUNK:
            return Misconfigured(f"Several recipients in a row were refused: {text} (delivery {one.key})")
        if in_a_row:
            self._rest.begin(f"Many recipients in a row were refused: {text}", now=now)
        may_be_the_trunk = meaning is Meaning.TRUNK or (in_a_row and meaning is Meaning.DOUBTFUL)
        if may_be_the_trunk and one.attempt < MAX_ATTEMPTS:
            return Later(key=one.key, seconds=DOUBTFUL_RETRY_SECONDS, text=text)
        return Rejected(key=one.key, cause=cause, text=text)


def _severity(error: CarrierError) -> tuple[int, float]:
    return _SEVERITY.index(type(error)), getattr(error, "retry_after", 0.0)


def _later(key: str, error: CarrierError) -> Later:
    return Later(key=key, seconds=getattr(error, "retry_after", RETRY_SECONDS), text=str(error))


def _secrets(table: Mapping[str, Option], settings: Mapping[str, Any]) -> Collection[str]:
    secrets: set[str] = set()
    for name, option in table.items():
        if option.secret is Secret.TEXT:
            secrets.add(settings[name])
        elif option.secret is Secret.LIST:
            secrets.update(settings[name])
    return sorted(secrets - {""}, key=len, reverse=True)
