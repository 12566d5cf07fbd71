"""The parts of a message that are spoken separately, and the silence between them. `fragments` cuts messages into them.

Processes that only join recordings need this module, but none of the rules that read a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# All durations are in seconds.
EDGE_SILENCE = 0.015  # silence at each edge of a part; two edges make the gap between two words
# Silence before and after a whole recording, so that no word is cut off while the phone connection opens or closes.
HEAD_SILENCE, TAIL_SILENCE = 0.05, 0.25
CLAUSE_PAUSE, SENTENCE_PAUSE = 0.15, 0.35  # the pause of a comma, and of a full stop, between two parts


@dataclass(frozen=True, slots=True)
class SpokenPart:
    """One part of a message: constant text, or text around one or more values.

    `template` is a format for the % operator. `gaps` are the indexes of the values that it takes. `before` and `after`
    are seconds of silence.
    """

    template: str
    gaps: tuple[int, ...]
    before: float
    after: float

    def text(self, filling: Sequence[str]) -> str:
        return self.template % tuple(filling[gap] for gap in self.gaps)
