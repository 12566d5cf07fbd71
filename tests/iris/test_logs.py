"""Neither iris's logs nor PostgreSQL's contain phone numbers, messages or passwords, even after errors."""

from __future__ import annotations

import io
import logging
import re
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.db import Error, connection, transaction
from django.utils import timezone

from iris.devserver.embedded import server
from iris.logs import LineFormatter, brief
from telephony.carriers.base import CarrierEvent, InboundSms
from telephony.models import DeliveryStatus
from tests.iris.processes import run_python
from tests.live import wait_for

NUMBER = "+9779841555123"
TEXT = "Your code is 73519"
SECRETS = ("9841555123", "73519")

# Statements that PostgreSQL refuses, each with values in the statement or in the error's details.
FAILING: dict[str, str] = {
    "unique": "INSERT INTO private VALUES (1, '{number}', '{text}'), (2, '{number}', '{text}')",
    "check": "INSERT INTO private VALUES (-1, '{number}', '{text}')",
    "not null": "INSERT INTO private VALUES (NULL, '{number}', '{text}')",
    "too long": "SELECT '{text}'::text, '{number}{number}'::varchar(20)::int",
    "integer": "SELECT '{text}'::integer",
    "json": "SELECT '{{{text}'::jsonb",
    "time": "SELECT '{number}'::timestamptz",
    "function": "DO $$ BEGIN PERFORM '{text}'::int; END $$",
    "statement timeout": "SELECT pg_sleep(60), '{number}', '{text}'",
    "no such table": "INSERT INTO nowhere VALUES ('{number}', '{text}')",
    "syntax": "INSERT INTO private VALUES (1, '{number}', '{text}') RETURNED",
    "name": "SELECT * FROM private WHERE nothing = '{number}' OR text = '{text}'",
    "raised": "SELECT 1/0, '{number}', '{text}'",
}


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """The log output that our processes would write to stderr."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter())
    logger = logging.getLogger("tests.privacy")
    logger.propagate = False
    logger.addHandler(handler)
    yield stream
    logger.removeHandler(handler)


@pytest.mark.django_db(transaction=True)
def test_failing_statements_leave_no_values_in_the_logs(log: io.StringIO) -> None:
    ours = logging.getLogger("tests.privacy")
    postgresql = Path(server.folder_of(Path(settings.IRIS_HOME)), "log")
    failed = []
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE private (id int NOT NULL CHECK (id > 0), number text UNIQUE, text text)"
        )
        cursor.execute("SET statement_timeout = '200ms'")
        for kind, sql in FAILING.items():
            try:
                with transaction.atomic():
                    cursor.execute(sql.format(number=NUMBER, text=TEXT))
            except Error as error:
                failed.append(kind)
                ours.exception("It fails: %s", error)
                ours.error("It is %r", error)
                ours.warning("Task %(name)s: %(exc)s", {"name": "x", "exc": repr(error)}, exc_info=error)
    connection.close()

    assert failed == list(FAILING)
    written = log.getvalue()
    assert written.count("Traceback") >= 2 * len(FAILING)
    assert "duplicate key value violates unique constraint" in written
    assert 'column "nothing" does not exist' in written
    assert "canceling statement due to statement timeout" in written
    for secret in SECRETS:
        assert secret not in written
    theirs = postgresql.read_text(errors="replace")
    for secret in SECRETS:
        assert secret not in theirs


class Session:
    """A separate connection, whose statements contain a phone number and a text."""

    def __init__(self) -> None:
        options = "-c log_lock_waits=on -c deadlock_timeout=50ms"
        self.connection = psycopg.connect(**connection.get_connection_params() | {"options": options})
        self.pid = self.connection.info.backend_pid
        self.error: psycopg.Error | None = None

    def take(self, row: int) -> None:
        try:
            self.connection.execute(
                f"UPDATE privacy SET text = '{TEXT}' WHERE id = {row} AND number = '{NUMBER}'".encode()
            )
        except psycopg.Error as error:
            self.error = error

    def begin_to_take(self, row: int) -> threading.Thread:
        """Lock a row that another session has locked, in a thread. Return when it waits for the lock."""
        thread = threading.Thread(target=self.take, args=(row,))
        thread.start()
        wait_for(lambda: self.error is not None or self._waits(), seconds=30)
        return thread

    def _waits(self) -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s", [self.pid])
            return bool(cursor.fetchone()[0])


@pytest.fixture
def two_rows(transactional_db: None) -> Iterator[tuple[Session, Session]]:
    """Two sessions, each of which has locked one row of the same table."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE privacy (id int, number text, text text)")
        cursor.execute(f"INSERT INTO privacy VALUES (1, '{NUMBER}', ''), (2, '{NUMBER}', '')")
    first, second = Session(), Session()
    first.take(1)
    second.take(2)
    yield first, second
    for session in (first, second):
        session.connection.close()
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE privacy")


def written_by_postgresql() -> str:
    written = Path(server.folder_of(Path(settings.IRIS_HOME)), "log").read_text(errors="replace")
    for secret in SECRETS:
        assert secret not in written
    return written


def write_down(error: Exception | None, log: io.StringIO) -> str:
    assert error is not None
    logging.getLogger("tests.privacy").error("It fails: %s", error, exc_info=error)
    for secret in SECRETS:
        assert secret not in log.getvalue()
    return log.getvalue()


def test_a_deadlock_leaves_no_values_in_the_logs(two_rows: tuple[Session, Session], log: io.StringIO) -> None:
    first, second = two_rows
    waiting = first.begin_to_take(2)
    second.take(1)
    wait_for(lambda: first.error is not None or second.error is not None, seconds=30)
    (first if first.error else second).connection.rollback()
    waiting.join(30)

    assert "deadlock detected" in write_down(first.error or second.error, log)
    # This proves that PostgreSQL logs such waits, at a level that would include the statement if that were enabled.
    assert "detected deadlock while waiting for ShareLock" in written_by_postgresql()


def test_a_lock_timeout_leaves_no_values_in_the_logs(
    two_rows: tuple[Session, Session], log: io.StringIO
) -> None:
    first, _ = two_rows
    first.connection.execute("SET lock_timeout = '200ms'")
    first.take(2)

    assert "canceling statement due to lock timeout" in write_down(first.error, log)
    assert f"process {first.pid} still waiting for ShareLock" in written_by_postgresql()


def test_a_terminated_session_leaves_no_values_in_the_logs(
    two_rows: tuple[Session, Session], log: io.StringIO
) -> None:
    first, _ = two_rows
    waiting = first.begin_to_take(2)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [first.pid])
    waiting.join(30)

    assert "terminating connection due to administrator command" in write_down(first.error, log)
    assert "FATAL:  terminating connection due to administrator command" in written_by_postgresql()


@pytest.mark.parametrize(
    "message",
    [
        'invalid input syntax for type integer: "%s"',
        "syntaxe en entrée invalide pour le type integer : « %s »",
        "ungültige Eingabesyntax für Typ integer: »%s«",
        "invalid input syntax for type integer: „%s“",
    ],
)
def test_quoted_values_are_removed_for_the_quotation_marks_of_all_languages(message: str) -> None:
    assert TEXT not in brief(message % TEXT)
    assert "integer" in brief(message % TEXT)


def test_carrier_reports_are_logged_without_their_contents() -> None:
    event = CarrierEvent(
        key="17", number=NUMBER, text=TEXT, digits="73519", status=DeliveryStatus.FAILED, at=timezone.now()
    )
    sms = InboundSms(sender=NUMBER, to=NUMBER, text=TEXT, at=timezone.now())

    shown = repr([event, sms])

    assert "key='17'" in shown
    for secret in SECRETS:
        assert secret not in shown


def test_an_unknown_host_is_logged_in_one_line() -> None:
    script = (
        "import django; django.setup()\n"
        "from django.test import Client\n"
        "print(Client(raise_request_exception=False).get('/api/v1/x', HTTP_HOST='evil.example').status_code)"
    )
    done = run_python(script, Path(settings.IRIS_HOME), DJANGO_SETTINGS_MODULE="iris.settings")

    assert done.stdout.strip() == "400", done.stderr
    assert "Invalid HTTP_HOST header" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_log_lines_are_in_utc_for_any_time_zone_of_the_process() -> None:
    script = (
        "import logging, django; logging.getLogger('x').warning('before'); django.setup();"
        " logging.getLogger('x').warning('after')"
    )
    done = run_python(script, Path(settings.IRIS_HOME), DJANGO_SETTINGS_MODULE="iris.settings")
    line = next(line for line in done.stderr.splitlines() if "after" in line)

    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ WARNING x: after", line)
    assert abs((timezone.now() - datetime.fromisoformat(line.split()[0])).total_seconds()) < 3600
