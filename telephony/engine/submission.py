"""Submit a batch to a carrier, outside any transaction, and pause the trunk after errors."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from django.db import InterfaceError, OperationalError, connection

from telephony.call_scripts import load
from telephony.carriers.base import Carrier, Later, Rejected, Result, Submission, Unknown
from telephony.carriers.errors import CarrierError, Misconfigured, OutOfFunds, Throttled, Unreachable
from telephony.engine.lifecycle import Claimed
from telephony.models import Cause, Channel

log = logging.getLogger(__name__)

LONGER_THAN_HELD = "The recording is longer than the credits held for this call allow. Begin it again."


@dataclass(frozen=True, slots=True)
class Departure:
    """A delivery that this process has claimed, and when to submit it. `slot` and `claimed_at` are monotonic times."""

    slot: float
    delivery: Claimed
    valid_until: datetime
    claimed_at: float


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
    """Return the rejections that need no carrier, and the submissions for the carrier.

    Opted-out recipients, invalid numbers, calls without audio and calls that are longer than their hold covers are rejected
    without asking the carrier.
    """
    refused: list[Result] = []
    batch: list[Submission] = []
    for departure in departures:
        if refusal := _refusal(departure.delivery):
            refused.append(refusal)
        else:
            batch.append(_submission(departure.delivery, valid_until=departure.valid_until))
    return refused, batch


def conclude(
    carrier: Carrier, batch: Sequence[Submission], submitted: Callable[[], list[Result]]
) -> tuple[list[Result], bool]:
    """Return a result for each submission of a batch, and whether the trunk rests now.

    `submitted` returns the carrier's results, or raises its error. After an error the trunk is paused.
    """
    try:
        results = submitted()
    except (Misconfigured, OutOfFunds) as e:
        pause_trunk(carrier.alias, reason=str(e))
        # With a delay, so that other deliveries are submitted first: one of these deliveries may be the reason for the
        # error.
        return [Later(key=submission.key, seconds=1, text=e.batch_text) for submission in batch], True
    except Throttled as e:
        pause_trunk(carrier.alias, reason=str(e), seconds=e.retry_after)
        return [
            Later(key=submission.key, seconds=e.retry_after, text=e.batch_text) for submission in batch
        ], True
    except (Unreachable, CarrierError) as e:
        pause_trunk(carrier.alias, reason=str(e), seconds=5)
        return [Later(key=submission.key, seconds=5, text=e.batch_text) for submission in batch], True
    except Exception as e:
        log.exception("Carrier %s failed in submit; %d deliveries are now unknown", carrier.alias, len(batch))
        return [Unknown(key=submission.key, text=repr(e)) for submission in batch], False
    missing = {submission.key for submission in batch} - {result.key for result in results}
    return results + [Unknown(key=key, text="The carrier returned no result.") for key in missing], False


def _submission(delivery: Claimed, *, valid_until: datetime) -> Submission:
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
        valid_until=valid_until,
        script=load(delivery.script),
    )


def _refusal(delivery: Claimed) -> Rejected | None:
    if delivery.opted_out:
        return Rejected(key=str(delivery.id), cause=Cause.OPTED_OUT, text="The recipient has opted out.")
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


def pause_trunk(alias: str, *, reason: str, seconds: float | None = None) -> None:
    """Pause a trunk for `seconds`, or until the operator clears the reason."""
    try:
        _pause(alias, reason=reason, seconds=seconds)
    except (OperationalError, InterfaceError) as e:  # the next submission will fail in the same way
        log.warning("The trunk %s could not be paused: %s", alias, e)


def _pause(alias: str, *, reason: str, seconds: float | None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE telephony_trunk
                  SET pause_reason = %(reason)s, last_error = %(reason)s, last_error_at = statement_timestamp(),
                      paused_until = statement_timestamp() + make_interval(secs => %(seconds)s::float8)
                WHERE alias = %(alias)s""",
            {"reason": reason[:200] or "resting", "seconds": seconds, "alias": alias},
        )
