"""Limit the number of nudges that wait in Redis.

While no worker takes them, beat adds several a second. They would fill the memory of Redis, in which no worker can start
then, and the first worker would have to drop all of them before it gets to a new one. The next tick does the work of every
nudge that is removed here.
"""

import logging

from django.conf import settings

from iris.broker_backoff import SOCKET_SECONDS

MAX_NUDGES = 1000

logger = logging.getLogger(__name__)


def trim() -> None:
    """Remove all but the newest MAX_NUDGES of the queue of all workers. Does nothing without Redis, or if it fails.

    Nudges for the worker of a trunk need no limit, because they are only sent while this worker is alive.
    """
    if settings.IRIS_BROKER_URL is None:
        return
    import redis  # takes a tenth of the start of a process, so only those that use Redis import it

    try:
        with redis.Redis.from_url(
            settings.IRIS_BROKER_URL, socket_timeout=SOCKET_SECONDS, socket_connect_timeout=SOCKET_SECONDS
        ) as client:
            client.ltrim(settings.CELERY_TASK_DEFAULT_QUEUE, 0, MAX_NUDGES - 1)  # Celery adds at the left end
    except redis.RedisError as error:
        logger.warning("Old nudges could not be removed from Redis: %s", error)
