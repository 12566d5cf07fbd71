"""Read environment variables for settings.py, and collect their descriptions for the table in docs/operations.md.

An invalid value raises ImproperlyConfigured with an error message that names the variable. An empty variable counts as not
set. Only settings.py calls these functions.
"""

import os
import secrets
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off"}


@dataclass(frozen=True, kw_only=True)
class Variable:
    """One environment variable as docs/operations.md shows it."""

    name: str
    default: str
    about: str


VARIABLES: dict[str, Variable] = {}

ESPEAK_OPTIONS = ("variant", "pitch", "speed")


def env_str(name: str, default: str, about: str, *, shown: str | None = None) -> str:
    """Return the variable's text. `shown` is displayed instead of the default in the settings table."""
    return _read(name, default if shown is None else shown, about) or default


def env_secret(name: str, about: str, *, shown: str) -> str | None:
    """Return the variable's text, or the first line of the file that NAME_FILE names (a Docker secret), or None."""
    value = _read(name, shown, about)
    if value is not None:
        return value
    path = os.environ.get(f"{name}_FILE", "").strip()
    if not path:
        return None
    try:
        return Path(path).read_text().split("\n", 1)[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ImproperlyConfigured(f"{name}_FILE names {path}, which cannot be read: {error}") from error


def env_bool(name: str, default: bool, about: str, *, shown: str | None = None) -> bool:
    value = _read(name, shown or ("on" if default else "off"), about)
    if value is None:
        return default
    if value.lower() in TRUE:
        return True
    if value.lower() in FALSE:
        return False
    raise ImproperlyConfigured(f"{name} must be one of on, off, true, false, yes, no, 1, 0; it is {value!r}.")


def env_int(
    name: str,
    default: int,
    about: str,
    *,
    minimum: int = 0,
    maximum: int | None = None,
) -> int:
    value = _read(name, str(default), about)
    if value is None:
        return default
    try:
        number = int(value)
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a whole number; it is {value!r}.") from error
    _check_range(name, number, minimum, maximum)
    return number


def env_decimal(
    name: str,
    default: str,
    about: str,
    *,
    minimum: Decimal | int | str = 0,
    maximum: Decimal | int | str | None = None,
    places: int = 2,
) -> Decimal:
    """Return a decimal number with at most `places` digits after the decimal point."""
    value = _read(name, default, about)
    try:
        number = Decimal(default if value is None else value)
    except InvalidOperation as error:
        raise ImproperlyConfigured(f"{name} must be a number such as {default}; it is {value!r}.") from error
    if not number.is_finite():
        raise ImproperlyConfigured(f"{name} must be a number such as {default}; it is {value!r}.")
    if number != round(number, places):
        raise ImproperlyConfigured(
            f"{name} may have at most {places} digits after the point; it is {value!r}."
        )
    _check_range(name, number, Decimal(minimum), None if maximum is None else Decimal(maximum))
    return number


def env_list(name: str, default: str, about: str, *, shown: str | None = None) -> list[str]:
    """Return the comma-separated parts of the variable, without surrounding spaces."""
    return [part.strip() for part in env_str(name, default, about, shown=shown).split(",") if part.strip()]


def postgresql_url(name: str, url: str) -> dict[str, object]:
    """Return Django's DATABASES entry for `postgresql://user:password@host:port/name?option=value`.

    The directory of a Unix socket is given as the option `host=/run/postgresql`.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ImproperlyConfigured(
            f"{name} cannot be read; write it as postgresql://user:password@host:5432/name, and special characters "
            "of a password as %40 for @."
        ) from error
    if parts.scheme not in {"postgresql", "postgres"}:
        raise ImproperlyConfigured(f"{name} must begin with postgresql://; iris supports only PostgreSQL.")
    try:
        port = parts.port
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} has a port that is not a number from 0 to 65535.") from error
    options: Mapping[str, str] = dict(parse_qsl(parts.query))
    database = unquote(parts.path.removeprefix("/"))
    if not database:
        raise ImproperlyConfigured(
            f"{name} names no database: it must end in /NAME, as in postgresql://iris@localhost/iris."
        )
    return {
        "NAME": database,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.get("host", unquote(parts.hostname or "")),
        "PORT": str(port or options.get("port", "")),
        "OPTIONS": {key: value for key, value in options.items() if key not in {"host", "port"}},
    }


def smtp_url(name: str, url: str) -> dict[str, Any]:
    """Return the options of Django's SMTP backend for `smtp://user:password@host:587` or `smtps://user:password@host:465`.

    `smtp` uses STARTTLS unless the URL ends in `?tls=off`. `smtps` uses TLS from the beginning.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ImproperlyConfigured(
            f"{name} cannot be read; write it as smtp://user:password@host:587, and special characters of a password as "
            "%40 for @."
        ) from error
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise ImproperlyConfigured(f"{name} must begin with smtp:// or smtps:// and name a host.")
    options = dict(parse_qsl(parts.query))
    if set(options) - {"tls"} or options.get("tls", "on") not in {"on", "off"}:
        raise ImproperlyConfigured(f"{name} may end in ?tls=off; it has no other options.")
    implicit = parts.scheme == "smtps"
    return {
        "host": parts.hostname,
        "port": port or (465 if implicit else 587),
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "use_ssl": implicit,
        "use_tls": not implicit and options.get("tls", "on") == "on",
    }


def stored_secret(path: Path) -> str:
    """Return the secret in the file. The first call creates it.

    If several processes start at the same time, each writes a secret to a temporary file and tries to link it to `path`. One
    process succeeds, and all processes read its secret.
    """
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = path.with_name(f"{path.name}.{os.getpid()}")
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(50))
            with suppress(FileExistsError):
                os.link(aside, path)
            aside.unlink()
        except OSError as error:
            raise ImproperlyConfigured(
                f"IRIS_HOME must be a folder that iris may write to: {error}"
            ) from error
    return path.read_text().strip()


def carriers_from_file(name: str, path: Path) -> tuple[dict[str, dict[str, Any]], dict[str, list[Any]]]:
    """Return CARRIERS and ROUTES from a TOML file such as

        [carriers.line1]
        BACKEND = "telephony.carriers.sip.SipCarrier"
        CPS = 5
        CHANNELS = 30
        OPTIONS = { host = "sip.example.com" }

        [routes]
        call = ["line1", { prefix = "+97798", trunks = ["line1"] }]

    iris.checks validates the values later, when Django is set up.
    """
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ImproperlyConfigured(f"{name} names {path}, which cannot be read: {error}") from error
    unknown = set(content) - {"carriers", "routes"}
    if unknown:
        raise ImproperlyConfigured(
            f"{path} may have the tables [carriers.<alias>] and [routes] only, not "
            f"{', '.join(sorted(unknown))}."
        )
    carriers, routes = content.get("carriers", {}), content.get("routes", {})
    if not isinstance(carriers, dict) or not carriers:
        raise ImproperlyConfigured(f"{path} has no carrier: it needs a table [carriers.<alias>].")
    if not isinstance(routes, dict):
        raise ImproperlyConfigured(f'{path}: [routes] must be a table, such as call = ["line1"].')
    for alias, entry in carriers.items():
        if not isinstance(entry, dict) or not isinstance(entry.get("BACKEND"), str):
            raise ImproperlyConfigured(
                f'{path}: [carriers.{alias}] needs BACKEND = "dotted.path.of.its.class".'
            )
        unknown = set(entry) - {"BACKEND", "OPTIONS", "CPS", "CHANNELS", "NEEDS_SENDER"}
        if unknown:
            raise ImproperlyConfigured(
                f"{path}: [carriers.{alias}] may have BACKEND, CPS, CHANNELS, NEEDS_SENDER and OPTIONS, not "
                f"{', '.join(sorted(unknown))}. Put the options of the backend into OPTIONS."
            )
        entry.setdefault("OPTIONS", {})
        entry.setdefault("CPS", None)
        entry.setdefault("CHANNELS", None)
    return carriers, routes


def voices_from_file(name: str, path: Path, known: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return IRIS_VOICES with the changed and new voices of a TOML file such as

        [np_rija]
        engine = "piper"
        model = "ne_NP-google-medium.onnx"
        speaker = 3

    If the file gives a voice a new engine, the voice loses its old options. Only piper keeps them, as its fallback.
    iris.checks validates the values later.
    """
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ImproperlyConfigured(f"{name} names {path}, which cannot be read: {error}") from error
    voices = {voice: dict(entry) for voice, entry in known.items()}
    for voice, entry in content.items():
        if not isinstance(entry, dict):
            raise ImproperlyConfigured(
                f"{path} may have tables only, such as [np_rija]; {voice} is not a table."
            )
        before = voices.get(voice, {})
        if entry.get("engine", before.get("engine")) != before.get("engine"):
            options = {key: before.pop(key) for key in list(before) if key in ESPEAK_OPTIONS}
            if entry.get("engine") == "piper" and options:
                entry.setdefault("fallback", options)
        voices[voice] = {**before, **entry}
    return voices


def _read(name: str, shown: str, about: str) -> str | None:
    VARIABLES[name] = Variable(name=name, default=shown, about=about)
    return os.environ.get(name, "").strip() or None


def _check_range(
    name: str, number: Decimal | int, minimum: Decimal | int, maximum: Decimal | int | None
) -> None:
    if number < minimum:
        raise ImproperlyConfigured(f"{name} must be {minimum} or more; it is {number}.")
    if maximum is not None and number > maximum:
        raise ImproperlyConfigured(f"{name} must be {maximum} or less; it is {number}.")
