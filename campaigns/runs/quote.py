"""Check the texts of a run before it begins, and compute the maximum length of its calls and SMS."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings

from campaigns.messages import MessageTemplate, check_length, check_tags, parse_message
from campaigns.models import Campaign, Service, Source
from campaigns.runs import heard_key, survey_calls
from campaigns.runs.call_length import Speaking
from campaigns.runs.opt_out_hint import hint_in
from campaigns.runs.urgent import HeardRule
from campaigns.tag_sizes import TagSize, spoken_bounds, tag_sizes_of
from iris.errors import InvalidInput
from telephony.models import Audio
from telephony.segments import upper_bound


class Quote:
    """The checked texts of a run, the seconds of its longest call and the segments of its longest SMS.

    Both are computed from the stored tag sizes, without reading recipients, and None if the run makes no calls or sends no
    SMS. `is_joined` says whether recordings are joined from fragments (`delivery_requests.is_joined`). Raises InvalidInput.
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
        announces_recording: bool = False,
        offers_opt_out: bool = False,
        heard: HeardRule | None = None,
    ) -> None:
        self.service = Service(campaign.service)
        self.text = self.sms_text = ""
        self.longest_call: float | None = None
        self.most_segments: int | None = None
        sizes = tag_sizes_of(campaign)
        speaking = Speaking(
            voice=voice,
            speed=float(campaign.speed),
            is_joined=is_joined,
            written={tag: entry.size for tag, entry in sizes.items()},
            spoken=spoken_bounds(campaign, sizes, last_recipient=last_recipient),
        )
        if self.service is Service.SURVEY:
            self.longest_call = survey_calls.max_seconds(
                campaign, speaking, sizes=sizes, announces_recording=announces_recording
            )
        elif self.service.calls and source is Source.AUDIO:
            assert audio is not None
            self.longest_call = audio.seconds
        elif self.service.calls:
            self.text = text
            self.longest_call = speaking.bounds(_checked(text, campaign, sizes)).most
        if heard is not None and self.longest_call is not None:
            more = heard_key.seconds_of(voice, float(campaign.speed))
            self.longest_call = min(self.longest_call + more, settings.IRIS_MAX_AUDIO_SECONDS)
        if self.longest_call is not None and offers_opt_out:
            self.longest_call += hint_in(voice, float(campaign.speed)).seconds
        texts_unheard = heard is not None and heard.sms
        if self.service.texts or (self.service.calls and (campaign.failover_statuses or texts_unheard)):
            self.sms_text = sms_text
            message = _checked(sms_text, campaign, sizes)
            self.most_segments = upper_bound(message.size({tag: entry.size for tag, entry in sizes.items()}))


def _checked(text: str, campaign: Campaign, sizes: Mapping[str, TagSize]) -> MessageTemplate:
    if not text.strip():
        raise InvalidInput("There is no text for the SMS. Send a message.", code="no_sms_text")
    message = parse_message(text)
    check_tags(message, campaign.tags)
    check_length(message, {tag: entry.size for tag, entry in sizes.items()})
    return message
