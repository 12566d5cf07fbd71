"""Run database work in a separate thread, so that a slow database does not delay the calling thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

from django.db import connection

T = TypeVar("T")


class DatabaseThread:
    """Run jobs one after the other in a thread with its own database connection, which is closed at the end."""

    def __init__(self, *, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    def start(self, job: Callable[[], T]) -> Future[T]:
        return self._executor.submit(job)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._executor.submit(lambda: connection.close())  # the connection of the executor's thread
        self._executor.shutdown(wait=True)


def done_now(job: Callable[[], T]) -> Future[T]:
    """Run the job in the calling thread; return a finished future with its result or its error."""
    future: Future[T] = Future()
    try:
        future.set_result(job())
    except Exception as error:
        future.set_exception(error)
    return future
