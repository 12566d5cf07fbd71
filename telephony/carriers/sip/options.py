"""Check the OPTIONS of a SIP trunk once at the start, and translate them into baresip's configuration."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import phonenumbers
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from telephony.carriers.sip.reception import PLAYER
from telephony.carriers.sip.transmission import SOURCE
from telephony.numbering import to_e164

if TYPE_CHECKING:
    from baresip import Account, Config

# Limits of the library: it has audio buffers for 256 calls in a process, and a table of 1,023 objects, which holds the
# calls and one agent for each caller number.
MAX_CHANNELS = 250
MAX_CALLERS = 700

_CHOICES = {
    "transport": ("udp", "tcp", "tls"),
    "numbers": ("e164", "digits", "national"),
    "caller": ("from", "identity"),
}
_CODECS = ("pcma", "pcmu")
_HOST = re.compile(r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
_USER = re.compile(r"[A-Za-z0-9+._~!*'()&=$,;?/-]*")
_PORTS = re.compile(r"(\d{1,5})-(\d{1,5})")
# The CA file of most systems. Python's OpenSSL may look elsewhere, and the stack's own OpenSSL does.
DEFAULT_CA_FILE = "/etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True, kw_only=True, slots=True)
class SipOptions:
    """The OPTIONS of a SIP trunk, with their defaults. docs/sip.md describes each."""

    host: str = ""
    transport: str = "udp"
    user: str = "iris"
    password: str = field(default="", repr=False)
    auth_user: str = ""
    register: bool = False
    register_seconds: int = 300
    proxy: str = ""
    numbers: str = "e164"
    prefix: str = ""
    caller: str = "from"
    codecs: tuple[str, ...] = ("pcma", "pcmu")
    ring_seconds: float = 45.0
    lead_seconds: float = 0.3
    tail_seconds: float = 0.3
    drain_seconds: float = 60.0
    min_heard_seconds: float = 0.0
    min_heard_percent: int = 0
    charge_silent_calls: bool = False
    redirect_hosts: tuple[str, ...] = ()
    listen: str = ""
    interface: str = ""
    rtp_ports: str = "10000-20000"
    tls_ca: str = ""
    tls_verify: bool = True
    trace: bool = False
    account: tuple[str, ...] = ()
    stack: tuple[str, ...] = ()

    @classmethod
    def of(cls, alias: str, given: Mapping[str, Any]) -> SipOptions:
        """Parse and check the options of a trunk. Raises ImproperlyConfigured, with the allowed values, if one is wrong."""
        try:
            options = cls(**{name: _typed(name, value) for name, value in given.items()})
            options._check(settings.CARRIERS.get(alias, {}).get("CHANNELS"))
        except ValueError as e:
            raise ImproperlyConfigured(f"The SIP trunk {alias!r}: {e}") from e
        return options

    def _check(self, channels: object) -> None:
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it may be {', '.join(allowed)}.")
        if not _HOST.fullmatch(self.host):
            raise ValueError('host must be the name or address of the trunk, such as "sip.example.com:5060".')
        if self.proxy and not _HOST.fullmatch(self.proxy):
            raise ValueError("proxy must be a name or address, with a port if it is not 5060.")
        if self.listen and not (_HOST.fullmatch(self.listen) and ":" in self.listen):
            raise ValueError('listen must be an address and a port of this machine, such as "0.0.0.0:5060".')
        if not self.user or not _USER.fullmatch(self.user):
            raise ValueError("user must be the left half of our SIP address: letters, digits and + . _ -")
        if self.register and not self.password:
            raise ValueError("register needs a password.")
        if '"' in self.password or "\\" in self.password:
            raise ValueError(
                'password may have neither " nor \\: SIP stacks disagree about how to quote them.'
            )
        if not self.codecs or not set(self.codecs) <= set(_CODECS):
            raise ValueError(f"codecs must be a list of {' and '.join(_CODECS)}, the preferred one first.")
        if not 3 <= self.ring_seconds <= 300:
            raise ValueError("ring_seconds must be between 3 and 300.")
        if not 5 <= self.register_seconds <= 7200:
            raise ValueError("register_seconds must be between 5 and 7200.")
        for name in ("lead_seconds", "tail_seconds", "drain_seconds", "min_heard_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative.")
        if not 0 <= self.min_heard_percent <= 100:
            raise ValueError("min_heard_percent must be between 0 and 100.")
        for host in self.redirect_hosts:
            if not _HOST.fullmatch(host):
                raise ValueError(f"redirect_hosts has {host!r}; each must be a name or address.")
        if not re.fullmatch(r"[0-9*#+]*", self.prefix):
            raise ValueError("prefix may have digits, * and # only.")
        if self.tls_ca and not Path(self.tls_ca).is_file():
            raise ValueError(f"tls_ca names {self.tls_ca}, which is not a file.")
        if self.transport == "tls" and self.tls_verify and not self.ca_file():
            raise ValueError(
                "this system has no CA certificates, so the trunk's certificate cannot be checked. Install the package "
                "ca-certificates, or let tls_ca name a PEM file."
            )
        for line in (*self.account, *self.stack):
            if any(ord(letter) < 0x20 for letter in line):
                raise ValueError(
                    "account and stack must have one setting in each string, without line breaks."
                )
        if not isinstance(channels, int) or not 1 <= channels <= MAX_CHANNELS:
            raise ValueError(
                f"CHANNELS must be between 1 and {MAX_CHANNELS}. For more, configure another trunk with its own worker."
            )
        low, high = self.ports()
        if not 1024 <= low < high <= 65535 or high - low + 1 < 4 * channels:
            raise ValueError(
                f"rtp_ports must be a range of ports from 1024 on, at least {4 * channels} wide: 4 ports for each channel."
            )

    def ports(self) -> tuple[int, int]:
        """Return the first and the last RTP port. Raises ValueError if `rtp_ports` is not such a range."""
        found = _PORTS.fullmatch(self.rtp_ports)
        if not found:
            raise ValueError(f"rtp_ports is {self.rtp_ports!r}; write it as 10000-20000.")
        return int(found[1]), int(found[2])

    def ca_file(self) -> str:
        """Return the PEM file of the trusted certificate authorities, "" if there is none."""
        usual = DEFAULT_CA_FILE if Path(DEFAULT_CA_FILE).is_file() else ""
        return self.tls_ca or ssl.get_default_verify_paths().cafile or usual

    def uri_of(self, to: str) -> str:
        """Return the SIP URI of a number in E.164."""
        return f"sip:{self.prefix}{self._digits(to)}@{self.host};transport={self.transport}"

    def user_of(self, caller: str) -> str:
        """Return the user part of the From address: the caller number in the trunk's format, or the option `user`."""
        digits = self._digits(to_e164(caller) or caller) if caller else ""
        return digits or self.user

    def _digits(self, number: str) -> str:
        if self.numbers == "national" and number.startswith("+"):
            parsed = phonenumbers.parse(number)
            return phonenumbers.national_significant_number(parsed)
        kept = re.sub(r"[^0-9]", "", number)
        return f"+{kept}" if self.numbers == "e164" and number.startswith("+") else kept

    def account_of(self, user: str, *, registering: bool = False) -> Account:
        from baresip import Account

        return Account(
            user=user,
            domain=self.host,
            password=self.password,
            auth_user=self.auth_user or self.user,
            registrar=f"sip:{self.proxy};transport={self.transport}" if self.proxy else None,
            reg_interval=self.register_seconds if registering else 0,
            transport=self.transport,  # type: ignore[arg-type]
            audio_codecs=self.codecs,
            extra_params=(
                *self.account,
                f"audio_player={PLAYER},default",
                f"audio_source={SOURCE},default",
            ),
        )

    @property
    def may_ignore_audio(self) -> bool:
        """Whether calls may go on if the stack receives no audio. `rtp_timeout` would end them."""
        return not any(line.startswith("rtp_timeout") for line in self.stack)

    def config(self) -> Config:
        """Return the configuration of the stack, with limits that suit many concurrent calls."""
        from baresip import Config

        low, high = self.ports()
        lines = [f"rtp_ports {low}-{high}", f"sip_verify_server {'yes' if self.tls_verify else 'no'}"]
        if self.listen:
            lines.append(f"sip_listen {self.listen}")
        if ca_file := self.ca_file():
            lines.append(f"sip_cafile {ca_file}")
        return Config(
            net_interface=self.interface or None,
            max_concurrent_calls=None,  # the library's own default is 2
            sip_trace=False,  # `wire` logs the messages
            extra_config_text="\n".join([*lines, *self.stack]) + "\n",
        )


DEFAULTS: dict[str, Any] = {each.name: each.default for each in fields(SipOptions)}


def _typed(name: str, value: object) -> Any:
    """Return the value in the type of its field. TOML gives lists for tuples and whole numbers for floats."""
    default = DEFAULTS[name]
    if (
        isinstance(default, tuple)
        and isinstance(value, list)
        and all(isinstance(each, str) for each in value)
    ):
        return tuple(value)
    if isinstance(default, float) and type(value) is int:
        return float(value)
    if type(value) is not type(default):
        raise ValueError(f"{name} is {value!r}; it must be {_KINDS[type(default)]}.")
    return value


_KINDS = {
    str: "a string",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    tuple: "a list of strings",
}
