"""The v1 serializers of OTPs."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from accounts.api.amounts import credits_json
from accounts.models import Account
from iris.api.fields import Text
from otp.api.v0.serializers import WORDS
from otp.api.v0.serializers import NewOtp as NewOtpInV0
from otp.models import Origin, Otp
from telephony import speech
from telephony.api.v1.fields import ChosenVoice
from telephony.models import Channel


class NewOtp(NewOtpInV0):
    """A request to send an OTP. The company name is optional, because older clients do not send it."""

    company_name = Text(required=False, max_length=100)
    voice_input = ChosenVoice(required=False)  # type: ignore[assignment]  # v0 has names only

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        valid = super().validate(attrs)
        if "company_name" in attrs:
            valid["message"] = f"{attrs['company_name']}: {valid['message']}"
        return valid


def sent_json(otp: Otp, *, account: Account, company: str) -> dict[str, Any]:
    """Return an OTP that was just sent. iris has one kind of credits, so both fields show the account's balance."""
    hold = otp.hold
    balance = credits_json(account.balance)
    shown: dict[str, Any] = {
        "number": otp.number,
        "otp_options": WORDS[Origin(otp.origin)],
        "message": otp.message,
        "otp": otp.code,
        "sms_send_options": WORDS[Channel(otp.channel)],
        "credits_used": 0 if hold is None else credits_json(hold.amount),
        "remaining_sms_credits": balance,
        "remaining_phone_credits": balance,
    }
    if otp.channel == Channel.CALL:
        voice = speech.catalogue().get(otp.voice)
        shown |= {"voice_input": otp.voice if voice is None else voice.api_name, "length_factor": 1.0}
    return shown | {"company_name": company}


def otp_json(otp: Otp) -> dict[str, Any]:
    """Return an OTP as the list shows it. The number has a different key here."""
    created = timezone.localtime(otp.created_at)
    return {
        "id": otp.pk,
        "phone_number": otp.number,
        "message": otp.message,
        "otp": otp.code,
        "otp_options": WORDS[Origin(otp.origin)],
        "sms_send_options": WORDS[Channel(otp.channel)],
        "created_at": created.isoformat(),
    }
