"""Limit which numbers an OTP may reach, and how often. OTPs are sent at once to any number that the API client names.

Each account has its own limit per number. With a limit over all accounts, one customer could block another customer's
passwords. Abuse with many accounts is not possible, because only the operator opens accounts.
"""

from __future__ import annotations

import phonenumbers
from django.conf import settings
from phonenumbers import PhoneNumberType

from accounts import counters
from accounts.models import Account
from iris.errors import Conflict, InvalidInput, Throttled
from telephony.models import BlockedNumber, Channel
from telephony.numbering import ParsedNumber
from telephony.optouts.lists import is_opted_out

EVERY_COUNTRY = "*"
# Types of numbers on which nobody needs a password, but with which fraudsters earn money for each call or SMS.
COSTLY = {PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST}


class OptedOut(Conflict):
    """The recipient has opted out, and the message contains no password."""

    default_code = "opted_out"


class TooManyToNumber(Throttled):
    """This account has sent too many OTPs to the number in a short time."""

    default_code = "too_many_to_number"


def refuse_foreign(number: ParsedNumber) -> None:
    """Raise InvalidInput for a number outside `IRIS_OTP_COUNTRIES`, and for a premium-rate number."""
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
            f"{number.number} is a premium-rate number. Send the OTP to a person's own number.",
            code="number_not_allowed",
        )


class Blocked(Conflict):
    """The operator has blocked the number for OTPs, too."""

    default_code = "number_blocked"


def refuse_blocked(*, to: str) -> None:
    """Raise Blocked if the operator of this server allows no OTP to the number."""
    if BlockedNumber.objects.filter(number=to, also_otps=True).exists():
        raise Blocked("The operator of this server has blocked this number. Ask the operator why.")


def refuse_opted_out(*, account: Account, to: str, channel: Channel) -> None:
    """Raise OptedOut if the recipient has opted out of such messages from this account."""
    if is_opted_out(owner_id=account.pk, number=to, channel=channel):
        raise OptedOut(
            "The recipient has opted out. Only a password may still be sent: put {otp} into the message in its place.",
        )


def count(*, account: Account, to: str) -> None:
    """Count an OTP to this number. Call it in the transaction that sends the OTP. Raises TooManyToNumber."""
    refused = counters.consume(counters.rules_of(settings.IRIS_OTP_NUMBER_THROTTLE, "otp", account.pk, to))
    if refused:
        wait = counters.longest_wait(refused)
        raise TooManyToNumber(
            f"Too many OTPs to this number in a short time. Wait {wait:.0f} seconds and try again.", wait=wait
        )
