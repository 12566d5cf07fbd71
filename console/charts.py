"""Charts of outcomes: their bars, and the legend, which also has the totals. `console.chart_images` draws them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from campaigns.reports.outcome_history import History
from console import calendars
from console.vocabulary import OUTCOMES, RECIPIENT
from telephony.models import DeliveryStatus


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A bar: its name in the table, a shorter one at the axis, and its counts in the order of the chart's outcomes."""

    label: str
    at_axis: str
    counts: list[int]

    @property
    def total(self) -> int:
        return sum(self.counts)


@dataclass(frozen=True, kw_only=True)
class Total:
    """An outcome in the legend, with its count and its share in per cent of all of them."""

    key: str
    label: Promise
    count: int
    share: float


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Stacked bars. `page` is the name of the address of its image, `first_column` what its bars are."""

    page: str
    title: Promise
    first_column: Promise
    outcomes: list[DeliveryStatus]
    bars: list[Bar]

    @property
    def highest(self) -> Bar:
        return max(self.bars, key=lambda bar: bar.total)


def key_of(outcome: DeliveryStatus) -> str:
    """Return the class that the style sheet colours for this outcome."""
    return outcome.name.lower()


def totals(found: History) -> list[Total]:
    """Return the legend: the outcomes that occur, in the order of all pages."""
    counts = found.total
    return [
        Total(
            key=key_of(one),
            label=RECIPIENT[one].label,
            count=counts[one],
            share=100 * counts[one] / counts.total(),
        )
        for one in _occurring(found)
    ]


def by_day(found: History) -> Chart:
    """Return the chart with a bar for each day, or for each week, which the axis names after its first day."""
    bars = [
        (calendars.span(one.first, one.last), calendars.without_year(one.first), one.outcomes)
        for one in found.days
    ]
    return _chart("outcomes-by-day", _("Outcomes by day"), _("Day"), found, bars)


def by_hour(found: History) -> Chart:
    """Return the chart with a bar for each hour of the day."""
    bars = [
        (calendars.hour(hour), calendars.full_hour(hour), counts) for hour, counts in enumerate(found.hours)
    ]
    return _chart("outcomes-by-hour", _("Outcomes by hour of the day"), _("Hour"), found, bars)


def _chart(
    page: str,
    title: Promise,
    first_column: Promise,
    found: History,
    bars: Sequence[tuple[str, str, Counter[DeliveryStatus]]],
) -> Chart:
    outcomes = _occurring(found)
    return Chart(
        page=page,
        title=title,
        first_column=first_column,
        outcomes=outcomes,
        bars=[
            Bar(label=label, at_axis=at_axis, counts=[counts[one] for one in outcomes])
            for label, at_axis, counts in bars
        ],
    )


def _occurring(found: History) -> list[DeliveryStatus]:
    counts = found.total
    return [one for one in OUTCOMES if counts[one]]
