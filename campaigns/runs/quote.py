"""Check the texts of a run before it begins, and compute the upper bound of its cost."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from campaigns.messages import MessageTemplate, check_length, check_tags, parse_message
from campaigns.models import Campaign, Service, Source
from campaigns.runs import survey_calls
from campaigns.tag_sizes import TagSize, tag_sizes_of
from iris.errors import InvalidInput
from telephony import speech
from telephony.models import Audio
from telephony.pricing import call_credits, sms_credits
from telephony.segments import upper_bound

# The value with the most characters is not always the longest to say, so the estimated duration is multiplied by this.
SPEECH_MARGIN = 1.25
# 100000 has more digits than 98765 but takes less time to say. Digit count does not predict spoken length, so every
# digit is priced as 7, the longest to say.
LONGEST_DIGITS = str.maketrans("0123456789०१२३४५६७८९", "7" * 20)


class Quote:
    """The checked texts of a run, and the maximum cost of one call and of one SMS in credits.

    It is computed from the stored tag sizes, without reading recipients. Raises InvalidInput.
    """

    def __init__(
        self, campaign: Campaign, *, source: Source, text: str, sms_text: str, voice: str, audio: Audio | None
    ) -> None:
        self.service = Service(campaign.service)
        self.text = self.sms_text = ""
        self.call_limit = self.sms_limit = Decimal(0)
        sizes = tag_sizes_of(campaign)
        if self.service is Service.SURVEY:
            self.call_limit = survey_calls.max_call_credits(
                campaign, voice=voice, sizes=sizes, margin=SPEECH_MARGIN
            )
        elif self.service.calls and source is Source.AUDIO:
            assert audio is not None
            self.call_limit = call_credits(audio.seconds)
        elif self.service.calls:
            self.text = text
            message = _checked(text, campaign, sizes)
            longest = message.render(
                {tag: entry.longest.translate(LONGEST_DIGITS) for tag, entry in sizes.items()}
            )
            seconds = speech.speak(text=longest, voice=voice, speed=float(campaign.speed)).seconds
            self.call_limit = call_credits(seconds * SPEECH_MARGIN if message.tags else seconds)
        if self.service.texts or (self.service.calls and campaign.failover_statuses):
            self.sms_text = sms_text
            message = _checked(sms_text, campaign, sizes)
            self.sms_limit = sms_credits(
                upper_bound(message.size({tag: entry.size for tag, entry in sizes.items()}))
            )


def _checked(text: str, campaign: Campaign, sizes: Mapping[str, TagSize]) -> MessageTemplate:
    if not text.strip():
        raise InvalidInput("There is no text for the SMS. Send a message.")
    message = parse_message(text)
    check_tags(message, campaign.tags)
    check_length(message, {tag: entry.size for tag, entry in sizes.items()})
    return message
