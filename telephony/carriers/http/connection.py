"""One connection to a carrier's API: TCP, TLS, and HTTP/1.1 by httpcore2.

httpcore2 is the layer below httpx2, and speaks the protocol over any stream of bytes. httpx2's client and its pool need
four times the processor time for a request: they merge headers, cookies and logins, and examine the socket several times.
The stream here belongs to asyncio. It sends a whole request at once, so that small requests fit into one packet.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from httpcore2 import AsyncHTTP11Connection, AsyncNetworkStream, Response

# Servers close idle connections after five seconds or more. If a server closes a connection while iris sends a request
# over it, the delivery becomes unknown. So iris closes idle connections first.
KEEPALIVE_SECONDS = 4.0
MAX_BUFFER_BYTES = 64 * 1024  # of a response, before reading pauses until these bytes are used


class Address(NamedTuple):
    """Where the API is. `tls` is None for plain HTTP."""

    host: str
    port: int
    tls: ssl.SSLContext | None


class ByteStream(asyncio.Protocol):
    """The bytes of a connection, as httpcore2 reads and writes them.

    What is written leaves with the next read, because a request is complete when its response is read.
    """

    def __init__(self, read_seconds: float) -> None:
        self._read_seconds = read_seconds
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._received = bytearray()
        self._ended = False
        self.has_sent = False
        self._error: Exception | None = None
        self._arrival: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) > MAX_BUFFER_BYTES and self._transport is not None:
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        self._ended = True
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self._ended, self._error = True, error
        self._wake()

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return the next bytes; none at the end of the stream. Raises httpcore2's ReadTimeout and ReadError."""
        import httpcore2

        assert self._transport is not None
        if self._unsent:
            if self._ended:  # the server has closed the connection since it was last used, so it gets nothing
                raise httpcore2.ReadError("closed")
            self.has_sent = True
            self._transport.write(b"".join(self._unsent))
            self._unsent.clear()
        if not self._received and not self._ended:
            self._arrival = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(self._read_seconds):
                    await self._arrival
            except TimeoutError:
                raise httpcore2.ReadTimeout from None
            finally:
                self._arrival = None
        if self._error is not None and not self._received:
            raise httpcore2.ReadError(type(self._error).__name__)
        data = bytes(self._received[:max_bytes])
        del self._received[:max_bytes]
        if not self._ended and len(self._received) <= MAX_BUFFER_BYTES:
            self._transport.resume_reading()
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._unsent.append(buffer)

    async def aclose(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def get_extra_info(self, info: str) -> Any:
        """Answer httpcore2's question before a connection is used again: has the server sent something, or closed it?"""
        return bool(self._received) or self._ended if info == "is_readable" else None


class Connection:
    """A connection that is opened when it is needed, and again after the server has closed it."""

    def __init__(self, address: Address, *, connect_seconds: float, read_seconds: float) -> None:
        self._address = address
        self._connect_seconds, self._read_seconds = connect_seconds, read_seconds
        self._http: AsyncHTTP11Connection | None = None
        self._stream = ByteStream(read_seconds)

    @property
    def has_sent(self) -> bool:
        """Return whether any part of the last request may have left this machine."""
        return self._stream.has_sent

    async def open(self) -> None:
        """Open the connection unless it is open. Raises OSError, which includes TimeoutError and errors of TLS."""
        self._stream.has_sent = False
        if self._http is not None and self._http.is_available() and not self._http.has_expired():
            return
        import httpcore2

        await self.close()
        host, port, tls = self._address
        self._stream = stream = ByteStream(self._read_seconds)
        async with asyncio.timeout(self._connect_seconds):
            await asyncio.get_running_loop().create_connection(
                lambda: stream,
                host,
                port,
                ssl=tls,
                server_hostname=host if tls else None,
                happy_eyeballs_delay=0.25,
            )
        scheme = b"https" if tls else b"http"
        self._http = httpcore2.AsyncHTTP11Connection(
            httpcore2.Origin(scheme, host.encode(), port),
            cast("AsyncNetworkStream", stream),
            KEEPALIVE_SECONDS,
        )

    async def request(
        self, method: str, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> Response:
        """Send a request over the open connection; return the response, whose body has not been read.

        The caller must close the response. Raises httpcore2's errors.
        """
        import httpcore2

        assert self._http is not None
        host, port, tls = self._address
        url = httpcore2.URL(scheme=b"https" if tls else b"http", host=host.encode(), port=port, target=target)
        request = httpcore2.Request(method.encode(), url, headers=headers, content=body)
        return await self._http.handle_async_request(request)

    async def close(self) -> None:
        http, self._http = self._http, None
        if http is not None:
            await http.aclose()
