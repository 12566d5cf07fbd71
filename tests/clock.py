"""Set the clocks of the database and of Python to any time, so that days pass in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from unittest import mock

from django.db import connection
from django.utils import timezone

# Schemas before pg_catalog hide its functions. So the statements under test are those of production, but see this time.
_INSTALL = """
CREATE SCHEMA IF NOT EXISTS test_clock;
CREATE OR REPLACE FUNCTION test_clock.statement_timestamp() RETURNS timestamptz LANGUAGE sql STABLE
    AS $$ SELECT current_setting('test_clock.now')::timestamptz $$;
CREATE OR REPLACE FUNCTION test_clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql STABLE
    AS $$ SELECT current_setting('test_clock.now')::timestamptz $$;
CREATE OR REPLACE FUNCTION test_clock.now() RETURNS timestamptz LANGUAGE sql STABLE
    AS $$ SELECT current_setting('test_clock.now')::timestamptz $$;
"""


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def set(self, now: datetime) -> None:
        self.now = now
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('test_clock.now', %s, false)", [now.isoformat()])

    def advance(self, **interval: float) -> None:
        self.set(self.now + timedelta(**interval))


@contextmanager
def stopped_clock(now: datetime) -> Iterator[Clock]:
    """Stop the clocks of this process and of its connection to the database at `now`.

    Call it in a test that runs in a transaction: the schema that it creates is rolled back with it.
    """
    clock = Clock(now)
    with connection.cursor() as cursor:
        cursor.execute("SHOW search_path")
        (path,) = cursor.fetchone()
        cursor.execute(_INSTALL)
        clock.set(now)
        cursor.execute(f"SET search_path = test_clock, pg_catalog, {path}")
    try:
        with mock.patch.object(timezone, "now", side_effect=lambda: clock.now):
            yield clock
    finally:
        if not connection.needs_rollback:  # a rollback undoes the change, too
            with connection.cursor() as cursor:
                cursor.execute(f"SET search_path = {path}")
