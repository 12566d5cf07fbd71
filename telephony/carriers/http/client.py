"""One HTTP client for each carrier, in an event loop of its own thread.

It opens the connection first, and sends then. So it knows whether any part of a request was sent: then the carrier may have
received it (`NoResponse`), otherwise not (`NotSent`). The event loop gives every request one deadline for all of it, and one
thread serves hundreds of requests.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import ssl
import threading
from collections.abc import AsyncIterator, Coroutine, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from django.utils import timezone

from telephony.carriers.http.connection import Address, Connection

if TYPE_CHECKING:
    from httpcore2 import Response

T = TypeVar("T")

MAX_BODY_BYTES = 256 * 1024  # of one response; the longest documented one is a page of a report
MAX_RETRY_AFTER_SECONDS = 3600.0
# It logs addresses and headers, which contain tokens. Its errors reach us as exceptions.
logging.getLogger("httpcore2").setLevel(logging.CRITICAL + 1)


class NotSent(Exception):
    """No part of the request was sent, so the carrier certainly does not have it."""


class NoResponse(Exception):
    """At least a part of the request was sent, but no complete response came: the carrier may have it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiRequest:
    """One request to a carrier. `path` follows the base address. At most one of `form` and `json` is given."""

    method: str = "POST"
    path: str
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    form: Mapping[str, Any] | None = field(default=None, repr=False)
    json: Any = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    login: tuple[str, str] | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiResponse:
    """A response. `body` is empty, and `problem` says why, if it was too large, compressed or cut off."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    problem: str = ""

    def json(self) -> dict[str, Any]:
        """Return the JSON object of the body; an empty one if the body is anything else."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def text(self) -> str:
        return self.body[:4000].decode("utf-8", "replace")

    def retry_after(self) -> float | None:
        """Return the seconds of the Retry-After header; None if it has none that can be read (RFC 9110, 10.2.3)."""
        value = self.headers.get("retry-after", "").strip()
        if not value:
            return None
        if value.isascii() and value.isdigit() and len(value) < 10:
            seconds = float(value)
        else:
            try:
                seconds = (parsedate_to_datetime(value) - timezone.now()).total_seconds()
            except (ValueError, TypeError, OverflowError):
                return None
        return min(max(seconds, 0.1), MAX_RETRY_AFTER_SECONDS)


class HttpClient:
    """Sends requests to one base address. `connections` bounds how many are under way at the same time."""

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        connections: int,
        connect_seconds: float,
        read_seconds: float,
        request_seconds: float,
        tls_ca: str = "",
    ) -> None:
        self._name = name
        self._base = urlsplit(base_url.rstrip("/"))
        self._connections = connections
        self._connect_seconds, self._read_seconds = connect_seconds, read_seconds
        self._request_seconds = request_seconds
        self._tls_ca = tls_ca
        self._address: Address | None = None
        self._lock = threading.Lock()
        self._process = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opened: list[Connection] = []
        self._idle: asyncio.LifoQueue[Connection | None] = asyncio.LifoQueue()

    def prepare(self) -> None:
        """Start the event loop, and import and read what requests need. Together that takes a tenth of a second."""
        import anyio.lowlevel  # httpcore2's locks
        import httpcore2  # noqa: F401 – for `send`

        with suppress(OSError, ValueError):  # `send` tells why the carrier cannot be reached
            self._reached_at()
        self.start(anyio.lowlevel.checkpoint()).result()  # the first wait imports the code for asyncio

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin work in the event loop. The first use in each process starts its thread: a fork would not inherit it."""
        with self._lock:
            if self._loop is None or self._process != os.getpid():
                self._process, self._loop = os.getpid(), asyncio.new_event_loop()
                self._opened, self._idle = [], asyncio.LifoQueue()
                for _ in range(self._connections):
                    self._idle.put_nowait(None)
                threading.Thread(
                    target=self._loop.run_forever, name=f"http-{self._name}", daemon=True
                ).start()
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """Close all connections and end the thread. The next use begins anew."""
        with self._lock:
            loop, opened = self._loop, self._opened
            self._loop, self._opened = None, []
            if loop is None or self._process != os.getpid():
                return
        for connection in opened:
            asyncio.run_coroutine_threadsafe(connection.close(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)

    async def send(self, request: ApiRequest, *, seconds: float | None = None) -> ApiResponse:
        """Send a request within `seconds`, and at most within the deadline of all requests. Redirects are not followed.

        Raises NotSent or NoResponse, whose texts contain nothing of the request.
        """
        import httpcore2

        used: Connection | None = None
        limit = self._request_seconds if seconds is None else min(seconds, self._request_seconds)
        try:
            method, target, headers, body = self._encoded(request)
            async with asyncio.timeout(limit), self._connection() as used:
                await used.open()
                response = await used.request(method, target, headers, body)
                try:
                    received = {_text(name).lower(): _text(value) for name, value in response.headers}
                    content, problem = await _read(response, received)
                finally:
                    await response.aclose()
                return ApiResponse(status=response.status, headers=received, body=content, problem=problem)
        # The chain of exceptions is cut, because theirs may show the request.
        except (TimeoutError, httpcore2.TimeoutException):
            left = used is not None and used.has_sent
            text = (
                "The carrier did not respond in time."
                if left
                else "The carrier could not be reached in time."
            )
        except (httpcore2.NetworkError, httpcore2.ProtocolError, OSError, ValueError) as error:
            left, what = used is not None and used.has_sent, type(error).__name__
            text = f"The connection broke ({what})." if left else f"The carrier cannot be reached ({what})."
        raise (NoResponse if left else NotSent)(text) from None

    def _encoded(self, request: ApiRequest) -> tuple[str, bytes, list[tuple[bytes, bytes]], bytes]:
        """Return the method, the target, the headers and the body of a request."""
        target = quote(self._base.path + request.path, safe="/:@!$&'()*+,;=%~")
        if request.query:
            target += "?" + urlencode(request.query)
        headers = {
            "Host": self._base.netloc.rpartition("@")[2],
            "Accept": "*/*",
            "Accept-Encoding": "identity",  # a compressed body could unpack to any size
            "User-Agent": "iris",
            **request.headers,
        }
        body = b""
        if request.form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            body = urlencode(request.form, doseq=True).encode()
        elif request.json is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(
                request.json, ensure_ascii=False, separators=(",", ":"), allow_nan=False
            ).encode()
        if body or request.method != "GET":
            headers["Content-Length"] = str(len(body))
        if request.login is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(":".join(request.login).encode()).decode()
        lines = [(name.encode("ascii"), value.encode("utf-8")) for name, value in headers.items()]
        return request.method, target.encode("ascii"), lines, body

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        """Take a connection, the one that was used last, and give it back."""
        connection = await self._idle.get()
        try:
            if connection is None:
                connection = Connection(
                    self._reached_at(), connect_seconds=self._connect_seconds, read_seconds=self._read_seconds
                )
                self._opened.append(connection)
            yield connection
        finally:
            self._idle.put_nowait(connection)

    def _reached_at(self) -> Address:
        if self._address is None:
            tls = None
            if self._base.scheme == "https":
                tls = ssl.create_default_context(cafile=self._tls_ca or None)
                tls.set_alpn_protocols(["http/1.1"])
            self._address = Address(self._base.hostname or "", self._base.port or (443 if tls else 80), tls)
        return self._address


async def _read(response: Response, headers: Mapping[str, str]) -> tuple[bytes, str]:
    """Return the body, and what is wrong with it. If the body cannot be read, the status is still used."""
    import httpcore2

    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        return b"", "compressed"
    body = bytearray()
    try:
        async for block in response.aiter_stream():
            body += block
            if len(body) > MAX_BODY_BYTES:
                return b"", f"longer than {MAX_BODY_BYTES} bytes"
    except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException, OSError):
        return b"", "cut off"
    return bytes(body), ""


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
