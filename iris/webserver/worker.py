"""gunicorn's threaded worker with one change: a request occupies a thread only from its arrival to its response.

One loop reads, sends and waits for the next request, for all connections. gunicorn's own `gthread` reads in its threads.
There, half a request or a slowly sent body occupies a thread for as long as the client wants, and eight such requests block
a process with eight threads.
"""

from __future__ import annotations

import errno
import os
import resource
import selectors
import socket
import time
from concurrent import futures
from functools import partial
from typing import Any

from gunicorn.errors import AppImportError
from gunicorn.http.errors import LimitRequestHeaders, NoMoreData, ParseException
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import Unreader
from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, ThreadWorker

from iris.webserver.connection import BLOCK, Connection, State
from iris.webserver.incoming import MEMORY_BYTES, Incoming

# Disk space of one process for incoming bodies, as a number of uploads of the maximum size.
MAX_BUFFERED_UPLOADS = 10
SWEEP_SECONDS = 0.5
OPEN_FILES = 8192
LIVE = (b"GET /health/live", b"HEAD /health/live")
HEALTH = (b"GET /health", b"HEAD /health")


class BufferingWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """Process up to `--threads` requests at a time, with up to `worker_connections` connections."""

    conns: dict[Connection, None]

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        super().check_config(cfg, log)
        if cfg.is_ssl:
            raise SystemExit("iris serves HTTP only: terminate HTTPS in the proxy in front of it.")

    def init_process(self) -> None:
        self.conns = {}
        self.swept_at = 0.0
        self.stored = 0
        # Health checks get their own threads, so that they never wait for slow requests. Liveness checks get another one,
        # so that they do not wait for a health check, which may take two seconds.
        self.live_pool = futures.ThreadPoolExecutor(max_workers=1, thread_name_prefix="live")
        self.health_pool = futures.ThreadPoolExecutor(max_workers=2, thread_name_prefix="health")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        super().init_process()

    def load_wsgi(self) -> None:
        from django.core.exceptions import ImproperlyConfigured

        from iris import startup_errors

        try:
            super().load_wsgi()
            startup_errors.refuse_shared_sessions()
        except ImproperlyConfigured as error:  # gunicorn prints AppImportError without a traceback and exits
            raise AppImportError(startup_errors.startup_sentence(error)) from error
        from django.conf import settings

        from iris.webserver import refusals

        self.refusals = refusals
        self.body_limit: int = max(settings.IRIS_MAX_UPLOAD_BYTES, settings.IRIS_MAX_BODY_BYTES)

    # The loop's thread: connections ------------------------------------------------------------------------

    def accept(self, listener: socket.socket) -> None:
        if self.nr_conns >= self.worker_connections - 1:
            self._evict()
        try:
            sock, client = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._evict()
            elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED):
                raise
            return
        sock.setblocking(False)
        conn = Connection(sock, client, listener.getsockname())
        self.conns[conn] = None
        self.nr_conns += 1
        self._await_request(conn, b"")

    def _await_request(self, conn: Connection, begun: bytes) -> None:
        """Wait for the next request. `begun` are its bytes that have already arrived."""
        conn.incoming = Incoming(self.body_limit)
        conn.enter(State.IDLE, seconds=self.cfg.keepalive if self.alive else STOP_KEEPALIVE_LINGER)
        if begun:
            self._receive(conn, begun)
        if conn.state in (State.IDLE, State.RECEIVING):
            self._watch(conn, selectors.EVENT_READ, self._on_readable)

    def _on_readable(self, conn: Connection, _sock: socket.socket) -> None:
        if conn.state not in (State.IDLE, State.RECEIVING):
            return
        try:
            data = conn.raw.recv(BLOCK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if data:
            self._receive(conn, data)
        else:
            self._close(conn)

    def _receive(self, conn: Connection, data: bytes) -> None:
        incoming = conn.incoming
        before = incoming.size if incoming.size > MEMORY_BYTES else 0
        had_head = incoming.has_head
        if conn.state is State.IDLE:
            conn.enter(State.RECEIVING)
        try:
            conn.rest = incoming.feed(data)
        except OSError as error:
            self.log.error("A request could not be stored: %s", error)
            self._refuse(conn, self.refusals.FULL)
            return
        if incoming.size > MEMORY_BYTES:
            self.stored += incoming.size - before
            conn.stored = incoming.size
        if incoming.complete:
            self.enqueue_req(conn)
        elif self.stored > MAX_BUFFERED_UPLOADS * self.body_limit:
            self._refuse(conn, self.refusals.FULL)
        elif not had_head and incoming.expects_continue():
            try:
                conn.raw.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            except OSError:
                self._close(conn)

    def enqueue_req(self, conn: Connection) -> None:
        self._unwatch(conn)
        conn.enter(State.WORKING)
        future = self._pool_for(conn.incoming.head).submit(self.handle, conn)
        future.add_done_callback(lambda done: self.method_queue.defer(self.finish_request, conn, done))

    def _pool_for(self, head: bytearray) -> futures.ThreadPoolExecutor:
        if head.startswith(LIVE):
            return self.live_pool
        if head.startswith(HEALTH):
            return self.health_pool
        pool: futures.ThreadPoolExecutor = self.tpool
        return pool

    def finish_request(self, conn: Connection, future: futures.Future[bool]) -> None:
        self._forget_request(conn)
        conn.reusable = not future.cancelled() and future.exception() is None and future.result()
        if conn.sock.broken:
            self._close(conn)
            return
        conn.enter(State.SENDING)
        self._send(conn)

    def _send(self, conn: Connection, _sock: socket.socket | None = None) -> None:
        if conn.state is not State.SENDING:
            return
        try:
            done = conn.sock.flush()
        except OSError:
            self._close(conn)
            return
        if not done:
            self._watch(conn, selectors.EVENT_WRITE, self._send)
        elif conn.reusable:
            self._unwatch(conn)
            self._await_request(conn, conn.rest)
        else:
            self._linger(conn)

    def _linger(self, conn: Connection) -> None:
        """Close a connection in stages (RFC 9112, 9.6): with an immediate close, unread bytes would reset our response."""
        try:
            conn.raw.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(conn)
            return
        conn.enter(State.LINGERING)
        self._watch(conn, selectors.EVENT_READ, self._drain)

    def _drain(self, conn: Connection, _sock: socket.socket) -> None:
        if conn.state is not State.LINGERING:
            return
        try:
            ended = not conn.raw.recv(BLOCK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            ended = True
        if ended:
            self._close(conn)

    def _refuse(self, conn: Connection, failure: Any) -> None:
        """Respond to a request that the application never sees, and close its connection."""
        head = bytes(conn.incoming.head)
        self._forget_request(conn)
        conn.reusable = False
        try:
            conn.sock.sendall(self.refusals.message(head, failure))
        except OSError:
            self._close(conn)
            return
        conn.enter(State.SENDING)
        self._send(conn)

    def _forget_request(self, conn: Connection) -> None:
        conn.incoming.close()
        self.stored -= conn.stored
        conn.stored = 0

    def _close(self, conn: Connection) -> None:
        if conn not in self.conns:
            return
        del self.conns[conn]
        self._unwatch(conn)
        self._forget_request(conn)
        conn.close()
        self.nr_conns -= 1

    def _evict(self) -> None:
        """Close a connection to make room for a new one: an idle one, or else the one that has been slow for longest."""
        found = [conn for conn in self.conns if conn.state is not State.WORKING]
        if found:
            self._close(min(found, key=lambda conn: (conn.state is not State.IDLE, conn.since)))

    def _watch(self, conn: Connection, event: int, callback: Any) -> None:
        if conn.watched == event:
            return
        self._unwatch(conn)
        self.poller.register(conn.raw, event, partial(callback, conn))
        conn.watched = event

    def _unwatch(self, conn: Connection) -> None:
        if conn.watched:
            self.poller.unregister(conn.raw)
            conn.watched = 0

    # The loop's thread: deadlines --------------------------------------------------------------------------

    def murder_keepalived(self, force: bool = False) -> None:
        """Close connections that have exceeded their deadline, or all with `force`. The loop calls this in each round."""
        now = time.monotonic()
        if now - self.swept_at < SWEEP_SECONDS and not force:
            return
        self.swept_at = now
        for conn in list(self.conns):
            if force:
                self._close(conn)
            elif conn.deadline() < now:
                if conn.state is State.RECEIVING:
                    self._refuse(conn, self.refusals.LATE)
                else:
                    self._close(conn)

    def murder_pending(self) -> None:
        """Do nothing: `murder_keepalived` handles all connections."""

    def _cap_keepalive(self, deadline: float) -> None:
        for conn in self.conns:
            if conn.state is State.IDLE:
                conn.until = min(conn.until, deadline)

    def run(self) -> None:
        super().run()
        for pool in (self.live_pool, self.health_pool):
            pool.shutdown(wait=False)

    # The threads -------------------------------------------------------------------------------------------

    def handle(self, conn: Connection) -> bool:
        """Process one complete request. Return True if its connection can be reused."""
        request = None
        conn.incoming.rewind()
        unreader = _WholeRequest(conn.incoming)
        try:
            parser = RequestParser(self.cfg, (), conn.client)
            parser.unreader = unreader
            parser.req_count = conn.requests
            conn.requests += 1
            request = next(parser)
            request.body.reader = _Reader(request.body.reader)
            keep = self.handle_request(request, conn)
            return bool(
                keep and not conn.incoming.overrun and parser.finish_body() and not unreader.has_more()
            )
        except (StopIteration, NoMoreData) as error:
            if conn.incoming.overrun and not conn.incoming.has_head:
                self._answer_error(conn, LimitRequestHeaders("It has no end."))
            else:
                self.log.debug("Closing a connection: %s", error)
        except OSError as error:  # the client has disconnected
            conn.sock.close()
            if error.errno not in (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN):
                self.log.warning("A connection was closed: %s", os.strerror(error.errno or errno.EIO))
        except Exception as error:
            self._answer_error(conn, error)
        return False

    def _answer_error(self, conn: Connection, error: Exception) -> None:
        failure = self.refusals.of_error(error)
        if failure is self.refusals.BUG:
            self.log.exception("Error handling a request")
        else:  # the text of the error quotes the request
            self.log.warning("A request was refused with %d: %s", failure.status, type(error).__name__)
        conn.sock.sendall(self.refusals.message(bytes(conn.incoming.head), failure))


class _WholeRequest(Unreader):  # type: ignore[misc]
    """Give gunicorn's parser the bytes of one request and then the end, whatever length the parser assumes."""

    def __init__(self, incoming: Incoming) -> None:
        super().__init__()
        self._incoming = incoming

    def chunk(self, size_hint: int | None = None) -> bytes:
        return self._incoming.read(max(size_hint or 0, BLOCK))

    def has_more(self) -> bool:
        """Return whether the parser found an earlier end of the request than we did: the other bytes are not trusted."""
        return bool(self.buf.getvalue()) or bool(self.chunk())


class _Reader:
    """Raise OSError, as for an unreadable body, if the chunks of a body are malformed."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def read(self, size: int) -> bytes:
        try:
            data: bytes = self._reader.read(size)
        except ParseException as error:
            raise OSError(errno.EPROTO, "The body's chunks are malformed.") from error
        return data
