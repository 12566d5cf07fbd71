"""Commands say what is wrong with a setting, or that there is no database, in one sentence and without a traceback."""

import os
import sys

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import OperationalError, connection


def run_command(argv: list[str]) -> None:
    """`manage.py` with these arguments."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iris.settings")
    try:
        _ = settings.SECRET_KEY  # any setting: all are read with the first
    except ImproperlyConfigured as error:
        sys.exit(f"iris cannot start: {error}")
    try:
        execute_from_command_line(argv)
    except OperationalError as error:
        if connection.connection is not None:  # it was reached: whatever this is, its traceback says more
            raise
        where = "that IRIS_DATABASE_URL names" if settings.IRIS_DATABASE_URL else "in IRIS_HOME"
        sys.exit(f"The database {where} cannot be reached: {' '.join(str(error).split())}")
