"""Tags and filters of the console's templates: numbers, dates, words of the vocabulary, pictures."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from django import template
from django.template.context import Context
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from campaigns.messages import PREFIX, short_name
from campaigns.models import Run
from console import calendars, numerals, vocabulary
from console.icons import PATHS
from console.words_of_people import CUSTOM, PRESETS
from console.words_of_rules import sentences_of
from telephony import speech
from telephony.media import recording_path
from telephony.models import Channel
from telephony.numbering import Operator

register = template.Library()


@register.filter
def number(value: Any) -> str:
    """Show a number or an amount, grouped. None is a dash."""
    return "–" if value is None else numerals.grouped(Decimal(str(value)))


@register.filter
def digits(value: Any) -> str:
    """Show text with its digits as the person reads them: for ids and percentages, not for phone numbers."""
    return numerals.in_digits(str(value))


@register.filter
def at(figures: Any, key: Any) -> Any:
    """Return the value of a mapping for this key, or None."""
    return figures.get(key)


@register.simple_tag
def day(value: date | datetime | None) -> SafeString | str:
    """Show a day in both calendars."""
    if value is None:
        return "–"
    shown = timezone.localtime(value).date() if isinstance(value, datetime) else value
    first, second = calendars.first_and_second(shown)
    return format_html(
        '<time datetime="{}"><span class="first">{}</span> <span class="second">{}</span></time>',
        shown.isoformat(),
        first,
        second,
    )


@register.simple_tag
def moment(value: datetime | None) -> SafeString | str:
    """Show a moment: the day in both calendars, and the time of day."""
    if value is None:
        return "–"
    local = timezone.localtime(value)
    first, second = calendars.first_and_second(local.date())
    return format_html(
        '<time datetime="{}"><span class="first">{}, {}</span> <span class="second">{}</span></time>',
        local.isoformat(timespec="seconds"),
        first,
        calendars.clock(value),
        second,
    )


@register.filter
def moment_text(value: datetime) -> str:
    """Write a moment where there can be no markup, such as in an option of a list."""
    days = calendars.first_and_second(timezone.localtime(value).date())
    return f"{days[0]}, {calendars.clock(value)}"


@register.filter
def file_size(size: int) -> str:
    """Show the size of a file, such as 12 MB. It is never shown as 0."""
    if size < 1_000_000:
        return _("%(number)s kB") % {"number": numerals.grouped(max(1, round(size / 1000)))}
    return _("%(number)s MB") % {"number": numerals.grouped(Decimal(size) / 1_000_000, places=1)}


@register.simple_tag
def recording(name: str) -> str:
    """Return the address of a recording on this server."""
    return recording_path(name)


@register.simple_tag
def icon(name: str) -> SafeString:
    """Show one of the pictures of `console.icons`."""
    picture = (
        '<svg class="icon {}" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d="{}"/></svg>'
    )
    return format_html(picture, name, PATHS[name])


@register.simple_tag(takes_context=True)
def to(context: Context, name: str, *args: Any) -> str:
    """Return the address of a page of the account that is shown."""
    return reverse(f"console:{name}", args=[context["account"].pk, *args])


@register.filter
def whole(value: float) -> str:
    """Show a rate as a whole number, or with one decimal place if it is small."""
    places = 0 if value >= 10 or value == int(value) else 1
    return numerals.grouped(Decimal(str(value)), places=places)


@register.filter
def percent(value: float) -> str:
    """Show a share in per cent with at most one decimal place. A share that is not zero is never shown as 0 %."""
    shown = "<0.1" if 0 < value < 0.1 else f"{value:.1f}".removesuffix(".0")
    return numerals.in_digits(f"{shown}%")


@register.filter
def share(count: int, total: int) -> float:
    """Return the share of a count in per cent."""
    return 100 * count / total if total else 0.0


@register.filter
def unlocalized(value: float) -> str:
    """Write a number for a machine, with a point."""
    return f"{value:.2f}"


@register.simple_tag
def run_badge(run: Run) -> SafeString:
    """Show the status of a run as a badge."""
    word = vocabulary.CAMPAIGN.get(run.status, vocabulary.NOT_STARTED)
    return format_html('<span class="badge {}">{}</span>', word.tone, word.label)


@register.simple_tag
def run_choice(run: Run) -> str:
    """Return the outcomes of the recipients for whom a run is."""
    return ", ".join(str(vocabulary.RECIPIENT[status].label) for status in run.statuses or ())


@register.filter
def rules_in_words(run: Run) -> list[tuple[Any, str]]:
    """Return the titles and sentences of the rules of reaching people that a run has frozen."""
    return sentences_of(run.rules)


@register.simple_tag
def voice_name(name: str) -> str:
    """Return how people call a voice."""
    voice = speech.catalogue().get(name)
    return name if voice is None else voice.display


@register.filter
def tag_title(tag: str) -> str:
    """Return how people call a tag: its column, without the prefix."""
    return tag.removeprefix(PREFIX).replace("_", " ")


@register.filter
def tag_to_write(tag: str, tags: list[str]) -> str:
    """Return what people write between braces for one of the tags of a list."""
    return short_name(tag, tags)


@register.filter
def operator_name(operator: Operator) -> str:
    """Return how people call the operator of a network."""
    return str(vocabulary.OPERATORS[operator])


@register.simple_tag
def sender_operator(name: str) -> str:
    """Return for whose numbers a sender is; an empty name is every operator."""
    known = name.upper() in Operator.__members__
    return str(vocabulary.OPERATORS[Operator[name.upper()]]) if known else _("every operator")


@register.simple_tag
def preset_title(preset: str) -> str:
    """Return how people call a set of permissions."""
    return str(PRESETS[preset][0] if preset in PRESETS else CUSTOM)


@register.simple_tag
def seconds(value: float) -> str:
    """Show a length as minutes and seconds."""
    whole_seconds = round(value)
    return numerals.in_digits(f"{whole_seconds // 60}:{whole_seconds % 60:02}")


@register.simple_tag
def abilities(capabilities: str) -> str:
    """Return what a phone number can do, in words."""
    known = {"voice": vocabulary.CHANNELS[Channel.CALL], "sms": vocabulary.CHANNELS[Channel.SMS]}
    return ", ".join(str(known.get(one.strip().lower(), one.strip())) for one in capabilities.split(","))
