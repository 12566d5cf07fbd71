"""Messages with tags: `नमस्कार {tags_name}, तपाईं {tags_age} वर्षको हुनुहुन्छ`.

`{tags_name}` stands for what a recipient has under that tag; `{name}` for the same, unless a tag is called
just so. A brace without its partner, and a pair with nothing in it, are plain text; but no run begins with a tag that is
not closed (`check_tags`).
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
from telephony.speech.nfc import to_nfc

PREFIX = "tags_"
MAX_CHARACTERS = 10_000  # of a message, as written and as rendered
MAX_VALUE_CHARACTERS = 1_000  # of one tag's value
MAX_NAME_CHARACTERS = 100

_TAG = re.compile(r"\{(?=\s*+[^{}\s])([^{}]*+)\}")  # possessive: each character is read twice at most
# Braces, controls, and marks without width; the joiners of Devanagari are letters here.
_NO_NAME = re.compile(
    f"[{NOT_STORABLE}{{}}\x01-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)
_LISTED = 20
_COMPARED = 32  # characters of two names: difflib may need the product of their lengths


class UnknownTag(InvalidInput):
    """A message uses a tag that its campaign does not have."""

    default_code = "unknown_tag"


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Tag:
    """`name` as it is written between the braces, trimmed."""

    name: str

    @property
    def keys(self) -> tuple[str, ...]:
        """The tags it may stand for; the first that a recipient has counts."""
        return tuple(dict.fromkeys([self.name, tag_called(self.name)]))


@dataclass(frozen=True, slots=True)
class Message:
    """A parsed message. What can be prepared is: `render` is called once for each of a million recipients."""

    parts: tuple[Text | Tag, ...]
    _frame: str = field(init=False, repr=False, compare=False)
    _keys: tuple[tuple[str, ...], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        frame = "".join(
            "%s" if isinstance(part, Tag) else part.text.replace("%", "%%") for part in self.parts
        )
        keys = tuple(part.keys for part in self.parts if isinstance(part, Tag))
        object.__setattr__(self, "_frame", frame)
        object.__setattr__(self, "_keys", keys)

    @property
    def tags(self) -> tuple[str, ...]:
        """The names between the braces, each once, in the order of their first use."""
        return tuple(dict.fromkeys(part.name for part in self.parts if isinstance(part, Tag)))

    @property
    def pattern(self) -> tuple[str | None, ...]:
        """The texts, with None where the value of a tag belongs."""
        return tuple(part.text if isinstance(part, Text) else None for part in self.parts)

    def render(self, tags: Mapping[str, object]) -> str:
        """The text for one recipient."""
        return self._frame % self.values(tags)

    def values(self, tags: Mapping[str, object]) -> tuple[str, ...]:
        """What one recipient has for each tag, in the order of their places. What is missing or None is nothing."""
        values = []
        for keys in self._keys:
            for key in keys:
                value = tags.get(key)
                if value is not None:
                    values.append(value if value.__class__ is str else value_text(value))
                    break
            else:
                values.append("")
        return tuple(values)

    def size(self, tag_sizes: Mapping[str, TextSize]) -> TextSize:
        """An upper bound of every rendered text, from the largest size of each tag's values."""
        total = EMPTY_SIZE
        for part in self.parts:
            if isinstance(part, Text):
                total += TextSize.of(part.text)
            else:
                largest = EMPTY_SIZE
                for key in part.keys:
                    largest = largest.maximum(tag_sizes.get(key, EMPTY_SIZE))
                total += largest
        return total


def parse_message(text: str) -> Message:
    """Raises InvalidInput when it is too long or cannot be stored. An empty text has no parts."""
    if not isinstance(text, str):
        raise InvalidInput("The message must be a text.")
    if len(text) > MAX_CHARACTERS:
        raise InvalidInput(
            f"The message has {len(text):,} characters. Shorten it to {MAX_CHARACTERS:,}.",
            code="message_too_long",
        )
    if not is_storable(text):
        raise InvalidInput(
            "The message has a null byte or half a character in it. Type it again, or leave that out."
        )
    text = with_single_braces(text)
    parts: list[Text | Tag] = []
    end = 0
    for tag in _TAG.finditer(text):
        if tag.start() > end:
            parts.append(Text(text[end : tag.start()]))
        parts.append(Tag(tag[1].strip()))
        end = tag.end()
    if end < len(text):
        parts.append(Text(text[end:]))
    return Message(tuple(parts))


def render(message: Message, tags: Mapping[str, object]) -> str:
    return message.render(tags)


def check_tags(message: Message, usable: Collection[str]) -> None:
    """Raises UnknownTag, with the nearest tag there is, when the message uses one that is not in `usable`, and
    InvalidInput when one of its tags is not closed.
    """
    for part in message.parts:
        if isinstance(part, Text):
            read_placeholders(part.text)
        elif not any(key in usable for key in part.keys):
            raise UnknownTag(_unknown(part.name, list(usable)))


def check_length(message: Message, tag_sizes: Mapping[str, TextSize]) -> None:
    """Raises InvalidInput when the longest values could make a text longer than a message may be."""
    longest = message.size(tag_sizes).units
    if longest > MAX_CHARACTERS:
        raise InvalidInput(
            f"With the longest value of each tag the message has up to {longest:,} characters. "
            f"Shorten it, or use fewer tags: it may have {MAX_CHARACTERS:,}.",
            code="message_too_long",
        )


def tag_called(heading: str) -> str:
    """The tag of a column or placeholder: `Full name` and `tags_Full name` are both `tags_Full_name`.

    "" when nothing is left of the heading without braces, spaces and characters that cannot be seen.
    """
    name = "_".join(_NO_NAME.sub(" ", to_nfc(heading)).split())
    name = name.removeprefix(PREFIX)[:MAX_NAME_CHARACTERS]
    return PREFIX + name if name else ""


def value_text(value: object) -> str:
    """A tag's value as it is read and written: 25.0 is 25, and 0.1 + 0.2 is 0.3 as in any spreadsheet."""
    if isinstance(value, float):
        if not math.isfinite(value):
            return ""
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.15g}"
    return str(value)


def _unknown(name: str, usable: list[str]) -> str:
    shown = name if len(name) <= MAX_NAME_CHARACTERS else f"{name[:MAX_NAME_CHARACTERS]}…"
    if not usable:
        return f"{{{shown}}} is not a tag: this campaign has none. Leave the braces away."
    by_beginning = {one[:_COMPARED]: one for one in reversed(usable)}
    nearest = difflib.get_close_matches(tag_called(name)[:_COMPARED], by_beginning, n=1, cutoff=0.6)
    hint = f" Did you mean {{{by_beginning[nearest[0]]}}}?" if nearest else ""
    listed = ", ".join(usable[:_LISTED]) + (" and others" if len(usable) > _LISTED else "")
    return f"{{{shown}}} is not a tag of this campaign.{hint} Its tags are: {listed}."
