"""A message with gaps, cut so that each of its parts is spoken once and joined with others as often as needed.

It is cut at its gaps, but what is spoken differently beside a value stays with the value: `रु. {amount}` is one part,
since the rupees are said after the amount, and so are `{name}लाई` and `कोड {code}`. Pauses of punctuation belong to
the parts, so joining is laying one behind the other, and the length of the whole is the sum of theirs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from telephony.speech.attachment import attached_after, attached_before

EDGE = 0.015  # seconds of its own edges that a part keeps: two of them are the gap between two words
HEAD, TAIL = 0.05, 0.25  # of a whole recording: nothing is lost while the line opens or closes
CLAUSE, SENTENCE = 0.15, 0.35  # seconds of the pause that a comma, or a full stop, makes at a joint

_LEADING = re.compile(r"^[\s,;:।॥|.!?…\-–—)\]}\"'”’]+")
_CLOSING = r"[\s,;:।॥|.!?…\-–—(\[{\"'“‘]"
_TRAILING = re.compile(rf"(?<!{_CLOSING}){_CLOSING}++$")
_WORD = re.compile(r"\w")


@dataclass(frozen=True, slots=True)
class Utterance:
    """Something to be spoken by itself: the text, and the seconds of silence before and after what is heard of it."""

    text: str
    before: float = HEAD
    after: float = TAIL
    is_part: bool = False

    @property
    def written(self) -> str:
        """The text for the engine: the middle of a sentence ends with a comma, so that the voice does not fall."""
        goes_on = self.is_part and self.after < SENTENCE and not re.search(r"[.,;:।?!]\s*$", self.text)
        return f"{self.text}," if goes_on else self.text


@dataclass(frozen=True, slots=True)
class Group:
    """A part: constant text, or text around one value or several. `frame` is for `%`."""

    frame: str
    gaps: tuple[int, ...]
    before: float
    after: float

    def text(self, filling: Sequence[str]) -> str:
        return self.frame % tuple(filling[gap] for gap in self.gaps)


@dataclass(slots=True)
class _Open:
    frame: list[str]
    gaps: list[int]
    before: float = EDGE
    after: float = EDGE


def groups_of(parts: Sequence[str | None], *, language: str) -> tuple[Group, ...]:
    """The parts of a message whose gaps are None, in order. Their n-th gap is filled by the n-th value."""
    texts = [part if part is not None else "" for part in parts]
    opened: list[_Open] = []
    gap = 0
    joined_to_last = False
    for position, part in enumerate(parts):
        if part is None:
            before = opened[-1] if opened else None
            if joined_to_last and before is not None:
                before.frame.append("%s")
                before.gaps.append(gap)
            else:
                opened.append(_Open(["%s"], [gap]))
            gap += 1
            joined_to_last = True  # unless the text between says otherwise
            continue
        follows_gap = position > 0 and parts[position - 1] is None
        precedes_gap = position + 1 < len(parts) and parts[position + 1] is None
        text = texts[position]
        end = attached_after(text, language=language) if follows_gap else 0
        start = attached_before(text, language=language) if precedes_gap else len(text)
        if follows_gap and precedes_gap and end > start:
            opened[-1].frame.append(_escaped(text))
            continue  # what is between two values belongs to both: all of it is one part
        if follows_gap:
            opened[-1].frame.append(_escaped(text[:end]))
        constant = text[end:start]
        joined_to_last = False
        _add_constant(opened, constant)
        if precedes_gap and start < len(text):
            opened.append(_Open([_escaped(text[start:])], []))
            joined_to_last = True
    if opened:
        opened[0].before = max(opened[0].before, HEAD)
        opened[-1].after = max(opened[-1].after, TAIL)
    return tuple(Group("".join(one.frame), tuple(one.gaps), one.before, one.after) for one in opened)


def _add_constant(opened: list[_Open], text: str) -> None:
    """Constant text, with the pauses of the punctuation at its ends; punctuation alone is a pause of its neighbour."""
    leading, trailing = _LEADING.search(text), _TRAILING.search(text)
    if not _WORD.search(text):
        if opened and text.strip():
            opened[-1].after = max(opened[-1].after, _pause(text))
        return
    opened.append(
        _Open(
            [_escaped(text)],
            [],
            before=_pause(leading[0] if leading else ""),
            after=_pause(trailing[0] if trailing else ""),
        )
    )


def _pause(punctuation: str) -> float:
    if re.search(r"[।॥|.!?…\n]", punctuation):
        return SENTENCE
    return CLAUSE if re.search(r"[,;:–—-]", punctuation) else EDGE


def _escaped(text: str) -> str:
    return text.replace("%", "%%")
