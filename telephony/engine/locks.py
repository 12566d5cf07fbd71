"""Advisory locks: limit how many processes do the same work at a time. A dead process never blocks the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from zlib import crc32

from django.db import connection


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


def lock_for_session(name: str) -> bool:
    """Take the lock of this name until the thread's database session ends; return False if another session has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, 0)", [crc32(name.encode()) - 2**31])
        return bool(cursor.fetchone()[0])
