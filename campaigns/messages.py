"""Messages with tags: `नमस्कार {tags_name}, तपाईं {tags_age} वर्षको हुनुहुन्छ`.

`{tags_name}` stands for the recipient's value of that tag. `{name}` means `{tags_name}`, unless the recipient has a tag
with exactly the name `name`. A single brace and an empty pair of braces are plain text. But a run whose message has an
unclosed tag cannot begin (`check_tags`).
"""

import difflib
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from iris.errors import InvalidInput
from iris.storable import NOT_STORABLE, is_storable
from telephony.placeholders import read_placeholders, with_single_braces
from telephony.segments import EMPTY_SIZE, TextSize
from telephony.speech.legacy_fonts import legacy_first, refuse_legacy
from telephony.speech.nfc import to_nfc

PREFIX = "tags_"
MAX_CHARACTERS = 10_000  # maximum length of a message, both before and after rendering
MAX_VALUE_CHARACTERS = 1_000  # maximum length of a tag's value
MAX_NAME_CHARACTERS = 100

# The quantifiers are possessive, so each character is read at most twice.
_PLACEHOLDER = re.compile(r"\{(?=\s*+[^{}\s])([^{}]*+)\}")
# Braces, control characters and zero-width marks. The joiners of Devanagari (U+200C, U+200D) count as letters.
_NOT_IN_TAG_NAME = re.compile(
    f"[{NOT_STORABLE}{{}}\x01-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)
_MAX_LISTED_TAGS = 20
# For a comparison of two names: the time of difflib can grow with the product of their lengths.
_MAX_COMPARED_CHARACTERS = 32


class UnknownTag(InvalidInput):
    """A message uses a tag that its campaign does not have."""

    default_code = "unknown_tag"


@dataclass(frozen=True, slots=True)
class TextPart:
    text: str


@dataclass(frozen=True, slots=True)
class TagPart:
    """A placeholder. `name` is the text between its braces, without surrounding blanks."""

    name: str

    @property
    def keys(self) -> tuple[str, ...]:
        """The tags that the placeholder may stand for, in order of preference.

        The first tag that the recipient has is used.
        """
        return tuple(dict.fromkeys([self.name, to_tag_name(self.name)]))


@dataclass(frozen=True, slots=True)
class MessageTemplate:
    """A parsed message. Parsing prepares as much as possible, because `render` is called for up to a million recipients."""

    parts: tuple[TextPart | TagPart, ...]
    _frame: str = field(init=False, repr=False, compare=False)
    _keys: tuple[tuple[str, ...], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        frame = "".join(
            "%s" if isinstance(part, TagPart) else part.text.replace("%", "%%") for part in self.parts
        )
        keys = tuple(part.keys for part in self.parts if isinstance(part, TagPart))
        object.__setattr__(self, "_frame", frame)
        object.__setattr__(self, "_keys", keys)

    @property
    def tags(self) -> tuple[str, ...]:
        """The distinct names between braces, in the order of their first use."""
        return tuple(dict.fromkeys(part.name for part in self.parts if isinstance(part, TagPart)))

    @property
    def text(self) -> str:
        """The message as it was written, with its placeholders."""
        return "".join(part.text if isinstance(part, TextPart) else f"{{{part.name}}}" for part in self.parts)

    @property
    def pattern(self) -> tuple[str | None, ...]:
        """The plain texts in order, with None in the place of each tag."""
        return tuple(part.text if isinstance(part, TextPart) else None for part in self.parts)

    def render(self, tags: Mapping[str, object]) -> str:
        """Return the text for a recipient with these tags."""
        return self._frame % self.values(tags)

    def values(self, tags: Mapping[str, object]) -> tuple[str, ...]:
        """Return a recipient's value for each placeholder in order. A missing tag and None give an empty text."""
        values = []
        for keys in self._keys:
            for key in keys:
                value = tags.get(key)
                if value is not None:
                    values.append(value if value.__class__ is str else format_tag_value(value))
                    break
            else:
                values.append("")
        return tuple(values)

    def size(self, tag_sizes: Mapping[str, TextSize]) -> TextSize:
        """Return an upper bound for the size of all rendered texts, given the upper bound for each tag's values."""
        total = EMPTY_SIZE
        for part in self.parts:
            if isinstance(part, TextPart):
                total += TextSize.of(part.text)
            else:
                largest = EMPTY_SIZE
                for key in part.keys:
                    largest = largest.maximum(tag_sizes.get(key, EMPTY_SIZE))
                total += largest
        return total


def parse_message(text: str) -> MessageTemplate:
    """Parse a message. An empty text has no parts. Raises InvalidInput if the text is too long or cannot be stored."""
    if not isinstance(text, str):
        raise InvalidInput("The message must be a text.")
    if len(text) > MAX_CHARACTERS:
        raise InvalidInput(
            f"The message has {len(text):,} characters. Shorten it to {MAX_CHARACTERS:,}.",
            code="message_too_long",
        )
    if not is_storable(text):
        raise InvalidInput(
            "The message contains a null byte or half a character. Type it again without that."
        )
    text = with_single_braces(text)
    parts: list[TextPart | TagPart] = []
    end = 0
    for tag in _PLACEHOLDER.finditer(text):
        if tag.start() > end:
            parts.append(TextPart(text[end : tag.start()]))
        parts.append(TagPart(tag[1].strip()))
        end = tag.end()
    if end < len(text):
        parts.append(TextPart(text[end:]))
    return MessageTemplate(tuple(parts))


def render(message: MessageTemplate, tags: Mapping[str, object]) -> str:
    return message.render(tags)


def check_tags(message: MessageTemplate, usable: Collection[str]) -> None:
    """Raise UnknownTag if the message uses a tag that is not in `usable`; the error suggests the most similar tag.

    Raise InvalidInput if a tag is not closed, or if the braces are letters of a legacy font.
    """
    for part in message.parts:
        if isinstance(part, TextPart):
            if "{" in part.text:
                with legacy_first(message.text):
                    read_placeholders(part.text)
        elif not any(key in usable for key in part.keys):
            refuse_legacy(message.text)
            raise UnknownTag(_unknown_tag_message(part.name, list(usable)))


def spell_tags(text: str, usable: Collection[str]) -> str:
    """Return a message whose tags are spelled as in `usable` where they differ only in capitals: {name} becomes {Name}.

    A tag that is in `usable` does not change, nor does one that could stand for two of them.
    """
    spellings: dict[str, list[str]] = {}
    for tag in usable:
        spellings.setdefault(tag.casefold(), []).append(tag)

    def respell(found: re.Match[str]) -> str:
        part = TagPart(found[1].strip())
        if any(key in usable for key in part.keys):
            return found[0]
        same = spellings.get(to_tag_name(part.name).casefold(), [])
        return f"{{{short_name(same[0], usable)}}}" if len(same) == 1 else found[0]

    return _PLACEHOLDER.sub(respell, text)


def short_name(tag: str, usable: Collection[str]) -> str:
    """Return what people write between braces for a tag: `name` for `tags_name`, unless that is a tag of its own."""
    name = tag.removeprefix(PREFIX)
    return tag if name in usable or to_tag_name(name) != tag else name


def check_length(message: MessageTemplate, tag_sizes: Mapping[str, TextSize]) -> None:
    """Raise InvalidInput if a rendered text could exceed MAX_CHARACTERS. `tag_sizes` are upper bounds for each tag."""
    longest = message.size(tag_sizes).units
    if longest > MAX_CHARACTERS:
        raise InvalidInput(
            f"With the longest value of each tag the message has up to {longest:,} characters. "
            f"Shorten it, or use fewer tags: it may have {MAX_CHARACTERS:,}.",
            code="message_too_long",
        )


def to_tag_name(heading: str) -> str:
    """Return the tag for a column heading or placeholder: `Full name` and `tags_Full name` both give `tags_Full_name`.

    Returns "" if the heading consists only of braces, spaces and invisible characters.
    """
    name = "_".join(_NOT_IN_TAG_NAME.sub(" ", to_nfc(heading)).split())
    name = name.removeprefix(PREFIX)[:MAX_NAME_CHARACTERS]
    return PREFIX + name if name else ""


def format_tag_value(value: object) -> str:
    """Return a tag's value as text: 25.0 becomes 25, and 0.1 + 0.2 becomes 0.3, as spreadsheets show it."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return ""
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.15g}"
    return str(value)


def _unknown_tag_message(name: str, usable: list[str]) -> str:
    shown = name if len(name) <= MAX_NAME_CHARACTERS else f"{name[:MAX_NAME_CHARACTERS]}…"
    if not usable:
        return f"{{{shown}}} is not a tag, because this campaign has no tags. Remove the braces."
    by_beginning = {one[:_MAX_COMPARED_CHARACTERS]: one for one in reversed(usable)}
    nearest = difflib.get_close_matches(
        to_tag_name(name)[:_MAX_COMPARED_CHARACTERS], by_beginning, n=1, cutoff=0.6
    )
    hint = f" Did you mean {{{by_beginning[nearest[0]]}}}?" if nearest else ""
    listed = ", ".join(usable[:_MAX_LISTED_TAGS]) + (" and others" if len(usable) > _MAX_LISTED_TAGS else "")
    return f"{{{shown}}} is not a tag of this campaign.{hint} Its tags are: {listed}."
