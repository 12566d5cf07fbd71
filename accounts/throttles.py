"""How often one may ask: a count per window of time, in Django's cache.

With Redis (`IRIS_BROKER_URL`) the count is exact for all processes and machines. Without it every web process
counts for itself, which is exact where there is one, as in `manage.py sandbox`.
"""

import hashlib
import logging
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

if TYPE_CHECKING:
    from rest_framework.views import APIView  # which imports this module, as the settings name it

logger = logging.getLogger(__name__)

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_rate(rate: str) -> tuple[int, int]:
    """ "10/min" as (10, 60): so many, in so many seconds. Raises ImproperlyConfigured."""
    match = re.fullmatch(r"\s*([1-9][0-9]{0,8})\s*/\s*(s|m|h|d)[a-z]*\s*", rate.lower())
    if match is None:
        raise ImproperlyConfigured(f"{rate!r} is no rate: write it as 10/min, or with sec, hour or day.")
    return int(match[1]), SECONDS[match[2]]


class Throttle(BaseThrottle):
    """Counts requests by `who()`, in windows that begin at the same time for all."""

    scope: str
    setting: str

    def who(self, request: Request) -> str:
        """Whose requests are counted together: an account, or the address of one who is not logged in."""
        return (
            f"user:{request.user.pk}"
            if request.user.is_authenticated
            else f"address:{self.get_ident(request)}"
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


class LoginThrottle(Throttle):
    """Logins from one address to one account: enough for typing errors, too few for guessing.

    By both, so that nobody can lock another one out, and an office behind one address is not one person.
    """

    scope = "login"
    setting = "IRIS_LOGIN_THROTTLE"

    def who(self, request: Request) -> str:
        sent: Mapping[str, Any] = cast(Any, request.data)
        return self.of(request, str(sent.get("email", "")))

    def of(self, request: Request | HttpRequest, email: str) -> str:
        """Who tries to log in, whichever door is tried: the API's and that of the admin pages count together."""
        return f"{self.get_ident(cast(Request, request))} {email.strip().lower()}"


class OtpThrottle(Throttle):
    """One-time passwords sent by one account: each is a call or an SMS to somebody."""

    scope = "otp"
    setting = "IRIS_OTP_THROTTLE"


def _count(key: str, seconds: int) -> int:
    try:
        cache.add(key, 0, timeout=2 * seconds)
        return cache.incr(key)
    except ValueError:  # gone between the two lines: the cache was full
        return 1
    except Exception:
        # Whatever the cache in use raises. Without it nobody is throttled, rather than nobody served.
        logger.exception("Requests cannot be counted, so they are not throttled")
        return 1
