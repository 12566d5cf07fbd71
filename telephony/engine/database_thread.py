"""A thread for work with the database, beside a thread whose timing must not depend on it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

from django.db import connection

T = TypeVar("T")


class DatabaseThread:
    """Does what it is given in that order, with a database connection of its own, which is closed at the end."""

    def __init__(self, *, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    def start(self, job: Callable[[], T]) -> Future[T]:
        return self._executor.submit(job)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._executor.submit(lambda: connection.close())  # that of its thread
        self._executor.shutdown(wait=True)


def done_now(job: Callable[[], T]) -> Future[T]:
    """Do the job in the calling thread; its result or its error is in the future that is returned."""
    future: Future[T] = Future()
    try:
        future.set_result(job())
    except Exception as error:
        future.set_exception(error)
    return future
