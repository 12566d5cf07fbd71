"""Requests to addresses that strangers chose: recordings to fetch, webhooks to deliver.

The guard against server-side request forgery. A request connects only to globally routable hosts, on ports 80 and 443.
The name is resolved once, every address it has is checked, and the request connects to one of those very addresses, so
a second lookup cannot lead elsewhere. One deadline covers the lookup, the connection, TLS, the headers and the body.
Proxies in the environment are ignored.
"""

from __future__ import annotations

import http.client
import ipaddress
import queue
import re
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from iris.errors import InvalidInput

MAX_ADDRESS_CHARACTERS = 2_000
PORTS = frozenset({80, 443})
CONNECT_SECONDS = 4.0  # for one of a host's addresses
CPU_SECONDS = (
    1.0  # of processor time for one request: a body in chunks of one byte costs far more than it weighs
)
MAX_HEAD_BYTES = 128 * 1024  # of status lines and headers, and what chunks add to a body
BLOCK = 65536
MAX_LOOKUPS = 16  # at once; a lookup cannot be interrupted, so one whose request has given up still counts

REDIRECTS = frozenset({301, 302, 303, 307, 308})

_LOOKUPS = threading.BoundedSemaphore(MAX_LOOKUPS)
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_BROKEN = re.compile(r"[\s\x00-\x20\x7f\\]")
_KEPT = "/%:@!$&'()*+,;=~?-._"  # of a path and a query; the rest is percent-encoded
_LIKE_A_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

# The special-purpose registries of IANA, and what embeds an IPv4 address: a gateway would lead it anywhere.
_SPECIAL = [
    ipaddress.ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24"),
        *("192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
        *("224.0.0.0/4", "240.0.0.0/4"),
        # Of IPv6, only 2000::/3 is global unicast. So NAT64 (64:ff9b::/96, 64:ff9b:1::/48), IPv4-mapped and
        # IPv4-compatible addresses, site-local and unique local ones need no line here.
        *("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
    )
]
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_ISATAP = {0x00005EFE, 0x02005EFE}  # before the IPv4 address in the lower half


class OutboundError(InvalidInput):
    """The request did not bring an answer. The sentence says why, and can stand after “cannot be fetched: ”."""

    default_code = "not_reached"


class AddressRefused(OutboundError):
    """Nothing is ever sent to such an address."""

    default_code = "address_refused"


class NoAnswer(OutboundError):
    """The host cannot be found, refuses the connection, breaks off, or is too slow."""

    default_code = "no_answer"


class AnswerTooLarge(OutboundError):
    """The body is longer than the caller allows."""

    default_code = "answer_too_large"


class Deadline:
    """A moment until which one or several requests must be done."""

    def __init__(self, seconds: float) -> None:
        self._until = time.monotonic() + seconds

    def left(self, host: str = "the host") -> float:
        """The seconds that are left, more than 0. Raises NoAnswer when there are none."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise _too_slow(host)
        return left


@dataclass(frozen=True, slots=True)
class Target:
    """An address, taken apart and checked as far as that is possible without asking anybody."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"http": 80, "https": 443}[self.scheme]
        return host if self.port == usual else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` by their names in lower case; `address` is where the answer came from, after redirects."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    address: str


def request(
    method: str,
    address: str,
    *,
    deadline: Deadline,
    max_bytes: int,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    redirects: int = 0,
    cut: bool = False,
) -> Answer:
    """Send one request and return the answer, whatever its status.

    `redirects` is how many are followed, each with the same checks; only GET follows any. A body above `max_bytes`
    raises AnswerTooLarge, or is cut there with `cut`. Raises AddressRefused, NoAnswer.
    """
    for remaining in range(redirects if method == "GET" else 0, -1, -1):
        answer = _exchange(method, address, deadline, max_bytes, body, headers or {}, cut)
        there = answer.headers.get("location")
        if answer.status not in REDIRECTS or not there or method != "GET" or not redirects:
            return answer
        if remaining:
            try:
                address = urljoin(address, there)
            except ValueError as error:
                raise AddressRefused("its address leads to another that cannot be read") from error
    raise NoAnswer("its address leads on and on")


def parse_address(address: str) -> Target:
    """Raises AddressRefused for whatever is not a plain address on the web."""
    text = address.strip() if len(address) <= MAX_ADDRESS_CHARACTERS else ""
    try:
        parts = urlsplit(text)
        scheme, host, port = parts.scheme.lower(), parts.hostname or "", parts.port
    except ValueError:
        scheme, host, port = "", "", None
    if scheme not in ("http", "https") or not host or _BROKEN.search(text):
        raise AddressRefused("an address must begin with https:// and name a host")
    if "@" in parts.netloc:
        raise AddressRefused("an address must not hold a user name or a password")
    if port is None:
        port = 443 if scheme == "https" else 80
    if port not in PORTS:
        raise AddressRefused(f"port {port} is not allowed, only 80 and 443 are")
    path = quote(parts.path or "/", safe=_KEPT) + (
        f"?{quote(parts.query, safe=_KEPT)}" if parts.query else ""
    )
    return Target(scheme, _checked_host(host, bracketed="[" in parts.netloc), port, path)


def is_public(ip: str) -> bool:
    """Whether this is an address that everybody on the internet can reach, and that means the same host to all."""
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
    """The host as an IP address or as a name in ASCII. Raises AddressRefused for other ways to write either."""
    if bracketed:
        try:
            return str(ipaddress.IPv6Address("" if "%" in host else host))
        except ValueError as error:
            raise AddressRefused(f"{host[:100]} is not a host") from error
    name = host.removesuffix(".")
    if not name.isascii():
        try:
            # Longer names cost the codec far more than they weigh.
            name = name.encode("idna").decode("ascii") if len(name) <= 253 else ""
        except UnicodeError:
            name = ""
    name = name.lower()
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise AddressRefused(f"{host[:100]} is not a host")
    if _LIKE_A_NUMBER.fullmatch(labels[-1]):
        # 2130706433, 0x7f.1 and 0177.0.0.1 are IP addresses to some programs and names to others.
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError as error:
            raise AddressRefused(f"{host[:100]} is not a host") from error
    return name


def _exchange(
    method: str,
    address: str,
    deadline: Deadline,
    max_bytes: int,
    body: bytes | None,
    headers: Mapping[str, str],
    cut: bool,
) -> Answer:
    target = parse_address(address)
    limits = _Limits(deadline, target.host, max_bytes + MAX_HEAD_BYTES)
    connection = http.client.HTTPConnection(target.host, target.port)
    try:
        connection.sock = _connected(target, limits)
        connection.putrequest(method, target.path, skip_host=True, skip_accept_encoding=True)
        length = {} if body is None else {"Content-Length": str(len(body))}
        for name, value in {"Host": target.authority, "Connection": "close", **length, **headers}.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        content = b"" if response.status in REDIRECTS else _body(response, max_bytes, cut, target.host)
        named = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, named, content, address)
    except TimeoutError as error:
        raise _too_slow(target.host) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoAnswer(f"{target.host} does not answer") from error
    finally:
        connection.close()


def _body(response: http.client.HTTPResponse, max_bytes: int, cut: bool, host: str) -> bytes:
    body = bytearray()
    while len(body) <= max_bytes and (block := response.read(min(BLOCK, max_bytes + 1 - len(body)))):
        body += block
    if len(body) > max_bytes:
        if cut:
            return bytes(body[:max_bytes])
        raise AnswerTooLarge(f"{host} answers with more than {max_bytes / 2**20:.1f} MB")
    if response.length:  # http.client does not mind a body that ends early
        raise NoAnswer(f"{host} breaks off in the middle of its answer")
    return bytes(body)


def _connected(target: Target, limits: _Limits) -> socket.socket:
    """A connection to one of the addresses that were checked."""
    found = _resolved(target, limits)
    if not found or not all(is_public(str(where[0])) for _, where in found):
        raise AddressRefused(f"{target.host} is not on the public internet")
    failure: OSError | None = None
    for family, where in found:
        raw = _PlainSocket(family, socket.SOCK_STREAM)
        try:
            raw.limits = limits
            raw.settimeout(min(limits.left(), CONNECT_SECONDS))
            raw.connect(where)
            return raw if target.scheme == "http" else _encrypted(raw, target, limits)
        except OSError as error:
            raw.close()
            failure = error
        except BaseException:
            raw.close()
            raise
    limits.left()
    raise NoAnswer(f"{target.host} does not answer") from failure


def _encrypted(raw: socket.socket, target: Target, limits: _Limits) -> socket.socket:
    context = ssl.create_default_context()
    context.sslsocket_class = _TLSSocket
    encrypted = context.wrap_socket(raw, server_hostname=target.host, do_handshake_on_connect=False)
    try:
        assert isinstance(encrypted, _TLSSocket)
        encrypted.limits = limits
        encrypted.settimeout(limits.left())
        encrypted.do_handshake()
    except BaseException:
        encrypted.close()
        raise
    return encrypted


def _resolved(target: Target, limits: _Limits) -> list[tuple[int, Any]]:
    """The addresses of a host, as family and socket address, in the system's order."""
    if not _LOOKUPS.acquire(timeout=limits.left()):
        raise _too_slow(target.host)
    found: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found.put(socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.put(error)
        finally:
            _LOOKUPS.release()

    try:
        # In a thread of its own, because nothing else can stop waiting for it.
        threading.Thread(target=look_up, daemon=True, name="outbound-lookup").start()
    except BaseException:
        _LOOKUPS.release()
        raise
    try:
        entries = found.get(timeout=limits.left())
    except queue.Empty:
        raise _too_slow(target.host) from None
    if isinstance(entries, Exception):
        raise NoAnswer(f"there is no host {target.host}") from entries
    return [(entry[0], entry[4]) for entry in entries]


class _Limits:
    """What one request may still take: time, processor time, and bytes."""

    def __init__(self, deadline: Deadline, host: str, size: int) -> None:
        self._deadline, self._host, self._size = deadline, host, size
        self._cpu = time.thread_time() + CPU_SECONDS

    def left(self) -> float:
        if time.thread_time() > self._cpu:
            raise NoAnswer(f"{self._host} sends its answer in a way that costs too much to read")
        return self._deadline.left(self._host)

    def received(self, count: int) -> None:
        self._size -= count
        if self._size < 0:
            raise AnswerTooLarge(f"{self._host} answers with more than is allowed")


class _PlainSocket(socket.socket):
    """A socket whose every operation ends at the deadline, however little each brings."""

    limits: _Limits

    def sendall(self, *args: Any) -> None:
        self.settimeout(self.limits.left())
        super().sendall(*args)

    def recv_into(self, *args: Any) -> int:
        self.settimeout(self.limits.left())
        count = super().recv_into(*args)
        self.limits.received(count)
        return count


class _TLSSocket(ssl.SSLSocket):
    """The same, encrypted."""

    limits: _Limits

    def send(self, *args: Any) -> int:
        self.settimeout(self.limits.left())
        return super().send(*args)

    def recv_into(self, *args: Any) -> int:
        self.settimeout(self.limits.left())
        count = super().recv_into(*args)
        self.limits.received(count)
        return count


def _too_slow(host: str) -> NoAnswer:
    return NoAnswer(f"{host} is too slow")
