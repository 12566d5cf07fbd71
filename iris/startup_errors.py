"""Report a wrong setting, an unusable database or an unwritable folder at startup, without a traceback."""

import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path
from types import TracebackType

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import DatabaseError, InterfaceError, NotSupportedError, OperationalError, connection

from accounts import actors
from iris.postgresql import sessions

# Commands that need no database, or that check it themselves.
WITHOUT_SESSION_CHECK = {
    "check",
    "help",
    "makemigrations",
    "settingstable",
    "shell",
    "dbshell",
    "sandbox",
    "version",
}

logger = logging.getLogger(__name__)


def run_command(argv: list[str]) -> None:
    """Run `manage.py` with these arguments."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iris.settings")
    command = argv[1] if len(argv) > 1 else "help"
    try:
        _ = settings.SECRET_KEY  # accessing any setting loads all of them
        if command not in WITHOUT_SESSION_CHECK and not command.startswith("-"):
            refuse_shared_sessions()
    except ImproperlyConfigured as error:
        sys.exit(startup_sentence(error))
    # The audit log names the command as the actor. Threads and processes that the command starts do not inherit this.
    actors.name_for_process(actors.operator(f"manage.py {command}"))
    try:
        execute_from_command_line(argv)
    except OperationalError as error:
        if (
            connection.connection is not None
        ):  # iris reached the database, so this is another error: show its traceback
            raise
        where = "that IRIS_DATABASE_URL names" if settings.IRIS_DATABASE_URL else "in IRIS_HOME"
        sys.exit(f"The database {where} cannot be reached: {' '.join(str(error).split())}")


def refuse_shared_sessions() -> None:
    """Raise ImproperlyConfigured behind a pooler that shares sessions, where iris would silently stop after some seconds.

    Also raise it if PostgreSQL is too old; Django checks this for the first connection of each process. If the database
    cannot be reached, only log a warning, because it may become reachable later.
    """
    try:
        with warnings.catch_warnings():
            # Commands check this before Django is set up, and Django warns of queries at that time.
            warnings.filterwarnings("ignore", message="Accessing the database during app initialization")
            dedicated = sessions.are_dedicated()
    except NotSupportedError as error:
        raise ImproperlyConfigured(str(error)) from error
    except (DatabaseError, InterfaceError) as error:
        logger.warning("The database cannot be checked: %s", " ".join(str(error).split()))
        return
    if not dedicated:
        raise ImproperlyConfigured(sessions.SENTENCE)


def refuse_unwritable_home() -> None:
    """Raise ImproperlyConfigured if iris cannot write to IRIS_HOME."""
    try:
        with tempfile.TemporaryFile(dir=Path(settings.IRIS_HOME)) as probe:
            probe.write(bytes(65536))
    except OSError as error:
        raise ImproperlyConfigured(f"IRIS_HOME must be a folder that iris may write to: {error}") from error


def startup_sentence(error: ImproperlyConfigured) -> str:
    return f"iris cannot start: {error}"


def show_without_traceback(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """`sys.excepthook` for Celery's commands, which load the settings where our code cannot catch an error."""
    if isinstance(error, ImproperlyConfigured):
        print(startup_sentence(error), file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)
