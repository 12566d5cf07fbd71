"""Verify and translate Twilio's requests: statuses, incoming SMS, and questions about what a call must play next."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.urls import reverse
from django.utils import timezone

from telephony.call_scripts import Script, load
from telephony.carriers.base import CarrierEvent, InboundSms
from telephony.carriers.callbacks import CallbackReply, CallbackRequest, UnreadableCallback, parsed_form
from telephony.carriers.twilio import twiml
from telephony.carriers.twilio.codes import (
    CALL_STATUSES,
    INVALID_NUMBER_RESPONSES,
    MESSAGE_CAUSES,
    MESSAGE_STATUSES,
)
from telephony.media import carrier_audio_url
from telephony.models import Cause, Delivery, DeliveryStatus

XML = "text/xml; charset=utf-8"
# Twilio rounds the duration of a call to whole seconds.
ROUNDING_SECONDS = 1.0


def signature(key: str, url: str, form: Iterable[tuple[str, str]]) -> str:
    """Return the X-Twilio-Signature of a request ("Validating requests are coming from Twilio")."""
    values: dict[str, set[str]] = defaultdict(set)
    for name, value in form:
        values[name].add(value)
    signed = url.partition("#")[0] + "".join(
        name + value for name in sorted(values) for value in sorted(values[name])
    )
    return base64.b64encode(hmac.new(key.encode(), signed.encode(), hashlib.sha1).digest()).decode()


def is_signed(callback: CallbackRequest, keys: Iterable[str]) -> bool:
    """Return whether one of these keys has signed the request. All keys are tried, in constant time."""
    given = callback.headers.get("x-twilio-signature", "").encode("utf-8", "replace")
    try:
        form = parsed_form(callback.body)
    except UnreadableCallback:
        return False
    return any(hmac.compare_digest(signature(key, callback.url, form).encode(), given) for key in keys)


class Addresses:
    """The addresses that Twilio requests for one trunk. Each names its delivery, with a signature of our own."""

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._signer = Signer(salt=f"telephony.carriers.twilio.{alias}", sep=".")

    def of(self, kind: str, key: str, **fields: str) -> str:
        path = reverse("carrier-callback", args=[self._alias, kind])
        return f"{settings.IRIS_PUBLIC_URL}{path}?{urlencode({'d': self._signer.sign(key), **fields})}"

    def key_in(self, query: Mapping[str, str]) -> str:
        """Return the key of the delivery that an address names; "" if it names none."""
        try:
            return self._signer.unsign(query.get("d", ""))
        except BadSignature:
            return ""


def receive(callback: CallbackRequest, addresses: Addresses) -> CallbackReply:
    query = callback.query_fields()
    fields = {**query, **callback.form_fields()}
    key = addresses.key_in(query)
    match callback.kind:
        case "status":
            return CallbackReply(items=[_status(fields, key, query.get("s", ""))], body="")
        case "sms":
            return CallbackReply(items=[_inbound(fields)], body=twiml.EMPTY, content_type=XML)
        case "voice":
            return _voice(fields, key, addresses)
        case _:
            return _keys(fields, query, key, addresses)


def _status(fields: Mapping[str, str], key: str, seconds: str) -> CarrierEvent:
    if sid := fields.get("CallSid"):
        return _call_event(fields, sid, key, seconds)
    sid = fields.get("MessageSid") or fields.get("SmsSid") or ""
    written = (fields.get("MessageStatus") or fields.get("SmsStatus") or "").casefold()
    if not sid or written not in MESSAGE_STATUSES:
        raise UnreadableCallback("The status or the id is missing or unknown.")
    status, cause = MESSAGE_STATUSES[written]
    code = fields.get("ErrorCode", "")
    if status is DeliveryStatus.FAILED and code.isascii() and code.isdigit() and len(code) < 10:
        cause = MESSAGE_CAUSES.get(int(code), cause)
    text = f"{written} {code}".strip() if cause else ""
    return CarrierEvent(key=key, ref=sid[:100], status=status, cause=cause, at=timezone.now(), text=text)


def _call_event(fields: Mapping[str, str], sid: str, key: str, seconds: str) -> CarrierEvent:
    written = fields.get("CallStatus", "").casefold()
    at = _time(fields.get("Timestamp", ""))
    if written != "completed":
        if written not in CALL_STATUSES:
            raise UnreadableCallback("The status is missing or unknown.")
        status, cause = CALL_STATUSES[written]
        response = fields.get("SipResponseCode", "")
        if status is DeliveryStatus.FAILED and response in INVALID_NUMBER_RESPONSES:
            cause = Cause.INVALID
        text = f"{written} {response}".strip() if cause else ""
        return CarrierEvent(key=key, ref=sid[:100], status=status, cause=cause, at=at, text=text)
    lasted, length = _seconds(fields.get("CallDuration", "")), _seconds(seconds)
    whole = lasted + ROUNDING_SECONDS >= length
    return CarrierEvent(
        key=key,
        ref=sid[:100],
        status=DeliveryStatus.COMPLETED if whole else DeliveryStatus.HUNGUP,
        cause=Cause.NONE if whole else Cause.CUT_OFF,
        at=at,
        seconds=lasted,
        playback=100 if whole else int(100 * lasted / length),
    )


def _inbound(fields: Mapping[str, str]) -> InboundSms:
    sid, sender = fields.get("MessageSid") or fields.get("SmsSid") or "", fields.get("From", "")
    if not sid or not sender:
        raise UnreadableCallback("The SMS has no id or no sender.")
    return InboundSms(
        ref=sid[:100], sender=sender, to=fields.get("To", ""), text=fields.get("Body", ""), at=timezone.now()
    )


def _voice(fields: Mapping[str, str], key: str, addresses: Addresses) -> CallbackReply:
    """Respond to the pickup with the beginning of the recording."""
    call = _call(key)
    if call is None:
        return CallbackReply(body=twiml.HANG_UP, content_type=XML)
    answered = CarrierEvent(
        key=key, ref=fields.get("CallSid", "")[:100], status=DeliveryStatus.ANSWERED, at=timezone.now()
    )
    return CallbackReply(items=[answered], body=_twiml(call, key, addresses), content_type=XML)


def _keys(
    fields: Mapping[str, str], query: Mapping[str, str], key: str, addresses: Addresses
) -> CallbackReply:
    """Report pressed keys, and respond with the rest of the recording."""
    call = _call(key)
    if call is None:
        return CallbackReply(body=twiml.HANG_UP, content_type=XML)
    try:
        position = twiml.Position.of(query)
    except ValueError as error:
        raise UnreadableCallback(str(error)) from error
    _, seconds, script = call
    parts = twiml.parts_of(script, seconds)
    pressed = position.press(fields.get("Digits", ""))
    event = CarrierEvent(
        key=key,
        ref=fields.get("CallSid", "")[:100],
        status=DeliveryStatus.ANSWERED,
        at=timezone.now(),
        digits="".join(keys for _, keys in pressed),
        answers=twiml.answers(script, parts, pressed),
    )
    body = _twiml(call, key, addresses, begin=twiml.resumes_at(position, parts), pressed=pressed)
    return CallbackReply(items=[event], body=body, content_type=XML)


def _call(key: str) -> tuple[str, float, Script] | None:
    """Return the name of the recording of a call, its seconds and its script."""
    row = (
        Delivery.objects.filter(pk=int(key), audio__isnull=False)
        .values_list("audio__name", "audio__seconds", "script")
        .first()
        if key
        else None
    )
    return None if row is None else (row[0], row[1], _script(row[2]))


def _script(stored: object) -> Script:
    return load(None if stored is None else json.dumps(stored))


def _twiml(
    call: tuple[str, float, Script],
    key: str,
    addresses: Addresses,
    *,
    begin: float = 0.0,
    pressed: tuple[tuple[int, str], ...] = (),
) -> str:
    name, seconds, script = call

    def audio(start: float, end: float) -> str:
        whole = start == 0.0 and end >= seconds
        return carrier_audio_url(name) if whole else carrier_audio_url(name, start=start, end=end)

    return twiml.play(
        twiml.parts_of(script, seconds),
        script,
        begin=begin,
        pressed=pressed,
        audio=audio,
        keys=lambda position: addresses.of("keys", key, **position.as_query()),
    )


def _seconds(written: str) -> float:
    try:
        seconds = float(written)
    except ValueError:
        return 0.0
    return seconds if 0 <= seconds < 10**8 else 0.0


def _time(written: str) -> datetime:
    """Parse the time of an event (RFC 2822). Return the present time if it is unreadable or in the future."""
    now = timezone.now()
    try:
        moment = parsedate_to_datetime(written)
    except (ValueError, TypeError):
        return now
    return min(moment, now) if moment.tzinfo else now
