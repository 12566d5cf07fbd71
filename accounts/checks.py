"""System checks that reject wrong settings at startup, before a request needs them."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured

from accounts.counters import parse_rate, parse_rates

ONE_RATE = ("IRIS_API_THROTTLE", "IRIS_OTP_THROTTLE", "IRIS_TRIAL_THROTTLE", "IRIS_LOGIN_ACCOUNT_THROTTLE")
SEVERAL_RATES = ("IRIS_LOGIN_THROTTLE", "IRIS_LOGIN_ADDRESS_THROTTLE", "IRIS_OTP_NUMBER_THROTTLE")


def check_rates(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Report accounts.E001 for each throttle setting whose rate cannot be parsed."""
    problems: list[CheckMessage] = []
    for setting in (*ONE_RATE, *SEVERAL_RATES):
        try:
            (parse_rate if setting in ONE_RATE else parse_rates)(getattr(settings, setting))
        except ImproperlyConfigured as error:
            problems.append(Error(f"{setting}: {error}", id="accounts.E001"))
    return problems
