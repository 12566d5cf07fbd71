"""Measure an upper bound for each tag's values. Stored with the campaign, it prices messages without reading recipients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from campaigns.messages import format_tag_value
from campaigns.models import Campaign
from telephony.segments import EMPTY_SIZE, TextSize

BATCH = 1000  # rows that are measured together
# Tags in memory while recipients are shown. As Python objects, and as JSON, they take several times that.
BYTES_AT_ONCE = 4 * 2**20


@dataclass(frozen=True, slots=True)
class TagSize:
    """An upper bound for the size of a tag's values, and the longest value."""

    size: TextSize
    longest: str


class TagMeasurer:
    """Measures the tags of a stream of rows, in batches."""

    def __init__(self, tags: Iterable[str], known: Mapping[str, TagSize] | None = None) -> None:
        self._known = {tag: (known or {}).get(tag, TagSize(EMPTY_SIZE, "")) for tag in tags}
        self._batch: list[Mapping[str, Any]] = []

    def add(self, tags: Mapping[str, Any]) -> None:
        self._batch.append(tags)
        if len(self._batch) == BATCH:
            self._measure()

    def merge(self, other: TagMeasurer) -> None:
        """Include the sizes that `other` has measured. It must not have tags that this one does not know."""
        self._measure()
        other._measure()
        for tag, measured in other._known.items():
            known = self._known[tag]
            self._known[tag] = TagSize(
                known.size.maximum(measured.size), max(known.longest, measured.longest, key=len)
            )

    def as_json(self) -> dict[str, Any]:
        self._measure()
        return {tag: {**asdict(known.size), "longest": known.longest} for tag, known in self._known.items()}

    def _measure(self) -> None:
        for tag in {tag for tags in {tuple(tags) for tags in self._batch} for tag in tags}:
            known = self._known[tag]
            values = [tags[tag] for tags in self._batch if tag in tags]
            texts = dict.fromkeys(
                [value if type(value) is str else format_tag_value(value) for value in values]
            )
            self._known[tag] = TagSize(
                known.size.maximum(TextSize.largest(texts)), max(known.longest, *texts, key=len)
            )
        self._batch.clear()


def rows_at_once(campaign: Campaign) -> int:
    """Return how many recipients may be in memory while they are shown, by the longest values of their tags; at least 1."""
    known = tag_sizes_of(campaign)
    letters = sum(len(tag) + (known[tag].size.units if tag in known else 0) for tag in campaign.tags)
    return max(1, BYTES_AT_ONCE // (200 + 100 * len(campaign.tags) + 3 * letters))


def tag_sizes_of(campaign: Campaign) -> dict[str, TagSize]:
    """Return the tag sizes that are stored with the campaign."""
    sizes = {}
    for tag, stored in campaign.tag_sizes.items():
        size = {name: value for name, value in stored.items() if name != "longest"}
        sizes[tag] = TagSize(TextSize(**size), stored["longest"])
    return sizes
