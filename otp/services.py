"""Send one-time passwords."""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts import credits
from accounts.models import Account
from iris.errors import InvalidInput
from otp import limits
from otp.models import Origin, Otp
from telephony import numbering, pricing, segments, speech, tariffs
from telephony.caller_id import choose_caller
from telephony.engine import restore_hold
from telephony.engine.enqueue import DeliveryRequest, enqueue
from telephony.engine.lifecycle import Changed
from telephony.models import Channel, Purpose
from telephony.placeholders import read_placeholders
from telephony.speech.legacy_fonts import legacy_first

# The placeholder of the password in the message: `{otp}`, in upper or lower case, with or without spaces.
_PLACEHOLDER = re.compile(r"\{\s*+otp\s*+\}", re.IGNORECASE)
_WORD = re.compile(r"\{\s*+(\w[^{}]*+)\}")
LENGTHS = range(4, 11)
DEFAULT_LENGTH = 6
PRIORITY = 0  # before all campaigns, because the recipient is waiting at a login form
USEFUL = timedelta(minutes=5)  # an OTP that was not submitted by then is not sent


def send_otp(
    *,
    account: Account,
    number: object,
    message: str,
    channel: Channel,
    code: str | None = None,
    length: int = DEFAULT_LENGTH,
    voice: str | None = None,
) -> Otp:
    """Send a password to a number: the owner's `code`, or a new password of `length` digits.

    The password replaces every `{otp}` in the message, in any case. A message without `{otp}` is sent unchanged, but not to
    recipients who have opted out. The maximum cost is held; when the delivery ends, the unused credits are released. Raises
    InvalidInput (number, code, length, voice, no price, or another word in braces), OptedOut, Blocked, TooManyToNumber,
    NoSender, InsufficientCredits and Unavailable (held after a restore).
    """
    parsed = reachable(number)
    restore_hold.refuse_held()
    with legacy_first(message):
        message = read_placeholders(message)
        _check_words(message)
    limits.refuse_blocked(to=parsed.to)
    if not _PLACEHOLDER.search(message):
        limits.refuse_opted_out(account=account, to=parsed.to, channel=channel)
    origin = Origin.GENERATED if code is None else Origin.OWNER
    if code is None:
        code = _generated(length)
    else:
        check_code(code)
    rates = _rates_of(account, channel, parsed.to)
    text = rendered(message, code)
    if channel == Channel.CALL:
        voice = speech.resolve(voice)
        audio = speech.speak(text=rendered(message, spaced(code)), voice=voice)
        cost = pricing.call_credits(audio.seconds, rates)
    else:
        # The password has no spaces in an SMS, so that phones can fill it in and people can copy it.
        voice, audio = "", None
        cost = pricing.sms_credits(segments.segments_of(text), rates)
    with transaction.atomic():
        limits.count(account=account, to=parsed.to)
        otp = Otp.objects.create(
            owner=account,
            number=parsed.number,
            to=parsed.to,
            channel=channel,
            origin=origin,
            code=code,
            message=text,
            voice=voice,
        )
        otp.hold = credits.hold(account=account, amount=cost, cause=f"otp:{otp.pk}")
        request = DeliveryRequest(
            owner_id=account.pk,
            channel=channel,
            to=parsed.to,
            purpose=Purpose.OTP,
            batch=otp.pk,
            item=otp.pk,
            priority=PRIORITY,
            text=text,
            audio_id=None if audio is None else audio.pk,
            caller=choose_caller(owner_id=account.pk),
            hold_id=otp.hold.pk,
            credit_limit=cost,
            pulse_credits=rates.call if channel == Channel.CALL else None,
            pulse_seconds=rates.pulse_seconds if channel == Channel.CALL else None,
            useful_until=timezone.now() + USEFUL,
        )
        (otp.delivery_id,) = enqueue(requests=[request], needs_senders=True)
        otp.save(update_fields=["hold", "delivery"])
    return otp


def reachable(number: object) -> numbering.ParsedNumber:
    """Return the parsed number. Raises InvalidInput for a number that cannot exist or that may receive no OTPs."""
    parsed = numbering.parse(number)
    if not parsed.to:
        raise InvalidInput(
            f"{parsed.number} is not a valid phone number. Check its digits and its country code.",
            code="invalid_number",
        )
    limits.refuse_foreign(parsed)
    return parsed


def _rates_of(account: Account, channel: Channel, to: str) -> pricing.Rates:
    """Return the present rates of the number. Raises InvalidInput if the number has no price."""
    rates = tariffs.rates_now(account, to)
    if (rates.call if channel == Channel.CALL else rates.sms) is None:
        kind = "calls to" if channel == Channel.CALL else "SMS to"
        raise InvalidInput(
            f"This account has no price for {kind} {to}. Ask the operator for one.", code="no_price"
        )
    return rates


def _check_words(message: str) -> None:
    """Raise InvalidInput for a word in braces that is not `otp`, because the recipient would get it literally."""
    for found in _WORD.finditer(message):
        if not _PLACEHOLDER.fullmatch(found[0]):
            raise InvalidInput(
                f"{{{found[1].strip()[:30]}}} is not known here: the message of an OTP has {{otp}} and no other word in"
                " braces.",
                code="unknown_tag",
            )


def check_length(length: int) -> None:
    """Raise InvalidInput for a length, in digits, that a generated password cannot have."""
    if length not in LENGTHS:
        raise InvalidInput(f"An OTP can have {LENGTHS[0]} to {LENGTHS[-1]} digits, not {length}.")


def check_code(code: str) -> None:
    """Raise InvalidInput for an owner's password that cannot be sent."""
    if not re.fullmatch(r"[0-9A-Za-z]+", code) or len(code) not in LENGTHS:
        raise InvalidInput(
            f"An OTP must be {LENGTHS[0]} to {LENGTHS[-1]} digits or Latin letters, without spaces."
        )


def spaced(code: str) -> str:
    """Return the password with spaces between its characters, so that a voice reads it digit by digit."""
    return " ".join(code)


def rendered(message: str, code: str) -> str:
    """Return the message with the password in the place of `{otp}`."""
    return _PLACEHOLDER.sub(code, message)


def release_ended_holds(sender: Any, changed: Sequence[Changed], **_: Any) -> None:
    """Release the unused credits of ended OTPs. Receiver of `deliveries_changed`, which reports each end exactly once."""
    credits.release_many(
        causes={
            delivery.hold_id: f"otp:{delivery.batch}"
            for delivery in changed
            if delivery.purpose == Purpose.OTP and delivery.is_final and delivery.hold_id
        }
    )


def _generated(length: int) -> str:
    check_length(length)
    return "".join(secrets.choice("0123456789") for _ in range(length))
