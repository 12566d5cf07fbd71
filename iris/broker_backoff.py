"""A Redis that does not answer is left alone for some seconds, so that it costs one request half a second, not each."""

import time
from typing import Any

import redis
from django.core.cache.backends.redis import RedisCache, RedisCacheClient

REST_SECONDS = 3.0
SOCKET_SECONDS = 0.5  # that a web request waits for Redis


class Rest:
    """Whether something was seen dead, or was said, within the last seconds, by this process."""

    def __init__(self) -> None:
        self._until = 0.0

    def begin(self) -> None:
        self._until = time.monotonic() + REST_SECONDS

    def is_on(self) -> bool:
        return time.monotonic() < self._until


broker_rest = Rest()


class _Client(redis.Redis):
    """Raises redis.ConnectionError at once while the broker rests."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        if broker_rest.is_on():
            raise redis.ConnectionError("Redis did not answer lately.")
        try:
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except (redis.ConnectionError, redis.TimeoutError):
            broker_rest.begin()
            raise


class _CacheClient(RedisCacheClient):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._client = _Client


class RestingCache(RedisCache):
    """Django's cache in Redis, for counts that nobody waits for (accounts.api.throttles)."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = _CacheClient
