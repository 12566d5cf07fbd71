"""Advisory locks: limit how many processes do the same work at a time. A dead process never blocks the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from zlib import crc32

from django.db import OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable


@contextmanager
def locked(name: str, *, count: int = 1) -> Iterator[bool]:
    """Hold one of `count` locks of this name inside the context; yield False if all are taken.

    The lock belongs to the database session, so PostgreSQL releases it when the process ends.
    """
    base = crc32(name.encode())
    with connection.cursor() as cursor:
        for number in range(count):
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [base - 2**31, number])
            if cursor.fetchone()[0]:
                break
        else:
            yield False
            return
    try:
        yield True
    finally:
        # A lost connection has released its locks, and Django closes it.
        if connection.connection is not None and not connection.connection.closed:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [base - 2**31, number])


def wait_for(name: str, *, seconds: float) -> bool:
    """Wait until all processes that now hold the lock of this name have released it; return False after `seconds`.

    Call it outside transactions.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{round(seconds * 1000)}ms"])
            cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [crc32(name.encode()) - 2**31])
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            return False
        raise
    return True


def lock_for_session(name: str) -> bool:
    """Take the lock of this name until the thread's database session ends; return False if another session has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, 0)", [crc32(name.encode()) - 2**31])
        return bool(cursor.fetchone()[0])


def lock_until_commit(name: str) -> None:
    """Wait for the lock of this name, and hold it until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [crc32(name.encode()) - 2**31])
