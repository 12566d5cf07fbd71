"""Simulate a phone network in a database table. `sandbox.views` shows its inbox.

The table keeps every accepted call and SMS, duplicates included, with the times at which it rings, is answered and ends.
`poll` turns rows that are due into events. The table survives a crash of iris, so the crash tests can count what was sent.
The last four digits of a number decide its fate, or faults that somebody has set (`fates`). Real durations are divided by
`IRIS_SANDBOX_SPEED`. Survey responses are the keys that somebody presses, or those of the number (`responses`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any, ClassVar

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from telephony.call_scripts import dump, load, speech_windows
from telephony.carriers.base import (
    Accepted,
    Carrier,
    CarrierEvent,
    Later,
    Record,
    Rejected,
    Result,
    Submission,
    Unknown,
)
from telephony.carriers.sandbox.fates import Fate, fate_of, faults_by_owner
from telephony.carriers.sandbox.responses import responses, spoken_response
from telephony.models import Cause, Channel, DeliveryStatus, SandboxMessage
from telephony.unnest import rowset

# Seconds from the submission, before they are divided by IRIS_SANDBOX_SPEED.
RING_SECONDS, BUSY_SECONDS, PICKUP_SECONDS, NO_ANSWER_SECONDS = 2.0, 3.0, 6.0, 32.0
SMS_DELIVERY_SECONDS = 3.0
SECONDS_PER_CHARACTER = 0.1  # length of a call whose audio length is unknown


class SandboxCarrier(Carrier):
    channels: ClassVar = frozenset(Channel)
    batch_size: ClassVar = 1000
    polls: ClassVar = True
    looks_up: ClassVar = True
    takes_senders: ClassVar = True

    def submit(self, batch: Sequence[Submission]) -> list[Result]:
        received_at = timezone.now()
        results: list[Result] = []
        accepted: list[tuple[Submission, Fate]] = []
        faults = faults_by_owner({one.owner_id for one in batch})
        for one in batch:
            fate = fate_of(to=one.to, key=one.key, channel=one.channel, faults=faults[one.owner_id])
            if fate is Fate.INVALID:
                results.append(Rejected(key=one.key, cause=Cause.INVALID, text="Subscriber unknown"))
            elif fate is Fate.THROTTLED and one.attempt == 1:
                results.append(Later(key=one.key, seconds=1 / settings.IRIS_SANDBOX_SPEED, text="Too fast"))
            else:
                accepted.append((one, fate))
        if any(speech_windows(one.script) for one, _ in accepted):
            spoken_response()  # synthesize it now, so that the transaction in `poll` need not wait for it
        delays = [faults[one.owner_id].latency_seconds for one, _ in accepted]
        taken = _store(accepted, delays=delays, received_at=received_at)
        for one, fate in accepted:
            if one.key not in taken:
                results.append(Later(key=one.key, seconds=0, text="The submission came after its time limit"))
            elif fate is Fate.ANSWER_LOST:
                results.append(Unknown(key=one.key, text="The answer was lost"))
            else:
                results.append(Accepted(key=one.key, ref=taken[one.key]))
        return results

    def poll(self, record: Record) -> int:
        with transaction.atomic():
            spoken = cache(spoken_response)
            events = [event for row in _advance_due() for event in _events(spoken, *row)]
            if events:
                record(events)
        return len(events)

    def look_up(self, keys: Sequence[str]) -> dict[str, bool]:
        there = set(
            SandboxMessage.objects.filter(delivery_key__in=keys).values_list("delivery_key", flat=True)
        )
        return {key: key in there for key in keys}

    def report_timeout(self) -> float:
        return super().report_timeout() / settings.IRIS_SANDBOX_SPEED


def _store(
    accepted: Sequence[tuple[Submission, Fate]], *, delays: Sequence[int], received_at: datetime
) -> dict[str, str]:
    """Store the submissions that are still valid by the database's clock. Return their references by key.

    `delays` has the seconds by which the reports on each come later. `received_at` is when `submit` was called. A slow
    database must not make the submissions look later than they were.
    """
    if not accepted:
        return {}
    offsets = [_event_offsets(one, fate) for one, fate in accepted]
    rings, answers, ends = zip(
        *(
            [None if at is None else at + delay for at in one]
            for one, delay in zip(offsets, delays, strict=True)
        ),
        strict=True,
    )
    rows, parameters = rowset(
        "one",
        {
            "key": ("text", [one.key for one, _ in accepted]),
            "channel": ("text", [one.channel.value for one, _ in accepted]),
            "to": ("text", [one.to for one, _ in accepted]),
            "caller": ("text", [one.sender or one.caller for one, _ in accepted]),
            "text": ("text", [one.text for one, _ in accepted]),
            "audio_name": ("text", [one.audio_name for one, _ in accepted]),
            "audio_seconds": ("float8", [one.audio_seconds for one, _ in accepted]),
            "script": ("jsonb", [dump(one.script) for one, _ in accepted]),
            "fate": ("text", [fate.value for _, fate in accepted]),
            "owner_id": ("bigint", [one.owner_id for one, _ in accepted]),
            "ring": ("float8", rings),
            "answer": ("float8", answers),
            "end": ("float8", ends),
            "received_at": ("timestamptz", [received_at] * len(accepted)),
            "valid_until": ("timestamptz", [one.valid_until for one, _ in accepted]),
        },
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""INSERT INTO telephony_sandboxmessage
                    (delivery_key, channel, "to", caller, text, audio_name, audio_seconds, script, fate, owner_id,
                     created_at, ring_at, answer_at, end_at, report_at, hidden)
                SELECT key, channel, "to", caller, text, audio_name, audio_seconds, script, fate, owner_id,
                       received_at, now + make_interval(secs => ring), now + make_interval(secs => answer),
                       now + make_interval(secs => "end"),
                       CASE WHEN fate <> 'silent' THEN now + make_interval(secs => coalesce(ring, "end")) END, false
                  FROM statement_timestamp() AS now, {rows}
                 WHERE clock_timestamp() < valid_until
                RETURNING delivery_key, id""",
            parameters,
        )
        return {key: f"sandbox-{pk}" for key, pk in cursor.fetchall()}


def _event_offsets(one: Submission, fate: Fate) -> tuple[float | None, float | None, float]:
    """Return the seconds from now until the call rings, is answered and ends. None means that this does not happen."""
    speed = settings.IRIS_SANDBOX_SPEED
    if one.channel is Channel.SMS:
        return None, None, SMS_DELIVERY_SECONDS / speed
    if fate is Fate.BUSY:
        return None, None, BUSY_SECONDS / speed
    if fate is Fate.NO_ANSWER:
        return RING_SECONDS / speed, None, NO_ANSWER_SECONDS / speed
    length = one.audio_seconds or len(one.text) * SECONDS_PER_CHARACTER
    heard = length / 2 if fate is Fate.HANGS_UP else length
    return RING_SECONDS / speed, PICKUP_SECONDS / speed, (PICKUP_SECONDS + heard) / speed


def _advance_due(limit: int = 1000) -> list[tuple[Any, ...]]:
    """Advance due rows to their next report and return them. Call it in the transaction that records the events."""
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE telephony_sandboxmessage m
                  SET report_at = CASE WHEN now >= end_at THEN NULL
                                       WHEN now >= answer_at THEN end_at
                                       ELSE coalesce(answer_at, end_at) END
                 FROM statement_timestamp() AS now
                WHERE id IN (SELECT id FROM telephony_sandboxmessage WHERE report_at <= statement_timestamp()
                              ORDER BY report_at LIMIT %s FOR UPDATE SKIP LOCKED)
               RETURNING delivery_key, channel, "to", fate, audio_seconds, length(text), script::text, keys, ring_at,
                         CASE WHEN now >= answer_at THEN answer_at END, CASE WHEN now >= end_at THEN end_at END""",
            [limit],
        )
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _events(
    spoken: Callable[[], str],
    key: str,
    channel: str,
    to: str,
    fate: str,
    audio_seconds: float | None,
    characters: int,
    script: str | None,
    keys: str,
    ring_at: datetime | None,
    answer_at: datetime | None,
    end_at: datetime | None,
) -> list[CarrierEvent]:
    """Return the reports on one row. Times that have not been reached yet are None."""
    events = []
    if ring_at:
        events.append(CarrierEvent(key=key, status=DeliveryStatus.RINGING, at=ring_at))
    if answer_at:
        events.append(CarrierEvent(key=key, status=DeliveryStatus.ANSWERED, at=answer_at))
    if end_at:
        length = audio_seconds or characters * SECONDS_PER_CHARACTER
        end = _final_event(key, channel, Fate(fate), length, end_at)
        if (script is not None or keys) and end.seconds is not None:
            end = replace(
                end,
                **responses(
                    to=to,
                    keys=keys,
                    opts_out=fate == Fate.OPTS_OUT,
                    script=load(script),
                    seconds=end.seconds,
                    spoken=spoken,
                ),
            )
        events.append(end)
    return events[::-1] * 2 if fate == Fate.DOUBLED else events[-1:]


def last_report(row: SandboxMessage) -> CarrierEvent:
    """Return the final report on a call or SMS that has ended, with all keys that were pressed by now."""
    script = None if row.script is None else json.dumps(row.script)
    times = (row.ring_at, row.answer_at, row.end_at)
    characters = len(row.text)
    return _events(
        spoken_response,
        row.delivery_key,
        row.channel,
        row.to,
        row.fate,
        row.audio_seconds,
        characters,
        script,
        row.keys,
        *times,
    )[0 if row.fate == Fate.DOUBLED else -1]


def _final_event(key: str, channel: str, fate: Fate, length: float, at: datetime) -> CarrierEvent:
    if channel == Channel.SMS:
        return CarrierEvent(key=key, status=DeliveryStatus.COMPLETED, at=at)
    if fate is Fate.BUSY:
        return CarrierEvent(key=key, status=DeliveryStatus.UNANSWERED, at=at, cause=Cause.BUSY)
    if fate is Fate.NO_ANSWER:
        return CarrierEvent(key=key, status=DeliveryStatus.UNANSWERED, at=at, cause=Cause.NO_ANSWER)
    if fate is Fate.HANGS_UP:
        return CarrierEvent(
            key=key, status=DeliveryStatus.HUNGUP, at=at, cause=Cause.CUT_OFF, seconds=length / 2, playback=50
        )
    return CarrierEvent(key=key, status=DeliveryStatus.COMPLETED, at=at, seconds=length, playback=100)
