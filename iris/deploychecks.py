"""The checks of `manage.py check --deploy`: settings that are unsafe or wrong in production.

iris.W009: the sandbox inbox is open to everyone.
iris.W004: a channel only has the sandbox carrier, so its messages reach nobody.
iris.W005: browsers may use HTTP.
iris.W006: a folder is missing, or is not writable.
iris.W007: PostgreSQL logs errors or their statements, which contain personal data.
iris.W008: the database cannot be checked.
iris.W014: the clock of this machine differs from that of PostgreSQL.
iris.W015: PostgreSQL has few connections left.
iris.W016: PostgreSQL may forget what it has committed.
iris.E007: PostgreSQL is too old.
iris.E006: a pooler shares sessions among clients.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError, InterfaceError, connection

from iris.postgresql import sessions

SANDBOX = "telephony.carriers.sandbox."
OLDEST_POSTGRESQL = 14
# For log_min_messages, PostgreSQL ranks LOG above ERROR, so "log" excludes errors. It logs waits for locks at LOG and
# sessions that an administrator terminated at FATAL, both with their statements.
WRITES_NO_ERRORS = {"log", "fatal", "panic"}
WRITES_NO_STATEMENTS = {"panic"}
# A message from beat expires after three seconds, by the clock of the worker that receives it. See docs/operations.md.
MAX_CLOCK_DIFFERENCE_SECONDS = 1.0
MUST_BE_ON = ["fsync", "full_page_writes", "synchronous_commit"]
MAX_CONNECTION_SHARE = 0.8


@register(Tags.security, deploy=True)
def deployment_is_safe(app_configs: object, **kwargs: Any) -> list[CheckMessage]:
    return [*_open_to_all(), *_reaching_nobody(), *_folders()]


@register(Tags.security, deploy=True)
def database_fits(app_configs: object, **kwargs: Any) -> list[CheckMessage]:
    try:
        return list(_database())
    except (DatabaseError, InterfaceError) as error:
        message = str(error).strip().split("\n", 1)[0]
        return [Warning(f"The database cannot be checked: {message}", id="iris.W008")]


def _open_to_all() -> Iterator[CheckMessage]:
    if settings.IRIS_SANDBOX_INBOX:
        yield Warning(
            "The sandbox inbox at /sandbox/ is open to everyone and shows all sandbox messages, OTPs included.",
            hint="Set IRIS_SANDBOX_INBOX=off.",
            id="iris.W009",
        )
    if settings.IRIS_PUBLIC_URL.startswith("https://") and not settings.SECURE_HSTS_SECONDS:
        yield Warning(
            "Browsers may use HTTP: iris sends no Strict-Transport-Security header.",
            hint="Set IRIS_HSTS_SECONDS to 31536000, also where the proxy in front sends the header.",
            id="iris.W005",
        )


def _reaching_nobody() -> Iterator[CheckMessage]:
    for channel, choices in settings.ROUTES.items():
        if not isinstance(choices, list):
            continue  # iris.E003 says so
        aliases = {
            alias
            for choice in choices
            for alias in ([choice] if isinstance(choice, str) else choice.get("trunks", ()))
        }
        backends = [settings.CARRIERS[alias]["BACKEND"] for alias in aliases if alias in settings.CARRIERS]
        if backends and all(backend.startswith(SANDBOX) for backend in backends):
            yield Warning(
                f"Every {channel} goes to the sandbox carrier, which reaches no phone.",
                hint="Name a carrier in the file that IRIS_CARRIERS_FILE names, or remove the route. Then such campaigns are"
                " refused.",
                id="iris.W004",
            )


def _folders() -> Iterator[CheckMessage]:
    for name, folder in (("IRIS_HOME", Path(settings.IRIS_HOME)), ("The media", Path(settings.MEDIA_ROOT))):
        there = folder
        while not there.exists() and there != there.parent:
            there = there.parent
        if folder == Path(settings.IRIS_HOME) and there != folder:
            yield Warning(
                f"{name} is {folder}, which does not exist.",
                hint="Create it, and give it to the user that runs iris.",
                id="iris.W006",
            )
        elif not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
            yield Warning(
                f"{name}: the folder {folder} cannot be written.",
                hint="Give it to the user that runs iris.",
                id="iris.W006",
            )


def _database() -> Iterator[CheckMessage]:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        version = int(cursor.fetchone()[0]) // 10000
        cursor.execute(
            "SELECT current_setting('log_min_error_statement'), current_setting('log_error_verbosity'),"
            " current_setting('log_min_messages')"
        )
        statements, verbosity, messages = cursor.fetchone()
    if version < OLDEST_POSTGRESQL:
        yield Error(f"PostgreSQL is {version}; iris needs {OLDEST_POSTGRESQL} or newer.", id="iris.E007")
    if statements not in WRITES_NO_STATEMENTS or messages not in WRITES_NO_ERRORS or verbosity != "terse":
        yield Warning(
            "PostgreSQL writes errors and their statements into its log, with phone numbers and passwords.",
            hint="As a superuser: ALTER ROLE … SET log_min_messages = log, log_min_error_statement = panic and"
            " log_error_verbosity = terse. iris writes the errors into its own log, without their values.",
            id="iris.W007",
        )
    if not sessions.are_dedicated():
        yield Error(sessions.SENTENCE, id="iris.E006")
    yield from _durability()
    yield from _clock()
    yield from _connections()


def _durability() -> Iterator[CheckMessage]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM pg_settings WHERE name = ANY(%s) AND setting = 'off' ORDER BY name",
            [MUST_BE_ON],
        )
        off = [name for (name,) in cursor.fetchall()]
    if off:
        yield Warning(
            f"PostgreSQL may forget what it has committed: {', '.join(off)} {'is' if len(off) == 1 else 'are'} off.",
            hint="After a crash, people could be called or texted a second time. See docs/reliability.md.",
            id="iris.W016",
        )


def _clock() -> Iterator[CheckMessage]:
    difference = clock_difference()
    if abs(difference) > MAX_CLOCK_DIFFERENCE_SECONDS:
        yield Warning(
            f"The clock of this machine is {abs(difference):.1f} s {'ahead of' if difference > 0 else 'behind'} that of"
            " PostgreSQL.",
            hint="Let NTP set the clocks of all machines, for example with chrony or systemd-timesyncd.",
            id="iris.W014",
        )


def clock_difference() -> float:
    """Return by how many seconds this machine's clock is ahead of PostgreSQL's, less what the question may have taken."""
    with connection.cursor() as cursor:
        asked_at = time.time()
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
        answered_at = time.time()
        (theirs,) = cursor.fetchone()
    # The answer was made at some time between the two.
    if asked_at <= theirs <= answered_at:
        return 0.0
    return float(asked_at - theirs if theirs < asked_at else answered_at - theirs)


def _connections() -> Iterator[CheckMessage]:
    """Compare the sessions of now with those that PostgreSQL admits: how many processes run elsewhere is unknown here."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT count(*), current_setting('max_connections')::int
                    - current_setting('superuser_reserved_connections')::int
                 FROM pg_stat_activity WHERE backend_type = 'client backend'"""
        )
        used, admitted = cursor.fetchone()
    if used > MAX_CONNECTION_SHARE * admitted:
        yield Warning(
            f"PostgreSQL admits {admitted} connections, and {used} are open.",
            hint="Raise max_connections: docs/operations.md, Memory and connections, has the formula.",
            id="iris.W015",
        )
