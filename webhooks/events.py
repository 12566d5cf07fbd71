"""The events of which customers can be told. Their names are part of the API (docs/webhooks.md)."""

from enum import StrEnum


class Event(StrEnum):
    """An event that an endpoint can subscribe to."""

    DELIVERY_FINISHED = "delivery.finished"
    RUN_FINISHED = "run.finished"
    OTP_FINISHED = "otp.finished"
    SMS_RECEIVED = "sms.received"
    OPT_OUT_ADDED = "optout.added"
    CREDITS_LOW = "credits.low"
    TRUNK_PAUSED = "trunk.paused"


# Sent on request to one endpoint, whatever it subscribes to.
TEST = "webhook.test"
MAX_BODY_BYTES = 20_000
