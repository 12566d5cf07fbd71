"""Calling hours: when calls and SMS may be submitted, by weekday, in a time zone, and never on holidays."""

from __future__ import annotations

import re
from bisect import insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import nepali_datetime

from iris.errors import InvalidInput
from telephony.models import Channel

MAX_ENTRIES = 50
MAX_HOLIDAYS = 400
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")  # in the order of date.weekday()
_CHANNELS = {Channel.CALL: "calls", Channel.SMS: "sms"}
_FIELDS = (*_CHANNELS.values(), "holidays", "time_zone")
_MIDNIGHT = 24 * 60
# Dates from this year on are in the calendar Bikram Sambat. Its year 2070 began in 2013 AD.
FIRST_YEAR_OF_BIKRAM_SAMBAT = 2070


class Span(NamedTuple):
    """Minutes of a day, from midnight on. `end` is not part of the span."""

    begin: int
    end: int


class Window(NamedTuple):
    """When something may be submitted: from `opens` on, before `closes`. None: there is no end."""

    opens: datetime
    closes: datetime | None


@dataclass(frozen=True, kw_only=True)
class CallingHours:
    """The hours of each channel by weekday, Monday first. A channel without hours is not limited.

    `json` is what a client sent. It has a time zone if the client named one. The hours of a run always have one (`in_zone`).
    """

    json: Mapping[str, Any]
    spans: Mapping[Channel, tuple[tuple[Span, ...], ...]]
    holidays: frozenset[date]
    zone: ZoneInfo | None = None
    _days: dict[tuple[Channel, date], list[Window]] = field(default_factory=dict, compare=False)

    @classmethod
    def parse(cls, sent: object) -> CallingHours:
        """Read calling hours, as clients send them and as they are stored. Raises InvalidInput."""
        if not isinstance(sent, Mapping):
            raise InvalidInput(
                'This must be an object, such as {"calls": [{"days": ["sun", "mon"], "from": "09:00", "to": "18:00"}]}.'
            )
        if unknown := [str(name) for name in sent if name not in _FIELDS]:
            raise InvalidInput(
                f"Unknown field “{unknown[0][:40]}”. Calling hours have: {', '.join(_FIELDS)}."
            )
        json: dict[str, Any] = {
            name: _entries(sent[name], name) for name in _CHANNELS.values() if sent.get(name) is not None
        }
        if not json:
            raise InvalidInput("Send the hours of “calls”, of “sms” or of both. For no limits, send “off”.")
        spans = {channel: _weekdays(json[name]) for channel, name in _CHANNELS.items() if name in json}
        holidays = _holidays(sent.get("holidays"))
        if holidays:
            json["holidays"] = list(holidays)
        zone = None if sent.get("time_zone") is None else _zone(sent["time_zone"])
        if zone is not None:
            json["time_zone"] = zone.key
        return cls(json=json, spans=spans, holidays=frozenset(holidays.values()), zone=zone)

    def in_zone(self, zone: ZoneInfo) -> dict[str, Any]:
        """Return the hours as JSON that `parse` reads, with a time zone: their own, or this one if they have none."""
        return {"time_zone": zone.key, **self.json}

    def window(self, channel: Channel, at: datetime) -> Window:
        """Return the rest of the hours that include `at`; outside of the channel's hours, the next ones."""
        if channel not in self.spans:
            return Window(at, None)
        assert self.zone is not None
        # From the day before, because a change of clocks at midnight can move the end of its hours into this day.
        day = at.astimezone(self.zone).date() - timedelta(days=1)
        while True:  # ends, because there are finitely many holidays
            for opens, closes in self._windows(channel, day):
                assert closes is not None
                if closes > at:
                    return Window(max(opens, at), closes)
            day += timedelta(days=1)

    def _windows(self, channel: Channel, day: date) -> list[Window]:
        key = channel, day
        if key not in self._days:
            spans = () if day in self.holidays else self.spans[channel][day.weekday()]
            found = [Window(self._latest(day, span.begin), self._earliest(day, span.end)) for span in spans]
            self._days[key] = [one for one in found if one.closes is not None and one.opens < one.closes]
        return self._days[key]

    # When clocks are set back, some local times occur twice; when they are set forward, some do not occur. Such a time
    # stands for two instants. A window opens at the later one and closes at the earlier one, so it is never too long.
    def _latest(self, day: date, minutes: int) -> datetime:
        return max(self._instants(day, minutes))

    def _earliest(self, day: date, minutes: int) -> datetime:
        return min(self._instants(day, minutes))

    def _instants(self, day: date, minutes: int) -> list[datetime]:
        local = datetime.combine(day, time()) + timedelta(minutes=minutes)
        return [local.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1)]


def _entries(sent: object, name: str) -> list[dict[str, Any]]:
    """Return the hours of a channel as they are stored. Raises InvalidInput."""
    if not isinstance(sent, list | tuple) or not sent:
        raise InvalidInput(
            f'“{name}” must be a list of hours, such as [{{"days": ["sun"], "from": "09:00", "to": "18:00"}}]. Leave it out'
            " for no limits."
        )
    if len(sent) > MAX_ENTRIES:
        raise InvalidInput(f"“{name}” has {len(sent):,} entries; at most {MAX_ENTRIES} are allowed.")
    entries = []
    for one in sent:
        if not isinstance(one, Mapping) or not {"from", "to"} <= set(one) <= {"days", "from", "to"}:
            raise InvalidInput(
                f"Each entry of “{name}” has “from” and “to”, and may have “days”; nothing else."
            )
        begin, end = _minutes(one["from"]), _minutes(one["to"])
        if begin >= end:
            raise InvalidInput(
                f"“from” {_clock(begin)} must be before “to” {_clock(end)}. Hours that cross midnight are two entries:"
                " until 24:00, and from 00:00 of the next day.",
                code="hours_reversed",
            )
        days = {} if one.get("days") is None else {"days": _weekday_names(one["days"])}
        entries.append({**days, "from": _clock(begin), "to": _clock(end)})
    return entries


def _weekdays(entries: list[dict[str, Any]]) -> tuple[tuple[Span, ...], ...]:
    """Return the spans of each weekday, Monday first."""
    days: list[list[Span]] = [[] for _ in DAYS]
    for one in entries:
        for day in one.get("days", DAYS):
            insort(days[DAYS.index(day)], Span(_minutes(one["from"]), _minutes(one["to"])))
    return tuple(map(tuple, days))


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _minutes(sent: object) -> int:
    match = re.fullmatch(r"([01]?\d|2[0-4]):([0-5]\d)", sent.strip()) if isinstance(sent, str) else None
    minutes = _MIDNIGHT + 1 if match is None else int(match[1]) * 60 + int(match[2])
    if minutes > _MIDNIGHT:
        raise InvalidInput(
            f"“{str(sent)[:40]}” is not a time of the day. Write it as 09:00, up to 24:00.", code="not_a_time"
        )
    return minutes


_FULL = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def _weekday_names(sent: object) -> list[str]:
    if not isinstance(sent, list | tuple) or not 0 < len(sent) <= 2 * len(DAYS):
        raise InvalidInput(
            f"“days” must be a list of weekdays: {', '.join(DAYS)}. Without it, the hours hold every day."
        )
    names = set()
    for word in sent:
        name = word.strip().lower() if isinstance(word, str) else ""
        if name not in DAYS and name not in _FULL:
            raise InvalidInput(f"“{str(word)[:40]}” is not a weekday. They are: {', '.join(DAYS)}.")
        names.add(name[:3])
    return [name for name in DAYS if name in names]


def _holidays(sent: object) -> dict[str, date]:
    """Return the holidays as they were written and as dates. Raises InvalidInput."""
    if sent is None:
        return {}
    if not isinstance(sent, list | tuple):
        raise InvalidInput('“holidays” must be a list of dates, such as ["2026-11-08", "2083-07-22"].')
    if len(sent) > MAX_HOLIDAYS:
        raise InvalidInput(f"There are {len(sent):,} holidays; at most {MAX_HOLIDAYS} are allowed.")
    return {str(one).strip(): _holiday(one) for one in sent}


def _holiday(sent: object) -> date:
    match = re.fullmatch(r"(\d{4})-(\d\d?)-(\d\d?)", sent.strip()) if isinstance(sent, str) else None
    try:
        if match is None:
            raise ValueError
        year, month, day = map(int, match.groups())
        if year < FIRST_YEAR_OF_BIKRAM_SAMBAT:
            return date(year, month, day)
        holiday: date = nepali_datetime.date(year, month, day).to_datetime_date()
        return holiday
    except (ValueError, OverflowError, IndexError, KeyError):
        raise InvalidInput(
            f"“{str(sent)[:40]}” is not a date. Write it as 2026-11-08, or in Bikram Sambat as 2083-07-22 (years from"
            f" {FIRST_YEAR_OF_BIKRAM_SAMBAT} on).",
            code="not_a_date",
        ) from None


def _zone(sent: object) -> ZoneInfo:
    try:
        return ZoneInfo(str(sent))
    except Exception:  # whatever zoneinfo raises for odd keys
        raise InvalidInput("“time_zone” is not the name of a time zone, such as Asia/Kathmandu.") from None
