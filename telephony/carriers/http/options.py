"""Define and check the options of HTTP carriers, and read their secrets."""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

Problem = Callable[[Any], str]


class Secret(Enum):
    """Whether an option is a secret, which may also come from a file (NAME_file) or a variable (NAME_env)."""

    NO = "no"
    TEXT = "text"
    LIST = "list"  # one secret in each line of the file, or separated by commas in the variable


@dataclass(frozen=True, slots=True)
class Option:
    """An option: its default, its description in docs/http-carriers.md, and its check.

    `problem` returns what is wrong with a value, "" if it is valid.
    """

    default: Any
    about: str
    problem: Problem
    secret: Secret = Secret.NO


def text(longest: int, *, needed: bool = False, pattern: str = "", example: str = "") -> Problem:
    def problem(value: Any) -> str:
        if not isinstance(value, str) or (needed and not value):
            return "must be text"
        if len(value) > longest or not value.isascii() or not value.isprintable():
            return f"may have at most {longest} printable ASCII characters"
        if value and pattern and not re.fullmatch(pattern, value):
            return f"must be written like {example}"
        return ""

    return problem


def texts(shortest: int, longest: int) -> Problem:
    def problem(value: Any) -> str:
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            return "must be a list of texts"
        if not all(shortest <= len(one) <= longest and one.isascii() and one.isprintable() for one in value):
            return f"may have texts of {shortest} to {longest} printable ASCII characters only"
        return ""

    return problem


def number(least: float, most: float) -> Problem:
    def problem(value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
            return f"must be a number from {least:g} to {most:g}"
        return ""

    return problem


def whole_number(least: int, most: int) -> Problem:
    def problem(value: Any) -> str:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            return f"must be a whole number from {least} to {most}"
        return ""

    return problem


def one_of(*words: str) -> Problem:
    return lambda value: "" if value in words else f"must be one of {', '.join(words)}"


def boolean(value: Any) -> str:
    return "" if isinstance(value, bool) else "must be true or false"


def web_address(value: Any) -> str:
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
        usable = parts is not None and parts.scheme in ("http", "https") and bool(parts.hostname)
        usable = usable and parts is not None and not (parts.query or parts.fragment or "@" in parts.netloc)
        usable = usable and value.isascii() and value.isprintable() and " " not in value
        _ = parts.port if parts else None
    except ValueError:
        usable = False
    return (
        "" if usable else "must be an address such as https://api.example.com, without a query or a password"
    )


def networks(value: Any) -> str:
    if not isinstance(value, list):
        return "must be a list of addresses and networks"
    for one in value:
        try:
            ipaddress.ip_network(one)
        except ValueError:
            return f'has {one!r}, which is not an address or network such as "203.0.113.0/24"'
    return ""


def _certificates(value: Any) -> str:
    if not isinstance(value, str):
        return "must be the path of a file"
    if value:
        try:
            ssl.create_default_context(cafile=value)
        except (OSError, ValueError) as error:
            return f"must be a file of certificates in PEM ({error})"
    return ""


COMMON: dict[str, Option] = {
    "connections": Option(100, "Maximum number of simultaneous requests in each process that sends.", whole_number(1, 500)),
    "connect_seconds": Option(5, "Seconds until a connection must be open, TLS included.", number(0.1, 60)),
    "read_seconds": Option(15, "Longest silence of the carrier within a response, in seconds.", number(0.1, 120)),
    "request_seconds": Option(
        20, "Seconds for a whole request. A call or SMS without a response by then becomes unknown.", number(0.1, 120)
    ),
    "tls_ca": Option(
        "",
        "Certificate of the authority that signed the carrier's certificate. Empty: this server's usual ones.",
        _certificates,
    ),
}  # fmt: skip


def defaults_of(table: Mapping[str, Option]) -> dict[str, Any]:
    """Return the default of every option that the carriers file may have.

    A secret can also be read from a file or from an environment variable, so each secret also has the options NAME_file and
    NAME_env.
    """
    places = {
        f"{name}_{place}": ""
        for name, option in table.items()
        if option.secret is not Secret.NO
        for place in ("file", "env")
    }
    return {**{name: option.default for name, option in table.items()}, **places}


def checked(
    alias: str, table: Mapping[str, Option], settings: Mapping[str, Any], *, needed: Mapping[str, str]
) -> dict[str, Any]:
    """Read the secrets and check all options. Raises ImproperlyConfigured with a sentence that lists every problem.

    `needed` has a sentence for each option that must not be empty. No sentence contains the value of a secret.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, option in table.items():
        try:
            values[name] = _value(name, option, settings)
        except ValueError as error:
            problems.append(str(error))
            continue
        if problem := option.problem(values[name]):
            problems.append(f"{name} {problem}")
        elif name in needed and not values[name]:
            problems.append(f"{name} {needed[name]}")
    if problems:
        raise ImproperlyConfigured(f"Carrier {alias!r}: {'; '.join(problems)}.")
    return values


def _value(name: str, option: Option, settings: Mapping[str, Any]) -> Any:
    if option.secret is Secret.NO:
        return settings[name]
    file, variable = settings[f"{name}_file"], settings[f"{name}_env"]
    if sum(map(bool, (settings[name], file, variable))) > 1:
        raise ValueError(f"only one of {name}, {name}_file and {name}_env may be given")
    if file:
        try:
            lines = [line.strip() for line in Path(file).read_text().splitlines() if line.strip()]
        except (OSError, ValueError, TypeError) as error:
            raise ValueError(f"{name}_file cannot be read ({type(error).__name__})") from error
        return lines if option.secret is Secret.LIST else (lines or [""])[0]
    if variable:
        found = os.environ.get(str(variable), "").strip()
        if not found:
            raise ValueError(f"{name}_env names the variable {variable}, which is not set")
        return [one.strip() for one in found.split(",")] if option.secret is Secret.LIST else found
    return settings[name]


def as_table(table: Mapping[str, Option]) -> str:
    """Return the rows of an options table in docs/http-carriers.md."""
    return "".join(
        f"| `{name}` | {option.about}{' Secret.' if option.secret is not Secret.NO else ''} |"
        f" {_displayed(option.default)} |\n"
        for name, option in table.items()
    )


def _displayed(default: Any) -> str:
    if default in (None, "", []):
        return "–"
    return str(default).lower() if isinstance(default, bool) else str(default)
