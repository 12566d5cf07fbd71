"""The options of an SMPP trunk: what each means, its default, and what it may be."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from telephony.carriers.smpp.receipts import Ids


@dataclass(frozen=True, slots=True)
class Option:
    """`fault` says what is wrong with a value, or nothing."""

    default: Any
    about: str
    fault: Callable[[Any], str]


def _text(longest: int, *, needed: bool = False) -> Callable[[Any], str]:
    def fault(value: Any) -> str:
        if not isinstance(value, str) or (needed and not value):
            return "must be text"
        if len(value) > longest or not value.isascii() or not value.isprintable():
            return f"may have {longest} letters, digits and signs of ASCII at most"
        return ""

    return fault


def _number(least: int, most: int, *, optional: bool = False) -> Callable[[Any], str]:
    def fault(value: Any) -> str:
        if optional and value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            return f"must be a whole number from {least} to {most}"
        return ""

    return fault


def _one_of(*words: str) -> Callable[[Any], str]:
    def fault(value: Any) -> str:
        return "" if value in words else f"must be one of {', '.join(words)}"

    return fault


def _yes_or_no(value: Any) -> str:
    return "" if isinstance(value, bool) else "must be true or false"


def _file(value: Any) -> str:
    if not isinstance(value, str):
        return "must be the path of a file"
    if value:
        try:
            ssl.create_default_context(cafile=value)
        except (OSError, ValueError) as error:
            return f"must be a file of certificates in PEM ({error})"
    return ""


def _sender(value: Any) -> str:
    if not isinstance(value, str):
        return "must be text"
    if re.fullmatch(r"|\+?[0-9]{1,20}|[A-Za-z0-9 ._&-]{1,11}", value):
        return ""
    return "must be a number of up to 20 digits, or a name of up to 11 letters and digits"


OPTIONS: dict[str, Option] = {
    "host": Option("", "The SMSC's name or address. Needed.", _text(255, needed=True)),
    "port": Option(2775, "Its port.", _number(1, 65535)),
    "tls": Option(False, "Whether to speak TLS, and check the SMSC's certificate.", _yes_or_no),
    "tls_ca": Option("", "File of the authority that has signed the SMSC's certificate, instead of the system's.", _file),
    "system_id": Option("", "As whom to bind. Needed.", _text(15, needed=True)),
    "password": Option("", "Its password.", _text(8)),
    "system_type": Option("", "As the SMSC's operator says; mostly empty.", _text(12)),
    "address_range": Option("", "As the SMSC's operator says; mostly empty.", _text(40)),
    "service_type": Option("", "As the SMSC's operator says; mostly empty.", _text(5)),
    "source": Option("", "Sender of every SMS, a number or a name; else the account's number.", _sender),
    "source_ton": Option(None, "Type of the sender's number; told by its form when absent.", _number(0, 6, optional=True)),
    "source_npi": Option(None, "Plan of the sender's number; told by its form when absent.", _number(0, 18, optional=True)),
    "dest_ton": Option(
        1, "Type of the recipient's number: 1 with country code, 2 without. A number abroad always goes as 1.",
        _number(0, 6),
    ),
    "dest_npi": Option(1, "Plan of the recipient's number.", _number(0, 18)),
    "window": Option(100, "PDUs that may wait for their answers.", _number(1, 5000)),
    "parts_per_second": Option(
        None, "PDUs a second that the SMSC allows, beside the trunk's CPS: a long text takes several.",
        _number(1, 10_000, optional=True),
    ),
    "concatenation": Option(
        "udh", "How long texts are sent: in parts (`udh`), or whole (`payload`, the TLV message_payload).",
        _one_of("udh", "payload"),
    ),
    "receipts": Option(True, "Whether delivery receipts are asked for, and an SMS completes by its receipt.", _yes_or_no),
    "message_ids": Option(
        "same", "Forms of ids in answers and receipts: `same`, `hex-decimal` or `decimal-hex`.",
        _one_of(*(ids.value for ids in Ids)),
    ),
    "tlv_ids_as_text": Option(
        False, "Whether receipted_message_id has the form of the receipt's text, not of the answer.", _yes_or_no
    ),
    "validity_seconds": Option(
        0, "After which the SMSC gives up, and we soon after; 0 leaves it to the SMSC.", _number(0, 30 * 86400)
    ),
    "answer_seconds": Option(20, "After which an SMS without an answer counts as unknown.", _number(1, 600)),
    "repeat": Option(
        "safe", "Whether an SMS whose answer was lost, and of which nothing is heard, is sent again: where it can be made "
        "sure that nobody gets it twice (`safe`), `always`, or `never`.", _one_of("safe", "always", "never"),
    ),
    "repeat_after_seconds": Option(
        120, "After which it is: while the trunk is bound, and longer than receipts take.", _number(1, 86400)
    ),
    "enquire_seconds": Option(30, "Of silence after which the line is tried.", _number(1, 3600)),
    "reconnect_seconds": Option(30, "Longest pause between two attempts to bind.", _number(1, 3600)),
}  # fmt: skip


def check(alias: str, settings: Mapping[str, Any]) -> None:
    """Raises ImproperlyConfigured with a sentence on everything that is wrong."""
    faults = [
        f"{name} {fault}" for name, option in OPTIONS.items() if (fault := option.fault(settings[name]))
    ]
    if faults:
        raise ImproperlyConfigured(f"Carrier {alias!r}: {'; '.join(faults)}.")


def as_table() -> str:
    """The rows of the table in docs/smpp.md."""
    return "".join(
        f"| `{name}` | {option.about} | {_shown(option.default)} |\n" for name, option in OPTIONS.items()
    )


def _shown(default: Any) -> str:
    if default is None or default == "":
        return "–"
    return str(default).lower() if isinstance(default, bool) else str(default)
