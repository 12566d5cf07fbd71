"""How often one may ask: a count per window of time, in Django's cache.

With Redis (`IRIS_BROKER_URL`) the count is exact for all processes and machines. Without it every web process
counts for itself, which is exact where there is one, as in `manage.py sandbox`. Logins and what is sent to one number
are counted in the database instead (`accounts.counters`): there nobody may slip through.
"""

import hashlib
import logging
import time
from typing import TYPE_CHECKING, cast

import redis
from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts.addresses import network_of
from accounts.counters import parse_rate
from iris.broker_backoff import Rest

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which imports this module, as the settings name it

logger = logging.getLogger(__name__)
_told = Rest()  # that requests cannot be counted


def address_of(request: Request | HttpRequest) -> str:
    """The address that a request comes from: the proxy's word for it where `IRIS_TRUST_PROXY` says so."""
    return BaseThrottle().get_ident(cast(Request, request)) or ""


class Throttle(BaseThrottle):
    """Counts requests by `who()`, in windows that begin at the same time for all."""

    scope: str
    setting: str

    def who(self, request: Request) -> str:
        """Whose requests are counted together: an account, or the address of one who is not logged in."""
        return (
            f"user:{request.user.pk}"
            if request.user.is_authenticated
            else f"address:{network_of(address_of(request))}"
        )

    def allow_request(self, request: Request, view: "APIView") -> bool:
        return self.allow(self.who(request))

    def allow(self, who: str) -> bool:
        """Whether one more request of `who` is within the rate; it is counted in any case."""
        limit, seconds = parse_rate(getattr(settings, self.setting))
        window, elapsed = divmod(time.time(), seconds)
        self._wait = seconds - elapsed
        # Hashed: a key may hold an e-mail address, and anything that somebody may have typed in its place.
        digest = hashlib.sha256(who.encode("utf-8", "replace")).hexdigest()[:32]
        return _count(f"throttle:{self.scope}:{digest}:{window:.0f}", seconds) <= limit

    def wait(self) -> float:
        """Seconds until the next window."""
        return self._wait


class UserThrottle(Throttle):
    """All requests of one account, so that a client in a loop does not take the server from the others."""

    scope = "user"
    setting = "IRIS_API_THROTTLE"


class OtpThrottle(Throttle):
    """One-time passwords sent by one account: each is a call or an SMS to somebody."""

    scope = "otp"
    setting = "IRIS_OTP_THROTTLE"


class TrialThrottle(Throttle):
    """Voices that one account tries: each may have to be spoken, and costs nothing."""

    scope = "trial"
    setting = "IRIS_TRIAL_THROTTLE"


def _count(key: str, seconds: int) -> int:
    try:
        cache.add(key, 0, timeout=2 * seconds)
        return cache.incr(key)
    except ValueError:  # gone between the two lines: the cache was full
        return 1
    except (redis.RedisError, OSError) as error:
        # Without it nobody is throttled, rather than nobody served. Each request would say so: one in a few seconds does.
        if not _told.is_on():
            _told.begin()
            logger.warning("Requests cannot be counted, so they are not throttled: %s", error)
        return 1
