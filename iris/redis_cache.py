"""The cache in Redis, with the backoff of `iris.broker_backoff`.

Only processes that use Redis import this module: importing redis takes a tenth of the start of a process.
"""

from typing import Any

import redis
from django.core.cache.backends.redis import RedisCache, RedisCacheClient

from iris.broker_backoff import redis_backoff


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
