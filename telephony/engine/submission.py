"""Submit a batch to a carrier, outside any transaction, and tell the circuit breaker about errors."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from telephony.call_scripts import load
from telephony.carriers.base import Carrier, Later, Rejected, Result, Submission, Unknown
from telephony.carriers.errors import CarrierError, Misconfigured, OutOfFunds, Throttled, Unreachable
from telephony.carriers.validity import Validity
from telephony.engine import circuit_breaker
from telephony.engine.lifecycle import Claimed
from telephony.models import Cause, Channel, PauseCause

log = logging.getLogger(__name__)

_UNWANTED = {
    Cause.OPTED_OUT: "The recipient has opted out.",
    Cause.BLOCKED: "The operator of this server has blocked this number.",
}
LONGER_THAN_HELD = "The recording is longer than the credits held for this call allow. Begin it again."


@dataclass(frozen=True, slots=True)
class Departure:
    """A delivery that this process has claimed, and when to submit it. `slot` and `claimed_at` are monotonic times.

    `closes_at` is the monotonic time at which its calling hours end.
    """

    slot: float
    delivery: Claimed
    valid_until: datetime
    claimed_at: float
    closes_at: float = math.inf
    validity: Validity | None = None


class Submitted(NamedTuple):
    """A result for each delivery, whether the trunk rests now, and when the carrier was called (monotonic)."""

    results: list[Result]
    rests: bool
    begun: float


def submit(carrier: Carrier, departures: Sequence[Departure]) -> Submitted:
    """Submit deliveries in one batch, and wait for the carrier."""
    refused, batch = prepare(departures)
    begun = time.monotonic()
    if not batch:
        return Submitted(refused, False, begun)
    results, rests = conclude(carrier, batch, lambda: carrier.submit(batch))
    return Submitted([*refused, *results], rests, begun)


def prepare(departures: Sequence[Departure]) -> tuple[list[Result], list[Submission]]:
    """Return the results that need no carrier, and the submissions for the carrier.

    Opted-out and blocked recipients, invalid numbers, calls without audio and calls that are longer than their hold covers
    are rejected without asking the carrier. Deliveries whose calling hours have just ended return to the queue.
    """
    refused: list[Result] = []
    batch: list[Submission] = []
    now = time.monotonic()
    for departure in departures:
        if refusal := _refusal(departure.delivery):
            refused.append(refusal)
        elif departure.closes_at <= now:
            refused.append(
                Later(key=str(departure.delivery.id), seconds=0, text="Its calling hours are over")
            )
        else:
            batch.append(_submission(departure))
    return refused, batch


def conclude(
    carrier: Carrier, batch: Sequence[Submission], submitted: Callable[[], list[Result]]
) -> tuple[list[Result], bool]:
    """Return a result for each submission of a batch, and whether the trunk rests now.

    `submitted` returns the carrier's results, or raises its error. After an error the trunk rests or is paused.
    """
    try:
        results = submitted()
    except (Misconfigured, OutOfFunds) as e:
        cause = PauseCause.FUNDS if isinstance(e, OutOfFunds) else PauseCause.MISCONFIGURED
        circuit_breaker.fail(carrier.alias, reason=str(e), cause=cause)
        # With a delay, so that other deliveries are submitted first: one of these deliveries may be the reason for the
        # error.
        return [Later(key=submission.key, seconds=1, text=e.batch_text) for submission in batch], True
    except Throttled as e:
        circuit_breaker.rest(carrier.alias, reason=str(e), seconds=e.retry_after)
        return [
            Later(key=submission.key, seconds=e.retry_after, text=e.batch_text) for submission in batch
        ], True
    except (Unreachable, CarrierError) as e:
        circuit_breaker.rest(carrier.alias, reason=str(e), seconds=5)
        return [Later(key=submission.key, seconds=5, text=e.batch_text) for submission in batch], True
    except Exception as e:
        log.exception("Carrier %s failed in submit; %d deliveries are now unknown", carrier.alias, len(batch))
        results = [Unknown(key=submission.key, text=repr(e)) for submission in batch]
    missing = {submission.key for submission in batch} - {result.key for result in results}
    results = results + [Unknown(key=key, text="The carrier returned no result.") for key in missing]
    return results, circuit_breaker.note_results(carrier, results)


def _submission(departure: Departure) -> Submission:
    delivery = departure.delivery
    return Submission(
        key=str(delivery.id),
        channel=Channel(delivery.channel),
        to=delivery.to,
        caller=delivery.caller,
        sender=delivery.sender,
        text=delivery.text,
        audio_name=delivery.audio_name,
        audio_seconds=delivery.audio_seconds,
        attempt=delivery.attempts,
        owner_id=delivery.owner_id,
        valid_until=departure.valid_until,
        validity=departure.validity,
        script=load(delivery.script),
    )


def withdrawal(delivery_id: int, cause: Cause) -> Later | Rejected:
    """Return the result of a claimed delivery that must no longer be submitted (`telephony.optouts.claimed`)."""
    if cause is Cause.STOPPED:
        return Later(key=str(delivery_id), seconds=0, text="It was stopped")
    return _unwanted(delivery_id, cause)


def _unwanted(delivery_id: int, cause: Cause) -> Rejected:
    return Rejected(key=str(delivery_id), cause=cause, text=_UNWANTED[cause])


def _refusal(delivery: Claimed) -> Rejected | None:
    if delivery.opted_out:
        return _unwanted(delivery.id, Cause.OPTED_OUT)
    if delivery.cause == Cause.BLOCKED:
        return _unwanted(delivery.id, Cause.BLOCKED)
    if not delivery.to:
        return Rejected(key=str(delivery.id), cause=Cause.INVALID, text="The phone number is invalid.")
    if delivery.cause == Cause.NO_PRICE:
        return Rejected(key=str(delivery.id), cause=Cause.NO_PRICE, text="This destination has no price.")
    if delivery.cause == Cause.NO_SENDER:
        return Rejected(
            key=str(delivery.id),
            cause=Cause.NO_SENDER,
            text="The account has no approved sender for this number.",
        )
    if delivery.channel == Channel.CALL and not delivery.audio_name:
        return Rejected(
            key=str(delivery.id), cause=Cause.REFUSED, text="The message has no text that can be spoken."
        )
    if delivery.cause == Cause.TOO_LONG:
        return Rejected(key=str(delivery.id), cause=Cause.TOO_LONG, text=LONGER_THAN_HELD)
    return None
