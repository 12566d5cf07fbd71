"""Every process says what is wrong with a setting, its database or its folder in one sentence, without a traceback."""

import logging
import os
import sys
import tempfile
from pathlib import Path
from types import TracebackType

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import DatabaseError, InterfaceError, OperationalError, connection

from iris.postgresql import sessions

# Commands that need no database, or that look at it themselves. Those of Django that make or read files, too.
LOOKS_ITSELF = {"check", "help", "makemigrations", "settingstable", "shell", "dbshell", "sandbox", "version"}

logger = logging.getLogger(__name__)


def run_command(argv: list[str]) -> None:
    """`manage.py` with these arguments."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iris.settings")
    command = argv[1] if len(argv) > 1 else "help"
    try:
        _ = settings.SECRET_KEY  # any setting: all are read with the first
        if command not in LOOKS_ITSELF and not command.startswith("-"):
            refuse_shared_sessions()
    except ImproperlyConfigured as error:
        sys.exit(in_a_sentence(error))
    try:
        execute_from_command_line(argv)
    except OperationalError as error:
        if connection.connection is not None:  # it was reached: whatever this is, its traceback says more
            raise
        where = "that IRIS_DATABASE_URL names" if settings.IRIS_DATABASE_URL else "in IRIS_HOME"
        sys.exit(f"The database {where} cannot be reached: {' '.join(str(error).split())}")


def refuse_shared_sessions() -> None:
    """Raises ImproperlyConfigured behind a pooler that shares sessions: iris would stop after some seconds, without a word.

    A database that cannot be reached may come later: that is logged, and nothing else.
    """
    try:
        ours = sessions.are_ours()
    except (DatabaseError, InterfaceError) as error:
        logger.warning("The database cannot be looked at: %s", " ".join(str(error).split()))
        return
    if not ours:
        raise ImproperlyConfigured(sessions.SENTENCE)


def refuse_unwritable_home() -> None:
    """Raises ImproperlyConfigured where beat could not keep its schedule: then it would end again and again."""
    try:
        with tempfile.TemporaryFile(dir=Path(settings.IRIS_HOME)) as probe:
            probe.write(bytes(65536))
    except OSError as error:
        raise ImproperlyConfigured(f"IRIS_HOME must be a folder that iris may write to: {error}") from error


def in_a_sentence(error: ImproperlyConfigured) -> str:
    return f"iris cannot start: {error}"


def show_without_traceback(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """`sys.excepthook` of Celery's commands, which read the settings where nothing of ours could catch an error."""
    if isinstance(error, ImproperlyConfigured):
        print(in_a_sentence(error), file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)
