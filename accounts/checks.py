"""System checks that reject wrong settings at startup, before a request needs them."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured

from accounts import mail
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


def check_mail(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Report accounts.W001 if iris cannot send e-mails. Only for `check --deploy`."""
    if settings.MAIL_SERVER:
        return []
    what = (
        "E-mails are only written to the log"
        if mail.is_configured()
        else "iris sends no e-mails, so people can neither set a new password themselves nor be invited"
    )
    return [Warning(f"{what}.", hint="Set IRIS_SMTP_URL.", id="accounts.W001")]
