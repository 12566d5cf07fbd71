"""Whom an OTP may reach, and how often: it is sent at once, to whoever the caller of the API names.

The limit of each number is one account's. A limit over all accounts would let one customer keep the passwords of
another from arriving, and accounts are opened by the operator only.
"""

from __future__ import annotations

import phonenumbers
from django.conf import settings
from phonenumbers import PhoneNumberType

from accounts import counters
from accounts.models import User
from iris.errors import Conflict, InvalidInput, Throttled
from telephony.models import OptOut
from telephony.numbering import ParsedNumber

EVERY_COUNTRY = "*"
# Nobody receives a password there; fraudsters earn by each call or SMS.
COSTLY = {PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST}


class OptedOut(Conflict):
    """The recipient has opted out, and the message has no password."""

    default_code = "opted_out"


class TooManyToNumber(Throttled):
    """This account has sent many OTPs to the number in a short time."""

    default_code = "too_many_to_number"


def refuse_foreign(number: ParsedNumber) -> None:
    """Raise InvalidInput for a number outside `IRIS_OTP_COUNTRIES`, and for one that charges those who call it."""
    parsed = phonenumbers.parse(number.to)
    region = phonenumbers.region_code_for_number(parsed)
    if EVERY_COUNTRY not in settings.IRIS_OTP_COUNTRIES and region not in settings.IRIS_OTP_COUNTRIES:
        raise InvalidInput(
            f"{number.number} is a number of another country (+{parsed.country_code}). This server sends OTPs to "
            f"{', '.join(settings.IRIS_OTP_COUNTRIES)} only. Its operator can allow more (IRIS_OTP_COUNTRIES).",
            code="country_not_allowed",
        )
    if phonenumbers.number_type(parsed) in COSTLY:
        raise InvalidInput(
            f"{number.number} is a number that charges its callers. Send the OTP to a person's own number.",
            code="number_not_allowed",
        )


def refuse_opted_out(*, owner: User, to: str) -> None:
    """Raise OptedOut when the recipient wants nothing more from this account."""
    if OptOut.objects.filter(owner=owner, number=to).exists():
        raise OptedOut(
            "The recipient has opted out. Only a password may still be sent: put {otp} into the message where it belongs.",
        )


def count(*, owner: User, to: str) -> None:
    """Count an OTP to this number, within the transaction that sends it. Raises TooManyToNumber."""
    refused = counters.take(counters.rules_of(settings.IRIS_OTP_NUMBER_THROTTLE, "otp", owner.pk, to))
    if refused:
        wait = counters.longest(refused)
        raise TooManyToNumber(
            f"Too many OTPs to this number in a short time. Wait {wait:.0f} seconds and try again.", wait=wait
        )
