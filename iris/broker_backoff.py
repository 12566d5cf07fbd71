"""Stop calling an unresponsive Redis for some seconds, so that only one request waits for its timeout."""

import time
from typing import Any

import redis
from django.core.cache.backends.redis import RedisCache, RedisCacheClient

BACKOFF_SECONDS = 3.0
SOCKET_SECONDS = 0.5  # how long a web request waits for Redis


class BackoffTimer:
    """A timer of this process.

    `is_on` is true for BACKOFF_SECONDS after `begin`. For backoff, or to limit repeated warnings.
    """

    def __init__(self) -> None:
        self._until = 0.0

    def begin(self) -> None:
        self._until = time.monotonic() + BACKOFF_SECONDS

    def is_on(self) -> bool:
        return time.monotonic() < self._until


redis_backoff = BackoffTimer()


class _Client(redis.Redis):
    """A client that raises redis.ConnectionError immediately during the backoff."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if redis_backoff.is_on():
            raise redis.ConnectionError("Redis did not respond to a recent request.")
        try:
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except (redis.ConnectionError, redis.TimeoutError):
            redis_backoff.begin()
            raise


class _CacheClient(RedisCacheClient):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._client = _Client


class BackoffCache(RedisCache):
    """Django's Redis cache with the backoff, for the request counts of accounts.api.throttles."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = _CacheClient
