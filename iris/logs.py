"""The shape of a log line, the same in every process; and what an error of the database says of the values in it."""

import logging
import re
import time
from collections.abc import Iterator
from typing import Any

import psycopg
from django.db.utils import Error

# The names that PostgreSQL quotes in its sentences are ours; from the first other quote on, it is a value. Servers that
# speak another language (lc_messages) quote in its way.
_NAME_OR_VALUE = re.compile(
    r'((?:constraint|relation|column|table|function|schema|database|role|index|type) "[^"]*")|["«»„“].*'
)


class LineFormatter(logging.Formatter):
    """`2026-11-29T14:59:00Z WARNING campaigns.runs: …`, in UTC, as the embedded PostgreSQL's log is.

    A time zone of the process would change within one log: gunicorn and Celery write their first lines before Django
    has set its own.

    Of PostgreSQL's errors only the first line is written, without the value that it quotes: the others show the statement
    and its row, which have phone numbers, messages and passwords in them.
    """

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        for error in _errors_of(record):
            if said := str(error):
                text = text.replace(repr(error), f"{type(error).__name__}({brief(said)!r})")
                text = text.replace(said, brief(said))
                text = text.replace(repr(said), repr(brief(said)))
        return text


class WithoutTraceback(logging.Filter):
    """For what others can cause as often as they like: one line says enough."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.exc_info = None
        return True


def brief(said: str) -> str:
    """The first line of what PostgreSQL says, without the value that it quotes."""
    return _NAME_OR_VALUE.sub(lambda found: found[1] or '"…"', said.strip().split("\n", 1)[0])


def _errors_of(record: logging.LogRecord) -> Iterator[BaseException]:
    """The database's errors that a record shows: those of its traceback, and those in its arguments."""
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
