"""Measure upper bounds for each tag's values. Stored with the campaign, they price messages without reading recipients.

Contact lists store the same bounds, so that campaigns can take them over.

`Campaign.tag_sizes` bounds the written length, `Campaign.spoken_sizes` the spoken length. They are two fields, because
the previous release reads only the first and would fail on a key that it does not know. `Campaign.measured_to` says
which recipients the spoken lengths cover: that release also adds recipients without measuring them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from campaigns.messages import format_tag_value
from campaigns.models import Audience, Campaign
from telephony.segments import EMPTY_SIZE, TextSize
from telephony.speech.spoken_length import longest_of, longest_of_length

BATCH = 1000  # rows that are measured together
MASK = "x"
FIELDS = ("tag_sizes", "spoken_sizes")  # of a campaign
# Tags in memory while recipients are shown. As Python objects, and as JSON, they take several times that.
BYTES_AT_ONCE = 4 * 2**20


@dataclass(frozen=True, slots=True)
class TagSize:
    """Upper bounds for a tag's values, written and in seconds of speech, and the value with the most characters."""

    size: TextSize
    longest: str
    spoken: float = 0.0


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
                known.size.maximum(measured.size),
                max(known.longest, measured.longest, key=len),
                max(known.spoken, measured.spoken),
            )

    def store_in(self, audience: Audience) -> None:
        """Set the fields of a locked campaign or list. The caller saves FIELDS."""
        self._measure()
        audience.tag_sizes = self.as_json()
        audience.spoken_sizes = {tag: known.spoken for tag, known in self._known.items()}

    def as_json(self) -> dict[str, Any]:
        """Return the value of `Campaign.tag_sizes`.

        Only the length of the longest value matters. So a placeholder text of this length is stored instead of the value,
        which may be a name.
        """
        self._measure()
        return {
            tag: {**asdict(known.size), "longest": MASK * len(known.longest)}
            for tag, known in self._known.items()
        }

    def _measure(self) -> None:
        for tag in {tag for tags in {tuple(tags) for tags in self._batch} for tag in tags}:
            known = self._known[tag]
            values = [tags[tag] for tags in self._batch if tag in tags]
            texts = dict.fromkeys(
                [value if type(value) is str else format_tag_value(value) for value in values]
            )
            self._known[tag] = TagSize(
                known.size.maximum(TextSize.largest(texts)),
                max(known.longest, *texts, key=len),
                longest_of(texts, known=known.spoken),
            )
        self._batch.clear()


def without_values(tag_sizes: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored tag sizes without the values that earlier releases stored in them."""
    return {tag: {**stored, "longest": MASK * len(stored["longest"])} for tag, stored in tag_sizes.items()}


def rows_at_once(audience: Audience) -> int:
    """Return how many recipients or contacts may be in memory while they are shown; at least 1.

    The number depends on the longest values of their tags.
    """
    known = tag_sizes_of(audience)
    letters = sum(len(tag) + (known[tag].size.units if tag in known else 0) for tag in audience.tags)
    return max(1, BYTES_AT_ONCE // (200 + 100 * len(audience.tags) + 3 * letters))


def tag_sizes_of(audience: Audience) -> dict[str, TagSize]:
    """Return the tag sizes that are stored with the campaign or list."""
    sizes = {}
    for tag, stored in audience.tag_sizes.items():
        size = {name: value for name, value in stored.items() if name != "longest"}
        sizes[tag] = TagSize(TextSize(**size), stored["longest"], audience.spoken_sizes.get(tag, 0.0))
    return sizes


def spoken_bounds(
    campaign: Campaign, sizes: Mapping[str, TagSize], *, last_recipient: int
) -> dict[str, float]:
    """Return the maximum seconds that speaking a value of each tag takes, at the reference pace.

    `last_recipient` is the id of the campaign's last recipient. Until a worker has measured all recipients (`measuring`),
    the bound follows from the number of characters; it is several times as long.
    """
    if last_recipient <= campaign.measured_to:
        return {tag: entry.spoken for tag, entry in sizes.items()}
    return {tag: max(entry.spoken, longest_of_length(entry.size.units)) for tag, entry in sizes.items()}


def note_measured(campaign: Campaign, *, before: int, after: int) -> None:
    """Note that recipients were added and measured. The caller saves `measured_to` of the locked campaign.

    `before` and `after` are the ids of the campaign's last recipient. Nothing changes while older recipients are unmeasured.
    """
    if before <= campaign.measured_to:
        campaign.measured_to = max(after, campaign.measured_to)
