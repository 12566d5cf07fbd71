"""Make calls and send SMS over Twilio (docs/http-carriers.md).

A call requests what it plays when it is answered, and reports pressed keys and its end (`twilio.callbacks`). Twilio's
API has no idempotency key: if a request gets no response, the delivery is unknown until a status or the list of sent
messages shows its result.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar

from telephony.call_scripts import AnsweredBy
from telephony.carriers.base import Accepted, Rejected, Result, Submission
from telephony.carriers.callbacks import CallbackReply, CallbackRequest, ReceivesCallbacks
from telephony.carriers.errors import CarrierError
from telephony.carriers.http import ApiRequest, ApiResponse, Code, HttpCarrier, Refusal, Verdict
from telephony.carriers.http.options import Option, Secret, text, texts, web_address, whole_number
from telephony.carriers.twilio import callbacks
from telephony.carriers.twilio.codes import CODES, MESSAGE_STATUSES, SENDER_CODES
from telephony.models import Cause, Channel, Delivery, DeliveryStatus

CLOCK_DIFFERENCE = timedelta(minutes=2)  # between Twilio's clock and ours, at most
PAGE_SIZE = 50


class TwilioCarrier(HttpCarrier, ReceivesCallbacks):
    channels: ClassVar = frozenset(Channel)
    looks_up: ClassVar = True
    takes_senders: ClassVar = True
    callback_kinds: ClassVar = dict.fromkeys(("status", "sms", "voice", "keys"), ("GET", "POST"))
    table: ClassVar = {
        "account_sid": Option(
            "", "The account's SID. Needed.", text(34, pattern="AC[0-9a-f]{32}", example="AC and 32 digits and letters a-f"),
        ),
        "auth_token": Option("", "The account's auth token, for our requests and Twilio's.", text(200), Secret.TEXT),
        "signature_keys": Option(
            [], "More keys that may sign Twilio's requests, such as the next auth token.", texts(16, 200), Secret.LIST
        ),
        "sender": Option(
            "", "Number or name of every call and SMS. Default: the account's number.",
            text(20, pattern=r"\+?[0-9]{3,15}|[A-Za-z0-9 ]{1,11}", example="+15005550006"),
        ),
        "messaging_service_sid": Option(
            "", "Messaging service that sends the SMS, instead of a sender.",
            text(34, pattern="MG[0-9a-f]{32}", example="MG, then 32 digits and letters a-f"),
        ),
        "base_url": Option("https://api.twilio.com", "Address of the API.", web_address),
        "ring_seconds": Option(45, "Seconds until an unanswered call is given up.", whole_number(5, 600)),
        "validity_seconds": Option(36_000, "Seconds after which Twilio gives up on an SMS.", whole_number(1, 36_000)),
    }  # fmt: skip
    needed: ClassVar = {"account_sid": "must be the account's SID", "auth_token": "must be the auth token"}

    def __init__(self, *, alias: str, **options: Any) -> None:
        super().__init__(alias=alias, **options)
        self._addresses = callbacks.Addresses(alias)
        self._account = f"/2010-04-01/Accounts/{self.settings['account_sid']}"
        self._login = (self.settings["account_sid"], self.settings["auth_token"])

    def request_of(self, one: Submission) -> ApiRequest | Rejected:
        sender = one.sender or self.settings["sender"] or one.caller
        form: dict[str, Any] = {"To": one.to}
        if one.channel is Channel.SMS and self.settings["messaging_service_sid"] and not one.sender:
            form["MessagingServiceSid"] = self.settings["messaging_service_sid"]
        elif not sender:
            return Rejected(
                key=one.key, cause=Cause.REFUSED, text="The account has no number, and the trunk no sender."
            )
        else:
            form["From"] = sender
        if one.channel is Channel.SMS:
            form |= {
                "Body": one.text,
                "StatusCallback": self._addresses.of("status", one.key),
                "ValidityPeriod": self.settings["validity_seconds"],
            }
            return ApiRequest(path=f"{self._account}/Messages.json", form=form, login=self._login)
        if any(step.answer is AnsweredBy.SPEECH for step in one.script):
            return Rejected(key=one.key, cause=Cause.REFUSED, text="This trunk cannot record spoken answers.")
        length = {} if one.audio_seconds is None else {"s": f"{one.audio_seconds:.2f}"}
        form |= {
            "Url": self._addresses.of("voice", one.key),
            "Timeout": self.settings["ring_seconds"],
            "StatusCallback": self._addresses.of("status", one.key, **length),
            "StatusCallbackEvent": ["initiated", "ringing", "answered", "completed"],
        }
        return ApiRequest(path=f"{self._account}/Calls.json", form=form, login=self._login)

    def outcome(self, one: Submission, response: ApiResponse) -> Result | Refusal | None:
        body = response.json()
        if 200 <= response.status < 300:
            sid, status = body.get("sid"), str(body.get("status", ""))
            if not isinstance(sid, str) or not sid:
                return None
            if (
                one.channel is Channel.SMS
                and MESSAGE_STATUSES.get(status, (0, 0))[0] is DeliveryStatus.FAILED
            ):
                return _refusal(body.get("error_code"), body.get("error_message") or status, response)
            return Accepted(key=one.key, ref=sid[:100])
        if response.status >= 500 or body.get("code") is None:
            return None  # without one of Twilio's error codes, the HTTP status decides
        return _refusal(body["code"], body.get("message"), response)

    def find(self, keys: Sequence[str]) -> dict[str, bool]:
        """Look the deliveries up in Twilio's lists of what it sent to their numbers. A different text proves nothing."""
        found: dict[str, bool] = {}
        asked = [int(key) for key in keys]
        alike: dict[tuple[str, str], list[tuple[int, str, datetime]]] = defaultdict(list)
        columns = ("pk", "channel", "to", "text", "claimed_at")
        for pk, channel, to, written, at in (
            Delivery.objects.filter(pk__in=asked, trunk__alias=self.alias, claimed_at__isnull=False)
            .order_by("pk")
            .values_list(*columns)
        ):
            alike[channel, to].append((pk, written, at))
        groups = list(alike.items())
        responses = self.ask(*(self._list_request(channel, to) for (channel, to), _ in groups))
        for ((channel, _), deliveries), response in zip(groups, responses, strict=True):
            found |= self._compared(channel, deliveries, response)
        return found

    def _list_request(self, channel: str, to: str) -> ApiRequest:
        kind = "Messages" if channel == Channel.SMS else "Calls"
        query = {"To": to, "PageSize": str(PAGE_SIZE)}
        return ApiRequest(method="GET", path=f"{self._account}/{kind}.json", query=query, login=self._login)

    def _compared(
        self, channel: str, deliveries: Sequence[tuple[int, str, datetime]], response: ApiResponse
    ) -> dict[str, bool]:
        rows = response.json().get("messages" if channel == Channel.SMS else "calls")
        if response.status != 200 or not isinstance(rows, list):
            raise CarrierError(f"The list of {self.alias} cannot be read (HTTP {response.status}).")
        since = min(at for _, _, at in deliveries) - CLOCK_DIFFERENCE
        # The list begins with the newest row. A row with an unreadable time counts as new.
        recent = [row for row in rows if isinstance(row, dict) and (_created(row) or since) >= since]
        refs = [str(row.get("sid")) for row in recent]
        known = set(
            Delivery.objects.filter(trunk__alias=self.alias, ref__in=refs).values_list("ref", flat=True)
        )
        free = [row for row in recent if str(row.get("sid")) not in known]
        if not free:
            is_complete = len(recent) < PAGE_SIZE
            return {str(pk): False for pk, _, _ in deliveries} if is_complete else {}
        written = [str(row.get("body")) for row in free]
        same_text = channel == Channel.CALL or all(text in written for _, text, _ in deliveries)
        return (
            {str(pk): True for pk, _, _ in deliveries} if same_text and len(free) >= len(deliveries) else {}
        )

    def is_genuine(self, callback: CallbackRequest) -> bool:
        return callbacks.is_signed(callback, [self.settings["auth_token"], *self.settings["signature_keys"]])

    def receive(self, callback: CallbackRequest) -> CallbackReply:
        return callbacks.receive(callback, self._addresses)


def _refusal(code: object, message: object, response: ApiResponse) -> Refusal:
    number = int(code) if isinstance(code, (int, str)) and str(code).isdigit() else 0
    known = CODES.get(number, Code("unknown code", Verdict.DOUBTFUL))
    text = f"{number} {message or known.name}"
    return Refusal(
        known.verdict, text, str(number), response.retry_after(), about_sender=number in SENDER_CODES
    )


def _created(row: dict[str, Any]) -> datetime | None:
    try:
        return parsedate_to_datetime(str(row.get("date_created")))
    except (ValueError, TypeError):
        return None
