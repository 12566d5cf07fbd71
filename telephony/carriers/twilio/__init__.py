"""Calls and SMS over Twilio: `BACKEND = "telephony.carriers.twilio.TwilioCarrier"`."""

from telephony.carriers.twilio.carrier import TwilioCarrier

__all__ = ["TwilioCarrier"]
