"""Tell customers by webhooks that OTPs are finished. The events have neither the password nor the message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from telephony.engine.lifecycle import Changed
from telephony.models import FINAL, Channel, DeliveryStatus, Purpose
from webhooks import outbox
from webhooks.events import Event
from webhooks.outbox import moment

# The words of v0.
CHANNELS = {Channel.SMS: "text", Channel.CALL: "voice"}
STATUSES = {status: status.name.lower() for status in DeliveryStatus if status >= FINAL}


def tell_ended(sender: Any, changed: Sequence[Changed], **_: Any) -> None:
    """Tell which OTPs have ended, in one statement. A receiver of `deliveries_changed`."""
    ended = [one for one in changed if one.has_endpoint and one.purpose is Purpose.OTP and one.is_final]
    if not ended:
        return
    channels = " ".join(f"WHEN '{channel.value}' THEN '{word}'" for channel, word in CHANNELS.items())
    statuses = " ".join(f"WHEN {status.value} THEN '{word}'" for status, word in STATUSES.items())
    outbox.publish(
        Event.OTP_FINISHED,
        rows=f"""SELECT d.owner_id, 'otp:' || d.batch, json_build_object(
                        'id', d.batch, 'number', d."to", 'sms_send_options', CASE d.channel {channels} END,
                        'status', CASE d.status {statuses} END, 'cause', nullif(d.cause, ''),
                        'duration', round(d.seconds), 'playback', d.playback, 'credit_consumed', d.credits,
                        'corrects', d.id = ANY(%(late)s::bigint[]), 'ended_at', {moment("d.ended_at")})
                   FROM telephony_delivery d WHERE d.id = ANY(%(ids)s::bigint[])""",
        parameters={"ids": [one.id for one in ended], "late": [one.id for one in ended if one.is_late]},
    )
