"""Format log lines in the same way in every process, and remove values from database errors, and phone numbers.

Each line names the request, the task, the run or the delivery that it is about, as far as they are known: what is bound to
the context (`structlog.contextvars`), and the FIELDS that a call gives as `extra`.
"""

import json
import logging
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
from django.db.utils import Error
from structlog.contextvars import get_contextvars
from structlog.processors import JSONRenderer

# In its messages PostgreSQL puts quotation marks around values and around the names of our tables, columns and constraints.
# Everything from the first quoted text that is not such a name is removed. Servers with another language (lc_messages) use
# the quotation marks of that language.
_NAME_OR_VALUE = re.compile(
    r'((?:constraint|relation|column|table|function|schema|database|role|index|type) "[^"]*")|["«»„“].*'
)

FIELDS = ("request", "task", "run", "delivery", "trunk")
# Numbers as iris writes them (+977…), and mobile numbers of Nepal as clients write them. Ids are shorter.
_PHONE_NUMBER = re.compile(
    r"\+[1-9][0-9]{7,14}(?![0-9])|(?<![0-9.])(?:00)?(?:977[- ]?)?9[678][0-9]{8}(?![0-9])"
)
_to_json = JSONRenderer(serializer=json.dumps, ensure_ascii=False, default=str)


class LineFormatter(logging.Formatter):
    """Format a record as `2026-11-29T14:59:00Z WARNING campaigns.runs: …`, in UTC, as the embedded PostgreSQL does.

    The reason for UTC: the time zone of the process changes during the log. gunicorn and Celery write their first lines
    before Django sets its time zone.

    The formatter writes only the first line of a PostgreSQL error, without quoted values. The other lines contain the
    statement and its row, with phone numbers, messages and passwords. Of a phone number, only the last two digits remain.
    """

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")

    def format(self, record: logging.LogRecord) -> str:
        return clean(super().format(record), record)

    def formatMessage(self, record: logging.LogRecord) -> str:
        context = " ".join(f"{name}={value}" for name, value in context_of(record).items())
        return f"{super().formatMessage(record)} [{context}]" if context else super().formatMessage(record)


class JsonFormatter(logging.Formatter):
    """Format a record as a JSON object in one line, for programs that collect logs. It contains what a line contains."""

    def format(self, record: logging.LogRecord) -> str:
        event = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "event": clean(record.getMessage(), record),
            **context_of(record),
        }
        if record.exc_info:
            event["exception"] = clean(self.formatException(record.exc_info), record)
        return str(_to_json(None, "", event))


def context_of(record: logging.LogRecord) -> dict[str, str]:
    """Return what the record is about, in the order of FIELDS."""
    bound = get_contextvars()
    values = {name: getattr(record, name, bound.get(name)) for name in FIELDS}
    return {name: str(value) for name, value in values.items() if value is not None}


def clean(text: str, record: logging.LogRecord) -> str:
    """Return a text of this record without values of the database, and with the last two digits of phone numbers."""
    for error in _errors_of(record):
        if message := str(error):
            text = text.replace(repr(error), f"{type(error).__name__}({brief(message)!r})")
            text = text.replace(message, brief(message))
            text = text.replace(repr(message), repr(brief(message)))
    return _PHONE_NUMBER.sub(lambda match: f"…{match[0][-2:]}", text)


def share_log_format(name: str) -> None:
    """Give the handlers of a logger that has its own the format of IRIS_LOG_FORMAT. Call it once Django is set up."""
    for ours in logging.getLogger().handlers[:1]:
        for handler in logging.getLogger(name).handlers:
            handler.setFormatter(ours.formatter)


class WithoutTraceback(logging.Filter):
    """Drop the traceback of errors that clients can cause as often as they like: one line is enough."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_info = None
        return True


def brief(message: str) -> str:
    """Return the first line of a PostgreSQL error, without quoted values."""
    return _NAME_OR_VALUE.sub(lambda match: match[1] or '"…"', message.strip().split("\n", 1)[0])


def _errors_of(record: logging.LogRecord) -> Iterator[BaseException]:
    """Yield the database errors in the traceback and in the arguments of a record."""
    arguments: Any = record.args or ()
    waiting = list(arguments.values() if isinstance(arguments, dict) else arguments)
    if isinstance(record.exc_info, tuple):
        waiting.append(record.exc_info[1])
    seen: set[int] = set()
    while waiting:
        error = waiting.pop()
        if isinstance(error, BaseException) and id(error) not in seen:
            seen.add(id(error))
            waiting += [error.__cause__, error.__context__]
            if isinstance(error, (Error, psycopg.Error)):
                yield error
