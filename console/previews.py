"""What one person of a campaign would read and hear, and the size of text messages."""

from __future__ import annotations

from dataclasses import dataclass

from campaigns.messages import PREFIX, check_tags, parse_message
from campaigns.models import Campaign, Recipient, Service
from campaigns.tag_sizes import tag_sizes_of
from console.errors import sentence_of
from iris.errors import InvalidInput
from telephony import segments


@dataclass(frozen=True, kw_only=True)
class Preview:
    """A recipient with the words that this person gets. `before` and `after` are the ids of the neighbours."""

    recipient: Recipient | None
    spoken: str
    written: str
    before: int | None = None
    after: int | None = None


@dataclass(frozen=True, kw_only=True)
class SmsSize:
    """The segments of the longest text message, and how far the text is from fewer of them."""

    segments: int
    is_unicode: bool
    units: int
    room: int  # characters that fit into the last segment
    excess: int  # characters more than fit into one segment less; 0 for a single segment


def preview_of(
    campaign: Campaign,
    *,
    message: str | None = None,
    sms_message: str | None = None,
    recipient_id: int | None = None,
) -> Preview:
    """Return what the first person of a campaign gets, or another one. Takes at most three queries."""
    text = campaign.message if message is None else message
    written = (campaign.sms_message if sms_message is None else sms_message) or text
    rows = Recipient.objects.filter(campaign=campaign).order_by("pk")
    chosen = rows.filter(pk__gte=recipient_id or 0).first() or rows.first()
    tags = None if chosen is None else chosen.tags
    service = Service(campaign.service)
    spoken = _rendered(text, tags) if service.calls else ""
    shown = _rendered(written, tags) if service.texts or campaign.failover_statuses else ""
    if chosen is None:
        return Preview(recipient=None, spoken=spoken, written=shown)
    after = rows.filter(pk__gt=chosen.pk).values_list("pk", flat=True).first()
    before = rows.filter(pk__lt=chosen.pk).order_by("-pk").values_list("pk", flat=True).first()
    return Preview(recipient=chosen, spoken=spoken, written=shown, before=before, after=after)


def sms_size(campaign: Campaign, text: str) -> SmsSize | None:
    """Return the size of the longest text message of a campaign; None for an empty or an unreadable text."""
    try:
        message = parse_message(text)
    except InvalidInput:
        return None
    if not message.parts:
        return None
    size = message.size({tag: entry.size for tag, entry in tag_sizes_of(campaign).items()})
    count = segments.upper_bound(size)
    length = size.septets if size.gsm else size.units
    single, part = (
        (segments.GSM_SINGLE, segments.GSM_PART) if size.gsm else (segments.UCS2_SINGLE, segments.UCS2_PART)
    )
    room = single - length if count <= 1 else count * part - length
    fewer = 0 if count <= 1 else single if count == 2 else (count - 1) * part
    return SmsSize(
        segments=count,
        is_unicode=not size.gsm,
        units=length,
        room=max(room, 0),
        excess=length - fewer if count > 1 else 0,
    )


def problem_of(campaign: Campaign, text: str) -> str:
    """Return why a text cannot be sent to the people of a campaign, or "". An empty text has no problem."""
    try:
        message = parse_message(text)
        # Until there are people, nobody knows the tags.
        if campaign.number_count or campaign.tags:
            check_tags(message, campaign.tags)
    except InvalidInput as error:
        return sentence_of(error)
    return ""


def problem_of_texts(campaign: Campaign) -> str:
    """Return why the stored texts cannot be sent to the people who are in the campaign so far, or ""."""
    if not campaign.number_count or campaign.service == Service.SURVEY:
        return ""
    return problem_of(campaign, campaign.message) or problem_of(campaign, campaign.sms_message or "")


def columns_needed(campaign: Campaign) -> tuple[str, ...]:
    """Return the headings that the stored texts need in the list of people."""
    if campaign.service == Service.SURVEY:
        return ()
    texts = [campaign.message, campaign.sms_message or ""]
    return tuple(
        dict.fromkeys(tag.removeprefix(PREFIX) for text in texts for tag in parse_message(text).tags)
    )


def _rendered(text: str, tags: dict[str, object] | None) -> str:
    """Return what a recipient with these tags gets. Without a recipient, the tags are shown as they were written."""
    if tags is None:
        return text
    try:
        return parse_message(text).render(tags)
    except InvalidInput:
        return text
