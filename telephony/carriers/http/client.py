"""One pooled HTTP client for each carrier, in an event loop of its own thread.

httpx2 is the maintained continuation of httpx. Its trace says whether any part of a request was sent. If so, the
carrier may have received it (`NoResponse`), otherwise not (`NotSent`). The event loop gives every request one deadline
for all of it, and one thread serves hundreds of requests.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import ssl
import threading
from collections.abc import AsyncIterator, Coroutine, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

from django.utils import timezone

if TYPE_CHECKING:
    from httpx2 import AsyncClient, Response

T = TypeVar("T")

MAX_BODY_BYTES = 256 * 1024  # of one response; the longest documented one is a page of a report
# Servers close idle connections after five seconds or more. If a server closes a connection while iris sends a request
# over it, the delivery becomes unknown. So iris closes idle connections first.
KEEPALIVE_SECONDS = 4.0
MAX_RETRY_AFTER_SECONDS = 3600.0
_LEAVING = frozenset({"http11.send_request_headers.started", "http2.send_request_headers.started"})
# They log addresses and headers, which contain tokens. Their errors reach us as exceptions.
for _name in ("httpx2", "httpcore2"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)


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
        self._base_url = base_url.rstrip("/")
        self._connections = connections
        self._connect_seconds, self._read_seconds = connect_seconds, read_seconds
        self._request_seconds = request_seconds
        self._tls_ca = tls_ca
        self._context: ssl.SSLContext | None = None
        self._lock = threading.Lock()
        self._process = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._clients: list[AsyncClient] = []
        self._idle: asyncio.LifoQueue[AsyncClient | None] = asyncio.LifoQueue()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin work in the event loop. The first use in each process starts its thread: a fork would not inherit it."""
        with self._lock:
            if self._loop is None or self._process != os.getpid():
                self._process, self._loop = os.getpid(), asyncio.new_event_loop()
                self._clients, self._idle = [], asyncio.LifoQueue()
                for _ in range(self._connections):
                    self._idle.put_nowait(None)
                threading.Thread(
                    target=self._loop.run_forever, name=f"http-{self._name}", daemon=True
                ).start()
            return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """Close all connections and end the thread. The next use begins anew."""
        with self._lock:
            loop, clients = self._loop, self._clients
            self._loop, self._clients = None, []
            if loop is None or self._process != os.getpid():
                return
        for client in clients:
            asyncio.run_coroutine_threadsafe(client.aclose(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)

    async def send(self, request: ApiRequest, *, seconds: float | None = None) -> ApiResponse:
        """Send a request within `seconds`, and at most within the deadline of all requests. Redirects are not followed.

        Raises NotSent or NoResponse, whose texts contain nothing of the request.
        """
        import httpx2

        left = False

        async def trace(event: str, _: Mapping[str, Any]) -> None:
            nonlocal left
            left = left or event in _LEAVING

        limit = self._request_seconds if seconds is None else min(seconds, self._request_seconds)
        try:
            async with asyncio.timeout(limit), self._connection() as client:
                address = self._base_url + request.path
                async with client.stream(
                    request.method,
                    address,
                    params=dict(request.query) or None,
                    data=request.form,
                    json=request.json,
                    headers=dict(request.headers),
                    auth=request.login or httpx2.USE_CLIENT_DEFAULT,
                    extensions={"trace": trace},
                ) as response:
                    body, problem = await _read(response)
                    return ApiResponse(
                        status=response.status_code,
                        headers={name.lower(): value for name, value in response.headers.items()},
                        body=body,
                        problem=problem,
                    )
        # The chain of exceptions is cut, because theirs may show the request.
        except (TimeoutError, httpx2.TimeoutException):
            text = (
                "The carrier did not respond in time."
                if left
                else "The carrier could not be reached in time."
            )
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
            what = type(error).__name__
            text = f"The connection broke ({what})." if left else f"The carrier cannot be reached ({what})."
        raise (NoResponse if left else NotSent)(text) from None

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncClient]:
        """Take a connection, the one that was used last, and give it back.

        Each connection is a client of its own. One client with a pool would examine all of its connections for each
        request: with a hundred connections, that costs several times as much as the request.
        """
        client = await self._idle.get()
        try:
            if client is None:
                client = self._new_client()
                self._clients.append(client)
            yield client
        finally:
            self._idle.put_nowait(client)

    def _new_client(self) -> AsyncClient:
        import httpx2

        if self._context is None:
            self._context = httpx2.create_ssl_context()
            if self._tls_ca:
                self._context = ssl.create_default_context(cafile=self._tls_ca)
        return httpx2.AsyncClient(
            timeout=httpx2.Timeout(self._read_seconds, connect=self._connect_seconds),
            limits=httpx2.Limits(max_connections=1, keepalive_expiry=KEEPALIVE_SECONDS),
            verify=self._context,
            follow_redirects=False,
            trust_env=False,
            # A compressed body could unpack to any size.
            headers={"Accept-Encoding": "identity", "User-Agent": "iris"},
        )


async def _read(response: Response) -> tuple[bytes, str]:
    """Return the body, and what is wrong with it. If the body cannot be read, the status is still used."""
    import httpx2

    if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        return b"", "compressed"
    body = bytearray()
    try:
        async for block in response.aiter_raw():
            body += block
            if len(body) > MAX_BODY_BYTES:
                return b"", f"longer than {MAX_BODY_BYTES} bytes"
    except (httpx2.HTTPError, OSError):
        return b"", "cut off"
    return bytes(body), ""
