"""Charts of outcomes: bars of stacked outcomes as shapes of SVG, and the sentences and the table that say the same.

A chart is drawn without script and without styles of its own, so it obeys the policy of the pages and follows their colours.
Each outcome is one path, so that a chart of a year stays small.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.utils.functional import Promise

from console.numerals import grouped
from console.vocabulary import OUTCOMES, RECIPIENT
from telephony.models import DeliveryStatus

BAR, GAP = 10, 2  # in units of the drawing, which the page stretches to its own width
HEIGHT = 100


@dataclass(frozen=True, kw_only=True)
class Shape:
    """All bars of one outcome. `key` is its style."""

    key: str
    path: str


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A bar: its place, its title in words, and its counts in the order of the outcomes of the chart."""

    x: int
    label: str
    title: str
    counts: list[int]
    total: int


@dataclass(frozen=True, kw_only=True)
class Total:
    """An outcome in the legend, with its count and its share in per cent of all of them."""

    key: str
    label: Promise
    count: int
    share: float


@dataclass(frozen=True, kw_only=True)
class Chart:
    """`highest` is the sum of the highest bar, which is as high as the drawing. `step` is from one bar to the next."""

    width: int
    step: int
    height: int
    shapes: list[Shape]
    bars: list[Bar]
    highest: int


def totals(counts: Counter[DeliveryStatus]) -> list[Total]:
    """Return the legend: the outcomes that occur, in the order of all pages."""
    all_of_them = counts.total()
    return [
        Total(
            key=one.name.lower(),
            label=RECIPIENT[one].label,
            count=counts[one],
            share=100 * counts[one] / all_of_them,
        )
        for one in OUTCOMES
        if counts[one]
    ]


def chart(bars: Sequence[tuple[str, Counter[DeliveryStatus]]], *, shown: Iterable[str]) -> Chart:
    """Draw a bar for each label and its outcomes. `shown` are the keys of the outcomes that the legend has."""
    keys = set(shown)
    outcomes = [one for one in OUTCOMES if one.name.lower() in keys]
    highest = max((counts.total() for _, counts in bars), default=0)
    tops = [0] * len(bars)  # how high each bar is so far, as a count
    shapes = []
    for outcome in outcomes:
        parts = []
        for place, (_, counts) in enumerate(bars):
            if counts[outcome]:
                bottom = HEIGHT - HEIGHT * tops[place] / highest
                tops[place] += counts[outcome]
                height = HEIGHT * counts[outcome] / highest
                parts.append(f"M{place * BAR + GAP // 2} {bottom:.2f}h{BAR - GAP}v{-height:.2f}h{GAP - BAR}z")
        shapes.append(Shape(key=outcome.name.lower(), path="".join(parts)))
    return Chart(
        width=BAR * len(bars),
        step=BAR,
        height=HEIGHT,
        shapes=shapes,
        bars=[
            Bar(
                x=place * BAR,
                label=label,
                title=_title(label, counts, outcomes),
                counts=[counts[one] for one in outcomes],
                total=counts.total(),
            )
            for place, (label, counts) in enumerate(bars)
        ],
        highest=highest,
    )


def _title(label: str, counts: Counter[DeliveryStatus], outcomes: Sequence[DeliveryStatus]) -> str:
    said = [f"{RECIPIENT[one].label} {grouped(counts[one])}" for one in outcomes if counts[one]]
    return f"{label}: {', '.join(said) or grouped(0)}"
