"""Calling hours: which words the rule has, and what it means in time, in zones with and without daylight saving."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaigns.runs.calling_hours import DAYS, CallingHours
from iris.errors import InvalidInput
from telephony.models import Channel, DeliveryStatus
from tests.scale import at_scale

S = DeliveryStatus
NEPAL = ZoneInfo("Asia/Kathmandu")
NEW_YORK = ZoneInfo("America/New_York")
WEEKDAYS: dict[str, Any] = {
    "calls": [{"days": ["sun", "mon", "tue", "wed", "thu", "fri"], "from": "09:00", "to": "18:00"}]
}
DAILY: dict[str, Any] = {"calls": [{"from": "09:00", "to": "18:00"}]}


def hours(zone: ZoneInfo | None = None, **sent: Any) -> CallingHours:
    zone = zone or NEPAL
    return CallingHours.parse(CallingHours.parse(sent).in_zone(zone))


def window(rule: CallingHours, *at: int, channel: Channel = Channel.CALL, fold: int = 0) -> tuple[str, str]:
    """Return the window after a local time, in local time."""
    assert rule.zone is not None
    found = rule.window(channel, datetime(*at, tzinfo=rule.zone, fold=fold))  # type: ignore[arg-type,misc]
    assert found.closes is not None
    opens, closes = found.opens.astimezone(rule.zone), found.closes.astimezone(rule.zone)
    return f"{opens:%m-%d %H:%M}", f"{closes:%m-%d %H:%M}"


class TestWindow:
    def test_inside_before_and_after_the_hours_of_a_day(self) -> None:
        rule = hours(**DAILY)
        assert window(rule, 2026, 11, 30, 12, 30) == ("11-30 12:30", "11-30 18:00")
        assert window(rule, 2026, 11, 30, 8, 59) == ("11-30 09:00", "11-30 18:00")
        assert window(rule, 2026, 11, 30, 9, 0) == ("11-30 09:00", "11-30 18:00")
        assert window(rule, 2026, 11, 30, 17, 59) == ("11-30 17:59", "11-30 18:00")
        assert window(rule, 2026, 11, 30, 18, 0) == ("12-01 09:00", "12-01 18:00")

    def test_days_without_hours_are_skipped(self) -> None:
        assert window(hours(**WEEKDAYS), 2026, 12, 4, 18, 0) == (
            "12-06 09:00",
            "12-06 18:00",
        )  # Friday to Sunday

    def test_holidays_in_both_calendars_are_skipped(self) -> None:
        rule = hours(**DAILY, holidays=["2026-11-30", "2083-08-15"])  # 1 December
        assert window(rule, 2026, 11, 30, 12, 0) == ("12-02 09:00", "12-02 18:00")

    def test_hours_can_end_at_midnight_and_go_on_after_it(self) -> None:
        rule = hours(calls=[{"from": "20:00", "to": "24:00"}, {"from": "00:00", "to": "01:00"}])
        assert window(rule, 2026, 11, 30, 23, 59) == ("11-30 23:59", "12-01 00:00")
        assert window(rule, 2026, 12, 1, 0, 0) == ("12-01 00:00", "12-01 01:00")
        assert window(rule, 2026, 12, 1, 1, 0) == ("12-01 20:00", "12-02 00:00")

    def test_several_spans_of_a_day_are_used_in_order(self) -> None:
        rule = hours(calls=[{"from": "15:00", "to": "17:00"}, {"from": "09:00", "to": "11:00"}])
        assert window(rule, 2026, 11, 30, 8, 0)[0] == "11-30 09:00"
        assert window(rule, 2026, 11, 30, 11, 0)[0] == "11-30 15:00"

    def test_nepal_is_five_hours_and_three_quarters_ahead(self) -> None:
        found = hours(**DAILY).window(Channel.CALL, datetime(2026, 11, 30, 3, 14, tzinfo=UTC))
        assert found.opens == datetime(2026, 11, 30, 3, 15, tzinfo=UTC)
        assert found.closes == datetime(2026, 11, 30, 12, 15, tzinfo=UTC)

    def test_the_day_of_the_zone_counts_and_not_that_of_utc(self) -> None:
        rule = hours(calls=[{"days": ["tue"], "from": "00:30", "to": "02:00"}])
        found = rule.window(
            Channel.CALL, datetime(2026, 11, 30, 18, 45, tzinfo=UTC)
        )  # Tuesday, 00:30 in Nepal
        assert found.opens == datetime(2026, 11, 30, 18, 45, tzinfo=UTC)

    def test_a_time_that_the_clock_skips_neither_opens_early_nor_closes_late(self) -> None:
        # On 8 March 2026 New York goes from 01:59 to 03:00.
        late = hours(NEW_YORK, calls=[{"from": "02:30", "to": "05:00"}])
        assert window(late, 2026, 3, 8, 0) == ("03-08 03:30", "03-08 05:00")
        early = hours(NEW_YORK, calls=[{"from": "01:00", "to": "02:30"}])
        assert window(early, 2026, 3, 8, 0) == ("03-08 01:00", "03-08 01:30")

    def test_a_time_that_the_clock_repeats_opens_late_and_closes_early(self) -> None:
        # On 1 November 2026 New York goes from 01:59 back to 01:00.
        midnight = datetime(2026, 11, 1, 4, tzinfo=UTC)
        late = hours(NEW_YORK, calls=[{"from": "01:30", "to": "05:00"}])
        assert late.window(Channel.CALL, midnight).opens == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)
        early = hours(NEW_YORK, calls=[{"from": "00:00", "to": "01:30"}])
        assert early.window(Channel.CALL, midnight).closes == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)

    def test_a_channel_without_hours_is_not_limited(self) -> None:
        at = datetime(2026, 11, 30, tzinfo=UTC)
        assert hours(**DAILY).window(Channel.SMS, at) == (at, None)

    @settings(max_examples=at_scale(40, 1000))
    @given(
        at=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)).map(lambda at: at.replace(tzinfo=UTC)),
        zone=st.sampled_from(
            ["Asia/Kathmandu", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Africa/Cairo"]
        ),
        spans=st.lists(
            st.tuples(
                st.integers(0, 1439), st.integers(1, 1440), st.sets(st.sampled_from(DAYS), min_size=1)
            ).filter(lambda span: span[0] < span[1]),
            min_size=1,
            max_size=3,
        ),
        holidays=st.sets(st.dates(date(2026, 1, 1), date(2027, 12, 31)), max_size=5),
    )
    def test_every_moment_of_a_window_is_inside_the_hours(
        self, at: datetime, zone: str, spans: list[tuple[int, int, set[str]]], holidays: set[date]
    ) -> None:
        def clock(minutes: int) -> str:
            return f"{minutes // 60:02}:{minutes % 60:02}"

        rule = hours(
            ZoneInfo(zone),
            calls=[{"from": clock(a), "to": clock(b), "days": sorted(days)} for a, b, days in spans],
            holidays=[day.isoformat() for day in holidays],
        )
        opens, closes = rule.window(Channel.CALL, at)
        assert closes is not None
        assert at <= opens < closes
        for moment in (opens, opens + (closes - opens) / 2, closes - timedelta(microseconds=1)):
            local = moment.astimezone(ZoneInfo(zone))
            minute = local.hour * 60 + local.minute
            assert local.date() not in holidays
            assert any(a <= minute < b and DAYS[local.weekday()] in days for a, b, days in spans), local


class TestRule:
    @pytest.mark.parametrize(
        ("sent", "says"),
        [
            ([], "must be an object"),
            ({}, "Send the hours of “calls”"),
            ({"holidays": ["2026-11-30"]}, "Send the hours of “calls”"),
            ({"hours": []}, "Unknown field “hours”"),
            ({"calls": []}, "must be a list of hours"),
            ({"calls": "09:00-18:00"}, "must be a list of hours"),
            ({"calls": [{"from": "09:00"}]}, "has “from” and “to”"),
            ({"calls": [{"from": "09:00", "to": "18:00", "zone": "UTC"}]}, "nothing else"),
            ({"calls": [{"from": "18:00", "to": "09:00"}]}, "must be before “to” 09:00"),
            ({"calls": [{"from": "09:00", "to": "09:00"}]}, "must be before"),
            ({"calls": [{"from": "9", "to": "18:00"}]}, "“9” is not a time of the day"),
            ({"calls": [{"from": "09:00", "to": "24:01"}]}, "“24:01” is not a time"),
            ({"calls": [{"from": 9, "to": "18:00"}]}, "“9” is not a time"),
            ({"calls": [{"days": [], "from": "09:00", "to": "18:00"}]}, "“days” must be a list"),
            (
                {"calls": [{"days": ["someday"], "from": "09:00", "to": "18:00"}]},
                "“someday” is not a weekday",
            ),
            ({"calls": [{"days": [1], "from": "09:00", "to": "18:00"}]}, "“1” is not a weekday"),
            (DAILY | {"holidays": "2026-11-30"}, "must be a list of dates"),
            (DAILY | {"holidays": ["2026-02-30"]}, "“2026-02-30” is not a date"),
            (DAILY | {"holidays": ["2083-13-01"]}, "“2083-13-01” is not a date"),
            (DAILY | {"holidays": ["9999-01-01"]}, "“9999-01-01” is not a date"),
            (DAILY | {"holidays": [20261130]}, "is not a date"),
            (DAILY | {"holidays": ["2026-11-30"] * 401}, "401 holidays"),
            (DAILY | {"time_zone": "Nepal/Pokhara"}, "not the name of a time zone"),
            (DAILY | {"time_zone": "../../etc/passwd"}, "not the name of a time zone"),
            ({"calls": [{"from": "09:00", "to": "18:00"}] * 51}, "51 entries"),
        ],
    )
    def test_wrong_hours_are_refused_with_a_sentence(self, sent: Any, says: str) -> None:
        with pytest.raises(InvalidInput, match=says):
            CallingHours.parse(sent)

    def test_hours_are_read_in_several_spellings(self) -> None:
        rule = CallingHours.parse(
            {
                "calls": [{"days": ["Sunday", " MON "], "from": "9:00", "to": "18:00"}],
                "holidays": ["2083-8-1"],
            }
        )
        assert rule.json == {
            "calls": [{"days": ["mon", "sun"], "from": "09:00", "to": "18:00"}],
            "holidays": ["2083-8-1"],
        }
        assert CallingHours.parse(rule.json) == rule
