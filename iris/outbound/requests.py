"""Send a request to a URL that a client chose, with protection against server-side request forgery (SSRF).

A request connects only to globally routable hosts, on ports 80 and 443. The name is resolved once, all its addresses
are checked, and the request connects to one of the checked addresses, so that a second lookup cannot lead elsewhere. One
deadline covers the lookup, the connection, TLS, the headers and the body. Proxies in the environment are ignored.
"""

from __future__ import annotations

import http.client
import queue
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

from iris.outbound.addresses import AddressRefused, Target, is_public, parse_address
from iris.outbound.sockets import AnswerTooLarge, Deadline, Limits, NoAnswer, PlainSocket, TLSSocket, too_slow

CONNECT_SECONDS = 4.0  # for each address of a host
MAX_HEAD_BYTES = 128 * 1024  # for status lines, headers, and the overhead of a chunked body
BLOCK = 65536
MAX_LOOKUPS = 16  # concurrent lookups. A lookup cannot be interrupted, so it still counts after its request has timed out

REDIRECTS = frozenset({301, 302, 303, 307, 308})

_LOOKUPS = threading.BoundedSemaphore(MAX_LOOKUPS)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response. The names in `headers` are in lower case. `address` is the final URL after redirects."""

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
    private: bool = False,
) -> Answer:
    """Send one request and return the response, whatever its status.

    Follows up to `redirects` redirects, each with the same checks, for GET only. A body longer than `max_bytes` raises
    AnswerTooLarge, or is truncated with `cut`. Raises AddressRefused and NoAnswer.

    `private` also allows private hosts and all ports. It is for tests and for the sandbox.
    """
    for remaining in range(redirects if method == "GET" else 0, -1, -1):
        answer = _exchange(method, address, deadline, max_bytes, body, headers or {}, cut, private)
        there = answer.headers.get("location")
        if answer.status not in REDIRECTS or not there or method != "GET" or not redirects:
            return answer
        if remaining:
            try:
                address = urljoin(address, there)
            except ValueError as error:
                raise AddressRefused("its address redirects to an address that cannot be read") from error
    raise NoAnswer("its address redirects too often")


def _exchange(
    method: str,
    address: str,
    deadline: Deadline,
    max_bytes: int,
    body: bytes | None,
    headers: Mapping[str, str],
    cut: bool,
    private: bool,
) -> Answer:
    target = parse_address(address, private=private)
    limits = Limits(deadline, target.host, max_bytes + MAX_HEAD_BYTES)
    connection = http.client.HTTPConnection(target.host, target.port)
    try:
        connection.sock = _connected(target, limits, private)
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
        raise too_slow(target.host) from error
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
        raise AnswerTooLarge(f"{host} sends more than {max_bytes / 2**20:.1f} MB")
    if response.length:  # http.client does not raise for a body that ends early
        raise NoAnswer(f"{host} closed the connection in the middle of its response")
    return bytes(body)


def _connected(target: Target, limits: Limits, private: bool) -> socket.socket:
    """Connect to one of the checked addresses."""
    found = _resolved(target, limits)
    if not found or not (private or all(is_public(str(where[0])) for _, where in found)):
        raise AddressRefused(f"{target.host} is not on the public internet")
    failure: OSError | None = None
    for family, where in found:
        raw = PlainSocket(family, socket.SOCK_STREAM)
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


def _encrypted(raw: socket.socket, target: Target, limits: Limits) -> socket.socket:
    context = ssl.create_default_context()
    context.sslsocket_class = TLSSocket
    encrypted = context.wrap_socket(raw, server_hostname=target.host, do_handshake_on_connect=False)
    try:
        assert isinstance(encrypted, TLSSocket)
        encrypted.limits = limits
        encrypted.settimeout(limits.left())
        encrypted.do_handshake()
    except BaseException:
        encrypted.close()
        raise
    return encrypted


def _resolved(target: Target, limits: Limits) -> list[tuple[int, Any]]:
    """Resolve a host. Return its addresses as (family, socket address), in the system's order."""
    if not _LOOKUPS.acquire(timeout=limits.left()):
        raise too_slow(target.host)
    found: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found.put(socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.put(error)
        finally:
            _LOOKUPS.release()

    try:
        # In its own thread, because getaddrinfo() has no timeout.
        threading.Thread(target=look_up, daemon=True, name="outbound-lookup").start()
    except BaseException:
        _LOOKUPS.release()
        raise
    try:
        entries = found.get(timeout=limits.left())
    except queue.Empty:
        raise too_slow(target.host) from None
    if isinstance(entries, Exception):
        raise NoAnswer(f"the host {target.host} does not exist") from entries
    return [(entry[0], entry[4]) for entry in entries]
