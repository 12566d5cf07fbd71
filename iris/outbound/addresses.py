"""Validate the URLs and IP addresses to which requests may be sent."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from iris.errors import InvalidInput

MAX_ADDRESS_CHARACTERS = 2_000
PORTS = frozenset({80, 443})

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_BROKEN = re.compile(r"[\s\x00-\x20\x7f\\]")
_KEPT = "/%:@!$&'()*+,;=~?-._"  # characters kept in a path and a query; others are percent-encoded
_LIKE_A_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

# IANA's special-purpose registries, and prefixes that embed an IPv4 address, which a gateway could route anywhere.
_SPECIAL = [
    ipaddress.ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24"),
        *("192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
        *("224.0.0.0/4", "240.0.0.0/4"),
        # Only 2000::/3 is global unicast in IPv6. So NAT64 (64:ff9b::/96, 64:ff9b:1::/48), IPv4-mapped, IPv4-compatible,
        # site-local and unique local addresses are not listed here.
        *("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
    )
]
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_ISATAP = {0x00005EFE, 0x02005EFE}  # the upper 32 bits of an ISATAP interface id, before the IPv4 address


class OutboundError(InvalidInput):
    """The request got no response.

    The message says why. It is the second part of an error message such as “… cannot be fetched: ”.
    """

    default_code = "not_reached"


class AddressRefused(OutboundError):
    """Requests to this URL are not allowed."""

    default_code = "address_refused"


@dataclass(frozen=True, slots=True)
class Target:
    """A parsed URL that passed all checks that need no network."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Return the value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"http": 80, "https": 443}[self.scheme]
        return host if self.port == usual else f"{host}:{self.port}"


def parse_address(address: str, *, private: bool = False) -> Target:
    """Parse and check a URL. Raises AddressRefused unless it is a plain http or https URL.

    With `private`, every port is allowed.
    """
    text = address.strip() if len(address) <= MAX_ADDRESS_CHARACTERS else ""
    try:
        parts = urlsplit(text)
        scheme, host, port = parts.scheme.lower(), parts.hostname or "", parts.port
    except ValueError:
        scheme, host, port = "", "", None
    if scheme not in ("http", "https") or not host or _BROKEN.search(text):
        raise AddressRefused("an address must begin with https:// and name a host")
    if "@" in parts.netloc:
        raise AddressRefused("an address must not contain a user name or a password")
    if port is None:
        port = 443 if scheme == "https" else 80
    if port not in PORTS and not private:
        raise AddressRefused(f"port {port} is not allowed, only 80 and 443 are")
    path = quote(parts.path or "/", safe=_KEPT) + (
        f"?{quote(parts.query, safe=_KEPT)}" if parts.query else ""
    )
    return Target(scheme, _checked_host(host, bracketed="[" in parts.netloc), port, path)


def is_public(ip: str) -> bool:
    """Return whether this IP address is globally routable and leads to the same host from everywhere."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and (
        address.scope_id or address not in _GLOBAL_UNICAST or (int(address) >> 32) % 2**32 in _ISATAP
    ):
        return False
    return address.is_global and not any(address in network for network in _SPECIAL)


def _checked_host(host: str, *, bracketed: bool) -> str:
    """Return the host as an IP address or as an ASCII name. Raises AddressRefused for other notations."""
    if bracketed:
        try:
            return str(ipaddress.IPv6Address("" if "%" in host else host))
        except ValueError as error:
            raise AddressRefused(f"{host[:100]} is not a host") from error
    name = host.removesuffix(".")
    if not name.isascii():
        try:
            # Longer names are invalid, and the codec needs a lot of CPU time for them.
            name = name.encode("idna").decode("ascii") if len(name) <= 253 else ""
        except UnicodeError:
            name = ""
    name = name.lower()
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressRefused(f"{host[:100]} is not a host")
    if _LIKE_A_NUMBER.fullmatch(labels[-1]):
        # Some programs treat 2130706433, 0x7f.1 and 0177.0.0.1 as IP addresses, others as names.
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError as error:
            raise AddressRefused(f"{host[:100]} is not a host") from error
    return name
