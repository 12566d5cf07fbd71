"""Settings that would fail later, found at the start."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured

from accounts import throttles


def check_rates(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """accounts.E001: a throttle has a rate that cannot be read."""
    problems: list[CheckMessage] = []
    for throttle in (throttles.UserThrottle, throttles.LoginThrottle, throttles.OtpThrottle):
        try:
            throttles.parse_rate(getattr(settings, throttle.setting))
        except ImproperlyConfigured as error:
            problems.append(Error(f"{throttle.setting}: {error}", id="accounts.E001"))
    return problems
