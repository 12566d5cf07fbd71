"""Format log lines in the same way in every process, and remove values from database errors."""

import logging
import re
import time
from collections.abc import Iterator
from typing import Any

import psycopg
from django.db.utils import Error

# In its messages PostgreSQL puts quotation marks around values and around the names of our tables, columns and constraints.
# Everything from the first quoted text that is not such a name is removed. Servers with another language (lc_messages) use
# the quotation marks of that language.
_NAME_OR_VALUE = re.compile(
    r'((?:constraint|relation|column|table|function|schema|database|role|index|type) "[^"]*")|["«»„“].*'
)


class LineFormatter(logging.Formatter):
    """Format a record as `2026-11-29T14:59:00Z WARNING campaigns.runs: …`, in UTC, as the embedded PostgreSQL does.

    The reason for UTC: the time zone of the process changes during the log. gunicorn and Celery write their first lines
    before Django sets its time zone.

    The formatter writes only the first line of a PostgreSQL error, without quoted values. The other lines contain the
    statement and its row, with phone numbers, messages and passwords.
    """

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        for error in _errors_of(record):
            if message := str(error):
                text = text.replace(repr(error), f"{type(error).__name__}({brief(message)!r})")
                text = text.replace(message, brief(message))
                text = text.replace(repr(message), repr(brief(message)))
        return text


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
