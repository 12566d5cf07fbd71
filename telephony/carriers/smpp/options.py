"""Define and check the options of an SMPP trunk."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from telephony.carriers.smpp.receipts import FINAL_STATES, MessageIdFormat


@dataclass(frozen=True, slots=True)
class Option:
    """An option: its default, its description in docs/smpp.md, and its check.

    `problem` returns what is wrong with a value, "" if it is valid.
    """

    default: Any
    about: str
    problem: Callable[[Any], str]


def _text(longest: int, *, needed: bool = False) -> Callable[[Any], str]:
    def problem(value: Any) -> str:
        if not isinstance(value, str) or (needed and not value):
            return "must be text"
        if len(value) > longest or not value.isascii() or not value.isprintable():
            return f"may have at most {longest} printable ASCII characters"
        return ""

    return problem


def _number(least: int, most: int, *, optional: bool = False) -> Callable[[Any], str]:
    def problem(value: Any) -> str:
        if optional and value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            return f"must be a whole number from {least} to {most}"
        return ""

    return problem


def _one_of(*words: str) -> Callable[[Any], str]:
    def problem(value: Any) -> str:
        return "" if value in words else f"must be one of {', '.join(words)}"

    return problem


def _boolean(value: Any) -> str:
    return "" if isinstance(value, bool) else "must be true or false"


def _states(value: Any) -> str:
    if not isinstance(value, Mapping) or not all(isinstance(word, str) and word for word in value):
        return "must be a TOML table whose keys are words of the SMSC"
    if any(state not in FINAL_STATES for state in value.values()):
        return f"must give each word one of the states {', '.join(FINAL_STATES)}"
    return ""


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
    "port": Option(2775, "The SMSC's port.", _number(1, 65535)),
    "bind": Option(
        "transceiver", "One bind for everything (`transceiver`), or a transmitter and a receiver (`separate`).",
        _one_of("transceiver", "separate"),
    ),
    "receiver_port": Option(
        None, 'With `bind = "separate"`: the SMSC\'s port for the receiver. Default: `port`.',
        _number(1, 65535, optional=True),
    ),
    "tls": Option(False, "Whether to use TLS and check the SMSC's certificate.", _boolean),
    "tls_ca": Option("", "PEM file of the certificate authorities to trust, instead of those of the system.", _file),
    "system_id": Option("", "User name of the bind. Needed.", _text(15, needed=True)),
    "password": Option("", "Password of the bind.", _text(8)),
    "system_type": Option("", "The SMSC's operator says what to enter; usually empty.", _text(12)),
    "address_range": Option("", "The SMSC's operator says what to enter; usually empty.", _text(40)),
    "service_type": Option("", "The SMSC's operator says what to enter; usually empty.", _text(5)),
    "source": Option(
        "", "Sender of every SMS without an approved sender, a number or a name. Default: the account's number.", _sender,
    ),
    "source_ton": Option(
        None, "Type (TON) of the sender's number. Default: iris derives it from how the sender is written (digits, +, "
        "letters).", _number(0, 6, optional=True),
    ),
    "source_npi": Option(
        None, "Plan (NPI) of the sender's number. Default: iris derives it from how the sender is written.",
        _number(0, 18, optional=True),
    ),
    "dest_ton": Option(
        1, "Type (TON) of the recipient's number: 1 with country code, 2 without. Numbers abroad are always sent as 1.",
        _number(0, 6),
    ),
    "dest_npi": Option(1, "Plan (NPI) of the recipient's number.", _number(0, 18)),
    "window": Option(100, "Maximum number of PDUs without a response.", _number(1, 5000)),
    "parts_per_second": Option(
        None, "PDUs per second that the SMSC allows, in addition to the limit of the trunk's CPS. A long text takes several "
        "PDUs.",
        _number(1, 10_000, optional=True),
    ),
    "concatenation": Option(
        "udh", "How long texts are sent: in parts (`udh`), or as one PDU (`payload`, the TLV message_payload).",
        _one_of("udh", "payload"),
    ),
    "receipts": Option(
        True, "Whether to request delivery receipts. If true, an SMS is completed only when its receipt arrives.", _boolean
    ),
    "receipts_for_long": Option(
        "auto", "How many receipts the SMSC sends for a long SMS in parts: one for `each` part, `one` for all, or find out "
        "(`auto`).", _one_of("each", "one", "auto"),
    ),
    "states": Option(
        {}, "The meaning of states that only this SMSC writes in its receipts, such as `{ DND_REJECT = \"REJECTD\" }`.",
        _states,
    ),
    "message_ids": Option(
        "same", "How message ids are written: the `same` in responses and receipts, or hexadecimal in responses and decimal "
        "in receipts (`hex-decimal`), or the reverse (`decimal-hex`).",
        _one_of(*(ids.value for ids in MessageIdFormat)),
    ),
    "tlv_ids_as_text": Option(
        False, "Whether the TLV receipted_message_id is written like the id in the receipt's text. If false, it is written "
        "like the id in the response.", _boolean,
    ),
    "validity_seconds": Option(
        0, "Seconds after which the SMSC gives up on an SMS. 0 leaves it to the SMSC.", _number(0, 30 * 86400)
    ),
    "answer_seconds": Option(20, "Seconds after which an SMS without a response becomes unknown.", _number(1, 600)),
    "repeat": Option(
        "safe", "When to resend an SMS if its response was lost and no receipt about it comes: only if the recipient cannot "
        "get it twice (`safe`), `always`, or `never`.", _one_of("safe", "always", "never"),
    ),
    "repeat_after_seconds": Option(
        120, "Seconds without a receipt, while bound, after which iris resends such an SMS. Must be longer than receipts "
        "take.",
        _number(1, 86400),
    ),
    "enquire_seconds": Option(30, "Seconds of silence after which an enquire_link is sent.", _number(1, 3600)),
    "reconnect_seconds": Option(30, "Maximum time in seconds between two attempts to bind.", _number(1, 3600)),
}  # fmt: skip


def check(alias: str, settings: Mapping[str, Any]) -> None:
    """Check all options. Raises ImproperlyConfigured with a message that lists every problem."""
    problems = [
        f"{name} {problem}" for name, option in OPTIONS.items() if (problem := option.problem(settings[name]))
    ]
    if problems:
        raise ImproperlyConfigured(f"Carrier {alias!r}: {'; '.join(problems)}.")


def as_table() -> str:
    """Return the rows of the options table in docs/smpp.md."""
    return "".join(
        f"| `{name}` | {option.about} | {_displayed(option.default)} |\n" for name, option in OPTIONS.items()
    )


def _displayed(default: Any) -> str:
    if default is None or default in ("", {}):
        return "–"
    return str(default).lower() if isinstance(default, bool) else str(default)
