"""Decide what an answered call counts as: heard, cut off, or not reached at all."""

from __future__ import annotations

from telephony.carriers.sip import sentences
from telephony.carriers.sip.options import SipOptions
from telephony.carriers.sip.playback import Playback
from telephony.carriers.sip.signalling import CallSignalling
from telephony.models import Cause, DeliveryStatus


def result_of(
    playback: Playback,
    *,
    share: int,
    heard: int,
    options: SipOptions,
    said: CallSignalling,
    text: str,
    is_hung_up: bool,
    has_response: bool,
) -> tuple[DeliveryStatus, Cause, str]:
    """Return the status, the cause and the `carrier_text` of an answered call that has ended.

    `share` is the percentage of the recording that was sent, and `heard` that of the message in it. `text` says how the call
    ended. `is_hung_up` means that the far end ended the call. `has_response` means that a person pressed a key or spoke, so
    no announcement has answered the call.
    """
    if share == 100:
        return DeliveryStatus.COMPLETED, Cause.NONE, text
    if not playback.was_ready and not options.charge_silent_calls:
        return (
            DeliveryStatus.FAILED,
            Cause.REFUSED,
            sentences.of_silent_call(said, text if is_hung_up else ""),
        )
    missed = _missed_limit(playback.seconds(), heard, options) if is_hung_up and not has_response else ""
    if missed:
        return DeliveryStatus.UNANSWERED, Cause.NO_ANSWER, f"{text} Counted as unanswered: {missed}."
    return DeliveryStatus.HUNGUP, Cause.CUT_OFF, text


def _missed_limit(seconds: float, heard: int, options: SipOptions) -> str:
    """Return which limit of the trunk the call has missed, "" if none."""
    if seconds < options.min_heard_seconds:
        return f"{seconds:.1f} s of the message were heard, fewer than min_heard_seconds"
    if heard < options.min_heard_percent:
        return f"{heard} % of the message was heard, less than min_heard_percent"
    return ""
