"""Check the texts of a run before it begins, and compute the upper bound of its cost."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from campaigns.messages import MessageTemplate, check_length, check_tags, parse_message
from campaigns.models import Campaign, Service, Source
from campaigns.runs import survey_calls
from campaigns.runs.call_length import Speaking
from campaigns.tag_sizes import TagSize, spoken_bounds, tag_sizes_of
from iris.errors import InvalidInput
from telephony.models import Audio
from telephony.pricing import call_credits, paid_seconds, sms_credits
from telephony.segments import upper_bound


class Quote:
    """The checked texts of a run, and the maximum cost of one call and of one SMS in credits.

    It is computed from the stored tag sizes, without reading recipients. `call_seconds` is the longest call that
    `call_limit` pays for. `is_joined` says whether recordings are joined from fragments (`delivery_requests.is_joined`).
    Raises InvalidInput.
    """

    def __init__(
        self,
        campaign: Campaign,
        *,
        source: Source,
        text: str,
        sms_text: str,
        voice: str,
        audio: Audio | None,
        is_joined: bool,
        last_recipient: int,
    ) -> None:
        self.service = Service(campaign.service)
        self.text = self.sms_text = ""
        self.call_limit = self.sms_limit = Decimal(0)
        self.call_seconds = 0.0
        sizes = tag_sizes_of(campaign)
        speaking = Speaking(
            voice=voice,
            speed=float(campaign.speed),
            is_joined=is_joined,
            written={tag: entry.size for tag, entry in sizes.items()},
            spoken=spoken_bounds(campaign, sizes, last_recipient=last_recipient),
        )
        if self.service is Service.SURVEY:
            self._price_call(survey_calls.max_seconds(campaign, speaking, sizes=sizes))
        elif self.service.calls and source is Source.AUDIO:
            assert audio is not None
            self._price_call(audio.seconds)
        elif self.service.calls:
            self.text = text
            self._price_call(speaking.bounds(_checked(text, campaign, sizes)).most)
        if self.service.texts or (self.service.calls and campaign.failover_statuses):
            self.sms_text = sms_text
            message = _checked(sms_text, campaign, sizes)
            self.sms_limit = sms_credits(
                upper_bound(message.size({tag: entry.size for tag, entry in sizes.items()}))
            )

    def _price_call(self, seconds: float) -> None:
        self.call_limit, self.call_seconds = call_credits(seconds), paid_seconds(seconds)


def _checked(text: str, campaign: Campaign, sizes: Mapping[str, TagSize]) -> MessageTemplate:
    if not text.strip():
        raise InvalidInput("There is no text for the SMS. Send a message.")
    message = parse_message(text)
    check_tags(message, campaign.tags)
    check_length(message, {tag: entry.size for tag, entry in sizes.items()})
    return message
