"""Throttle API requests: count them per time window in Django's cache.

With Redis (`IRIS_BROKER_URL`), all processes and machines share the counts. Without Redis, each web process counts for
itself; `manage.py sandbox` has only one. Logins and OTPs to one number need exact limits, so the database counts them
(`accounts.counters`).
"""

import hashlib
import logging
import time
from typing import TYPE_CHECKING, cast

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts.addresses import network_of
from accounts.api.account import account_of
from accounts.counters import parse_rate
from iris.broker_backoff import BackoffTimer

if TYPE_CHECKING:
    # At run time this import would be circular: rest_framework.views imports this module,
    # because DEFAULT_THROTTLE_CLASSES names it.
    from rest_framework.views import APIView

logger = logging.getLogger(__name__)
_unavailable_warned = BackoffTimer()  # on while a warning about the missing cache is recent


def address_of(request: Request | HttpRequest) -> str:
    """Return the client's IP address. With `IRIS_TRUST_PROXY`, this is the address that the proxy reports."""
    return BaseThrottle().get_ident(cast(Request, request)) or ""


class Throttle(BaseThrottle):
    """Count requests per client, in windows that begin at the same time for all clients."""

    scope: str
    setting: str

    def client_of(self, request: Request) -> str:
        """Return the client whose requests are counted together: the account, or else the network of the address."""
        return (
            f"account:{account_of(request).pk}"
            if request.user.is_authenticated
            else f"address:{network_of(address_of(request))}"
        )

    def allow_request(self, request: Request, view: "APIView") -> bool:
        return self.allow(self.client_of(request))

    def allow(self, client: str) -> bool:
        """Count a request of this client. Return whether it is within the rate."""
        limit, seconds = parse_rate(getattr(settings, self.setting))
        window, elapsed = divmod(time.time(), seconds)
        self._wait = seconds - elapsed
        # Hashed, because a key may contain arbitrary text that a client sent.
        digest = hashlib.sha256(client.encode("utf-8", "replace")).hexdigest()[:32]
        return _count(f"throttle:{self.scope}:{digest}:{window:.0f}", seconds) <= limit

    def wait(self) -> float:
        """Return the seconds until the next window."""
        return self._wait


class UserThrottle(Throttle):
    """Limit all requests of one account, so that a client in a loop does not slow down other accounts."""

    scope = "user"
    setting = "IRIS_API_THROTTLE"


class OtpThrottle(Throttle):
    """Limit the one-time passwords that one account sends, because each is a call or an SMS."""

    scope = "otp"
    setting = "IRIS_OTP_THROTTLE"


class TrialThrottle(Throttle):
    """Limit the voice trials of one account, because they use CPU time and cost no credits."""

    scope = "trial"
    setting = "IRIS_TRIAL_THROTTLE"


def _count(key: str, seconds: int) -> int:
    try:
        cache.add(key, 0, timeout=2 * seconds)
        return cache.incr(key)
    except ValueError:  # the cache was full and evicted the key between the two calls
        return 1
    except _outages() as error:
        # Without the cache, requests are served and not throttled. One warning in a few seconds is enough.
        if not _unavailable_warned.is_on():
            _unavailable_warned.begin()
            logger.warning("Requests cannot be counted, so they are not throttled: %s", error)
        return 1


def _outages() -> tuple[type[Exception], ...]:
    """Return the errors of an unavailable cache. Imported when one is raised: most processes do not need redis."""
    from redis import RedisError

    return RedisError, OSError
