"""Log lines name what they are about, and never a whole phone number, in both formats."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from structlog.contextvars import bound_contextvars

from accounts.models import AuditEntry
from iris.logs import JsonFormatter, LineFormatter, clean
from iris.middleware import logger as request_log
from tests.factories import client_of, make_account

FORMATS = [LineFormatter, JsonFormatter]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What a process writes to stderr with IRIS_LOG_FORMAT=json."""
    yield from capture(JsonFormatter())


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What a process writes to stderr by default."""
    yield from capture(LineFormatter())


def capture(formatter: logging.Formatter) -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    loggers = [logging.getLogger("tests.structured"), request_log]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    yield stream
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)


ours = logging.getLogger("tests.structured")


def test_json_line_has_time_level_logger_event_and_context(log: io.StringIO) -> None:
    with bound_contextvars(run=7):
        ours.warning("It %s", "waits", extra={"trunk": "ntc", "delivery": 4711})
    event = json.loads(log.getvalue())
    assert event.pop("time").endswith("+00:00")
    assert event == {
        "level": "WARNING", "logger": "tests.structured", "event": "It waits",
        "run": "7", "delivery": "4711", "trunk": "ntc",
    }  # fmt: skip


def test_traceback_stays_in_one_json_line(log: io.StringIO) -> None:
    try:
        raise ValueError("broken\nin two lines")
    except ValueError:
        ours.exception("It fails")
    (line,) = log.getvalue().splitlines()
    assert "ValueError: broken\nin two lines" in json.loads(line)["exception"]


def test_line_ends_with_its_context(lines: io.StringIO) -> None:
    ours.warning("No context")
    with bound_contextvars(run=7):
        ours.warning("With context", extra={"delivery": 1})
    first, second = lines.getvalue().splitlines()
    assert first.endswith("WARNING tests.structured: No context")
    assert second.endswith("WARNING tests.structured: With context [run=7 delivery=1]")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("to +9779841555123 now", "to …23 now"),
        ("9841555123, 9779841555123 and 00977-9841555123", "…23, …23 and …23"),
        ("sip:9841555123@example.com", "sip:…23@example.com"),
        ("+14155552671", "…71"),
        (
            "delivery 1000000 of run 12345678 took 0.984155512 s",
            "delivery 1000000 of run 12345678 took 0.984155512 s",
        ),
        ("2026-11-30T12:00:00+05:45", "2026-11-30T12:00:00+05:45"),
        ("127.0.0.1:8000", "127.0.0.1:8000"),
        ("credits +5000000", "credits +5000000"),
    ],
)
def test_phone_numbers_are_masked_and_other_numbers_stay(text: str, shown: str) -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, text, None, None)
    assert clean(text, record) == shown


@pytest.mark.parametrize("formatter", FORMATS)
def test_numbers_in_tracebacks_and_arguments_are_masked(formatter: type[logging.Formatter]) -> None:
    try:
        raise ValueError("+9779841555123 cannot be called")
    except ValueError as error:
        record = logging.LogRecord(
            "x", logging.ERROR, "", 0, "Failed: %r", (error,), (type(error), error, error.__traceback__)
        )
    written = formatter().format(record)
    assert "Traceback" in written
    assert "9841555123" not in written


@pytest.mark.django_db
def test_request_log_and_response_have_the_same_id_and_no_path(log: io.StringIO) -> None:
    response = Client().get("/api/system/campaigns/number/9841555123")
    (line,) = [json.loads(line) for line in log.getvalue().splitlines()]
    assert line["request"] == response.headers["X-Request-Id"]
    assert line["event"].startswith("GET api/system/campaigns/number/<")
    assert "9841555123" not in log.getvalue()


@pytest.mark.django_db
def test_audit_entries_have_the_id_of_the_request() -> None:
    client: Any = client_of(make_account())
    response = client.post(
        "/api/system/campaigns/", {"name": "Meeting", "services": "sms", "individual_number": [9841000001]}
    )
    assert response.status_code == 201, response.content
    assert AuditEntry.objects.filter(request=response.headers["X-Request-Id"]).exists()
