"""Advisory locks: at most so many processes do one thing at a time, and a dead one never blocks the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from zlib import crc32

from django.db import connection


@contextmanager
def locked(name: str, *, count: int = 1) -> Iterator[bool]:
    """Hold one of `count` locks of this name while inside; False when all are taken.

    The lock lives in the database session: it is free the moment the process that held it is gone.
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
        # After a lost connection there is nothing to unlock, and Django has marked it for closing.
        if connection.connection is not None and not connection.connection.closed:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [base - 2**31, number])


def lock_for_good(name: str) -> bool:
    """Take the lock of this name for as long as the thread's database session lasts; False while another has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, 0)", [crc32(name.encode()) - 2**31])
        return bool(cursor.fetchone()[0])
