"""Store the responses to requests with an idempotency key, so that a retry gets the stored response and changes nothing.

A row claims the key before the work begins, and is committed. The answer is stored after the work, and wherever the
work is one transaction, in that transaction (`iris.api.idempotency`). While a process carries the request out, its
database session holds an advisory lock of the key. PostgreSQL releases the lock when the session ends. Therefore a row
without an answer whose lock is free belongs to a process that died, without any timeout.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import Error, connection

from accounts import counters
from accounts.counters import Rule
from accounts.people.persons import Person
from accounts.people.registry import Holder
from iris.errors import Throttled
from iris.models import KeptAnswer

log = logging.getLogger(__name__)

LIFETIME = timedelta(hours=24)
DAY_SECONDS = 24 * 60 * 60
MAX_KEYS = 100_000  # of one account in a day
MAX_BODY_BYTES = 4 * 2**20  # ten thousand added contacts
SMALL_BODY_BYTES = 4 * 1024  # smaller bodies do not count against MAX_KIB
MAX_KIB = 256 * 1024  # of the larger bodies of one account in a day
PRUNE_BATCH_SIZE = 10_000
BODIES_AT_ONCE = 16  # in memory

_TABLE = KeptAnswer._meta.db_table


class TooManyKeys(Throttled):
    """The account has used too many idempotency keys in a day."""

    default_code = "too_many_idempotency_keys"


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier request with the same key.

    `body` is None while the request is in progress, and if its response is not stored.
    """

    fingerprint: str
    done: bool
    status: int
    headers: Mapping[str, str]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Claim:
    """The right of this process to carry out the request of a key."""

    pk: int
    begun_at: datetime


@contextmanager
def locked(owner_id: int, key: str) -> Iterator[bool]:
    """Hold the lock of a key inside the context. Yield False if another session has it.

    The lock belongs to the database session, so PostgreSQL releases it when the process ends.
    """
    number = _lock_number(owner_id, key)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [number])
        ours: bool = cursor.fetchone()[0]
    try:
        yield ours
    finally:
        if ours:
            _unlock(number)


def find(owner_id: int, key: str) -> Earlier | None:
    """Return the request with this key of the last 24 hours, or None."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT fingerprint, done_at IS NOT NULL, status, headers::text,
                       CASE WHEN erase_at IS NULL OR erase_at > statement_timestamp() THEN body END
                  FROM {_TABLE}
                 WHERE owner_id = %s AND key = %s
                   AND begun_at > statement_timestamp() - make_interval(secs => %s)""",
            [owner_id, key_hash(key), LIFETIME.total_seconds()],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    fingerprint, done, status, headers, body = row
    return Earlier(fingerprint, done, status or 0, json.loads(headers), None if body is None else bytes(body))


def claim(owner_id: int, key: str, *, fingerprint: str, is_new: bool) -> Claim:
    """Claim a key. The caller holds its lock, has found no answer, and is not in a transaction.

    `is_new` is False if the row of a process that died is claimed again. Raises TooManyKeys.
    """
    if is_new and (refused := counters.consume([_key_rule(owner_id)])):
        wait = counters.longest_wait(refused)
        raise TooManyKeys(
            f"This account has used {MAX_KEYS:,} different Idempotency-Keys in a day. Nothing was done. Wait"
            f" {wait:.0f} seconds, or send the request without the header.",
            wait=wait,
        )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""INSERT INTO {_TABLE} (owner_id, key, fingerprint, begun_at, headers)
                VALUES (%s, %s, %s, clock_timestamp(), '{{}}')
                    ON CONFLICT (owner_id, key) DO UPDATE SET
                       fingerprint = EXCLUDED.fingerprint, begun_at = EXCLUDED.begun_at, done_at = NULL,
                       status = NULL, headers = EXCLUDED.headers, body = NULL, erase_at = NULL
                RETURNING id, begun_at""",
            [owner_id, key_hash(key), fingerprint],
        )
        return Claim(*cursor.fetchone())


def keep(
    claimed: Claim,
    *,
    owner_id: int,
    status: int,
    headers: Mapping[str, str],
    body: bytes | None,
    kept_for: timedelta = LIFETIME,
) -> bool:
    """Store the answer of a claimed request. Return False if the claim was lost, so that nothing was stored.

    The body is not stored if it is too long, or if the account has stored too much. It is erased after `kept_for`.
    """
    if body is not None and not _fits(owner_id, body):
        body = None
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE {_TABLE} SET done_at = statement_timestamp(), status = %s, headers = %s, body = %s,
                       erase_at = CASE WHEN %s THEN statement_timestamp() + make_interval(secs => %s) END
                 WHERE id = %s AND begun_at = %s AND done_at IS NULL""",
            [
                status,
                json.dumps(dict(headers)),
                body,
                body is not None and kept_for < LIFETIME,
                kept_for.total_seconds(),
                claimed.pk,
                claimed.begun_at,
            ],
        )
        return int(cursor.rowcount) == 1


def forget(claimed: Claim, *, owner_id: int) -> None:
    """Free the key of a request that changed nothing, so that it can be used for a corrected one."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"DELETE FROM {_TABLE} WHERE id = %s AND begun_at = %s AND done_at IS NULL",
            [claimed.pk, claimed.begun_at],
        )
        if cursor.rowcount == 0:
            return
    counters.give_back([_key_rule(owner_id)])


def erase() -> int:
    """Erase a batch of bodies that have been kept long enough. Return their number. Safe to run concurrently."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""UPDATE {_TABLE} SET body = NULL, erase_at = NULL WHERE id IN (
                    SELECT id FROM {_TABLE} WHERE erase_at <= statement_timestamp()
                     ORDER BY erase_at LIMIT %s FOR UPDATE SKIP LOCKED)""",
            [PRUNE_BATCH_SIZE],
        )
        return int(cursor.rowcount)


def prune() -> int:
    """Delete a batch of rows older than 24 hours. Return their number. Safe to run concurrently."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""DELETE FROM {_TABLE} WHERE id IN (
                    SELECT id FROM {_TABLE} WHERE begun_at <= statement_timestamp() - make_interval(secs => %s)
                     ORDER BY begun_at LIMIT %s FOR UPDATE SKIP LOCKED)""",
            [LIFETIME.total_seconds(), PRUNE_BATCH_SIZE],
        )
        return int(cursor.rowcount)


def key_hash(key: str) -> str:
    """Return the first 128 bits of a key's hash. Only these are stored, so that rows have the same size for all keys."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _lock_number(owner_id: int, key: str) -> int:
    digest = hashlib.sha256(f"idempotency:{owner_id}:{key_hash(key)}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def _unlock(number: int) -> None:
    # A lost connection has released its locks, and Django closes it.
    if connection.connection is None or connection.connection.closed:
        return
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [number])
    except Error:
        # The connection is kept for later requests, so a lock that stays on it would block the key for hours.
        log.warning("The lock of an idempotency key is released by closing its connection", exc_info=True)
        connection.close()


def _fits(owner_id: int, body: bytes) -> bool:
    if len(body) <= SMALL_BODY_BYTES:
        return True
    if len(body) > MAX_BODY_BYTES:
        return False
    key = counters.key_of("idempotency bodies", owner_id)
    return not counters.consume([Rule(key, MAX_KIB, DAY_SECONDS, amount=-(-len(body) // 1024))])


def _key_rule(owner_id: int) -> Rule:
    return Rule(counters.key_of("idempotency keys", owner_id), MAX_KEYS, DAY_SECONDS)


class KeptAnswersHolder(Holder):
    """The holder of stored responses, which may contain any data of a request.

    There are few of them, and they are kept briefly.
    """

    name = "kept answers"

    def finish(self, person: Person) -> dict[str, int]:
        """Erase the bodies that contain the person's number."""
        rows = KeptAnswer.objects.filter(owner_id__in=person.owner_ids, body__isnull=False).order_by("pk")
        found = [
            pk
            for pk, body in rows.values_list("pk", "body").iterator(chunk_size=BODIES_AT_ONCE)
            if person.is_in(bytes(body or b"").decode("utf-8", "replace"))
        ]
        return {"kept_answers": KeptAnswer.objects.filter(pk__in=found).update(body=None, erase_at=None)}


HOLDER = KeptAnswersHolder()
EXPIRIES = ()  # `prune` deletes the answers of yesterday
