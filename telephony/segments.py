"""Count the SMS segments of a text (3GPP TS 23.038 and 23.040).

A text in the GSM alphabet has 160 septets, or 153 in each part of a long message. Any other text (all Nepali) is sent
as UCS-2: 70 and 67 units of 16 bits. A character of the GSM extension table takes two septets, a character beyond the
basic plane (an emoji) two units. Such a pair is never split, so a part may have one unused place.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

GSM_SINGLE, GSM_PART = 160, 153
UCS2_SINGLE, UCS2_PART = 70, 67

GSM_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENSION = "\f^{}\\[~]|€"

# The count is unknown: a safe default for a TextSize made of stored values that lack it.
UNKNOWN_PAIRS = 10**9

_NOT_GSM = re.compile(f"[^{re.escape(GSM_BASIC + GSM_EXTENSION)}]")
_EXTENSION = re.compile(f"[{re.escape(GSM_EXTENSION)}]")
_BEYOND_BASIC_PLANE = re.compile("[\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class TextSize:
    """The length of a text in both alphabets, or an upper bound of it.

    Adding sizes corresponds to concatenating texts; `maximum` bounds both operands. `septets` is valid only while `gsm`
    is true. `pairs` counts the characters that take two places.
    """

    septets: int
    units: int
    gsm: bool
    pairs: int = UNKNOWN_PAIRS

    @classmethod
    def of(cls, text: str) -> Self:
        return cls.largest((text,))

    @classmethod
    def largest(cls, texts: Iterable[str]) -> Self:
        """Return an upper bound for all texts, ten times as fast as `maximum` over them; exact for a single text."""
        texts = list(texts)
        together = "".join(texts)
        longest = max(map(len, texts), default=0)
        gsm = _NOT_GSM.search(together) is None
        paired = _EXTENSION if gsm else _BEYOND_BASIC_PLANE
        pairs = max(len(paired.findall(text)) for text in texts) if paired.search(together) else 0
        if gsm:
            return cls(longest + pairs, longest, True, pairs)
        return cls(0, longest + pairs, False, pairs)

    def maximum(self, other: Self) -> Self:
        return type(self)(
            max(self.septets, other.septets),
            max(self.units, other.units),
            self.gsm and other.gsm,
            max(self.pairs, other.pairs),
        )

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.septets + other.septets,
            self.units + other.units,
            self.gsm and other.gsm,
            self.pairs + other.pairs,
        )

    def __mul__(self, times: int) -> Self:
        """Return the size of the text repeated that many times."""
        return type(self)(self.septets * times, self.units * times, self.gsm or not times, self.pairs * times)


EMPTY_SIZE = TextSize(0, 0, True, 0)


def measure(text: str) -> TextSize:
    return TextSize.of(text)


def segments_of(text: str) -> int:
    """Return exactly how many SMS segments the text takes; 0 if it is empty."""
    size = TextSize.of(text)
    length, single, part = _length_and_limits(size)
    if length <= single:
        return 1 if length else 0
    if not size.pairs:
        return -(-length // part)
    return sum(1 for _ in _part_ends(text, size))


def upper_bound(size: TextSize) -> int:
    """Return the maximum number of SMS segments of any text of at most this size.

    Equals `segments_of` for a single text without pairs. Also holds for GSM texts if only `gsm=False` is known: the GSM
    alphabet never needs more segments than UCS-2.
    """
    length, single, part = _length_and_limits(size)
    if length <= single:
        return 1 if length else 0
    # Find the largest number of full parts before the last part, which must not be empty. A full part holds `part` places,
    # or one less where a pair did not fit. First assume that every part loses a place; then use that at most `pairs` parts
    # do.
    full = (length - 1) // (part - 1)
    if full > size.pairs:
        full = (length - 1 + size.pairs) // part
    return full + 1


def split(text: str) -> list[str]:
    """Return the parts in which a carrier sends the text; joined, they are the text."""
    size = TextSize.of(text)
    length, single, _ = _length_and_limits(size)
    if length <= single:
        return [text] if text else []
    cuts = list(_part_ends(text, size))
    return [text[start:end] for start, end in zip([0, *cuts], cuts, strict=False)]


def _length_and_limits(size: TextSize) -> tuple[int, int, int]:
    """Return the length, and the places of a single message and of a part, in the alphabet that the text needs."""
    return (size.septets, GSM_SINGLE, GSM_PART) if size.gsm else (size.units, UCS2_SINGLE, UCS2_PART)


def _part_ends(text: str, size: TextSize) -> Iterator[int]:
    """Yield the index at which each part ends."""
    part = GSM_PART if size.gsm else UCS2_PART
    if not size.pairs:
        yield from range(part, len(text), part)
        yield len(text)
        return
    paired = _EXTENSION if size.gsm else _BEYOND_BASIC_PLANE
    free = part
    for position, character in enumerate(text):
        places = 2 if paired.match(character) else 1
        if places > free:
            yield position
            free = part
        free -= places
    yield len(text)
