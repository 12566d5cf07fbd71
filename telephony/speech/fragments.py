"""Cut a message at its gaps (the places of tag values), so that each part is spoken once.

Some text is spoken differently next to a value, so it stays in one part with the value: in `रु. {amount}` the word for
rupees follows the amount. The same holds for `{name}लाई` and `कोड {code}`.

A part includes the pauses of its punctuation. So parts are joined by concatenation, and the duration of a message is
the sum of its parts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from telephony.speech.attachment import attachment_end, attachment_start
from telephony.speech.spoken_parts import (
    CLAUSE_PAUSE,
    EDGE_SILENCE,
    HEAD_SILENCE,
    SENTENCE_PAUSE,
    TAIL_SILENCE,
    SpokenPart,
)

_LEADING = re.compile(r"^[\s,;:।॥|.!?…\-–—)\]}\"'”’]+")
_CLOSING = r"[\s,;:।॥|.!?…\-–—(\[{\"'“‘]"
_TRAILING = re.compile(rf"(?<!{_CLOSING}){_CLOSING}++$")
_WORD = re.compile(r"\w")


@dataclass(frozen=True, slots=True)
class Utterance:
    """A text that is spoken on its own, with the seconds of silence before and after the audible sound.

    `is_part` is true if it is a part of a longer message.
    """

    text: str
    before: float = HEAD_SILENCE
    after: float = TAIL_SILENCE
    is_part: bool = False

    @property
    def engine_text(self) -> str:
        """Return the text for the engine.

        A part from the middle of a sentence ends with a comma, so that the voice does not fall as at a full stop.
        """
        sentence_continues = (
            self.is_part and self.after < SENTENCE_PAUSE and not re.search(r"[.,;:।?!]\s*$", self.text)
        )
        return f"{self.text}," if sentence_continues else self.text


@dataclass(slots=True)
class _PartBuilder:
    template: list[str]
    gaps: list[int]
    before: float = EDGE_SILENCE
    after: float = EDGE_SILENCE


def cut_at_gaps(parts: Sequence[str | None], *, language: str) -> tuple[SpokenPart, ...]:
    """Cut a message into the parts that are spoken separately, in order.

    In `parts`, None is a gap; the n-th gap takes the n-th value.
    """
    texts = [part if part is not None else "" for part in parts]
    builders: list[_PartBuilder] = []
    gap = 0
    joins_previous = False
    for position, part in enumerate(parts):
        if part is None:
            previous = builders[-1] if builders else None
            if joins_previous and previous is not None:
                previous.template.append("%s")
                previous.gaps.append(gap)
            else:
                builders.append(_PartBuilder(["%s"], [gap]))
            gap += 1
            joins_previous = True  # text after this gap may reset it
            continue
        follows_gap = position > 0 and parts[position - 1] is None
        precedes_gap = position + 1 < len(parts) and parts[position + 1] is None
        text = texts[position]
        end = attachment_end(text, language=language) if follows_gap else 0
        start = attachment_start(text, language=language) if precedes_gap else len(text)
        if follows_gap and precedes_gap and end > start:
            builders[-1].template.append(_escaped(text))
            continue  # the text between two values belongs to both, so all of it is one part
        if follows_gap:
            builders[-1].template.append(_escaped(text[:end]))
        constant = text[end:start]
        joins_previous = False
        _add_constant(builders, constant)
        if precedes_gap and start < len(text):
            builders.append(_PartBuilder([_escaped(text[start:])], []))
            joins_previous = True
    if builders:
        builders[0].before = max(builders[0].before, HEAD_SILENCE)
        builders[-1].after = max(builders[-1].after, TAIL_SILENCE)
    return tuple(
        SpokenPart("".join(part.template), tuple(part.gaps), part.before, part.after) for part in builders
    )


def _add_constant(builders: list[_PartBuilder], text: str) -> None:
    """Add constant text with the pauses of its leading and trailing punctuation.

    Punctuation without words only lengthens the pause of the part before it.
    """
    leading, trailing = _LEADING.search(text), _TRAILING.search(text)
    if not _WORD.search(text):
        if builders and text.strip():
            builders[-1].after = max(builders[-1].after, _pause_after(text))
        return
    builders.append(
        _PartBuilder(
            [_escaped(text)],
            [],
            before=_pause_after(leading[0] if leading else ""),
            after=_pause_after(trailing[0] if trailing else ""),
        )
    )


def _pause_after(punctuation: str) -> float:
    if re.search(r"[।॥|.!?…\n]", punctuation):
        return SENTENCE_PAUSE
    return CLAUSE_PAUSE if re.search(r"[,;:–—-]", punctuation) else EDGE_SILENCE


def _escaped(text: str) -> str:
    return text.replace("%", "%%")
