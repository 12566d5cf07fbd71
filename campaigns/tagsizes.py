"""The upper bound of each tag's values, kept with the campaign: what a message can cost without reading recipients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from campaigns.messages import value_text
from campaigns.models import Campaign
from telephony.segments import NOTHING, Size

BATCH = 1000  # values of a tag measured at once


@dataclass(frozen=True, slots=True)
class TagSize:
    """The upper bound of a tag's values, and the longest of them."""

    size: Size
    longest: str


class Sizes:
    """Measures the tags of rows that stream by, in batches."""

    def __init__(self, tags: Iterable[str], known: Mapping[str, TagSize] | None = None) -> None:
        self._known = {tag: (known or {}).get(tag, TagSize(NOTHING, "")) for tag in tags}
        self._batches: dict[str, list[str]] = {tag: [] for tag in self._known}

    def see(self, tags: Mapping[str, Any]) -> None:
        for tag, value in tags.items():
            batch = self._batches[tag]
            batch.append(value_text(value))
            if len(batch) == BATCH:
                self._measure(tag)

    def as_json(self) -> dict[str, Any]:
        for tag in self._known:
            self._measure(tag)
        return {tag: {**asdict(known.size), "longest": known.longest} for tag, known in self._known.items()}

    def _measure(self, tag: str) -> None:
        batch, known = self._batches[tag], self._known[tag]
        if batch:
            self._known[tag] = TagSize(
                known.size.maximum(Size.largest(batch)), max(known.longest, *batch, key=len)
            )
            batch.clear()


def sizes_of(campaign: Campaign) -> dict[str, TagSize]:
    """The upper bound of each tag's values, as kept with the campaign."""
    sizes = {}
    for tag, stored in campaign.tag_sizes.items():
        size = {name: value for name, value in stored.items() if name != "longest"}
        sizes[tag] = TagSize(Size(**size), stored["longest"])
    return sizes
