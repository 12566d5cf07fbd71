"""Dates in both calendars of Nepal, Bikram Sambat (BS) and Gregorian (AD), in the language of the person."""

from __future__ import annotations

from datetime import date, datetime

import nepali_datetime
from django.utils import timezone
from django.utils.translation import get_language

from console.numerals import in_digits
from iris.languages import ENGLISH

# fmt: off
BS_MONTHS = {
    "en": ("Baishakh", "Jestha", "Asar", "Shrawan", "Bhadra", "Aswin",
           "Kartik", "Mangsir", "Poush", "Magh", "Falgun", "Chaitra"),
    "ne": ("वैशाख", "जेठ", "असार", "साउन", "भदौ", "असोज", "कात्तिक", "मंसिर", "पुस", "माघ", "फागुन", "चैत"),
}
AD_MONTHS = {
    "en": ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
    "ne": ("जनवरी", "फेब्रुअरी", "मार्च", "अप्रिल", "मे", "जुन",
           "जुलाई", "अगस्ट", "सेप्टेम्बर", "अक्टोबर", "नोभेम्बर", "डिसेम्बर"),
}
# fmt: on


def language() -> str:
    """Return the language of the person, `en` or `ne`."""
    active = get_language() or ENGLISH
    return active if active in BS_MONTHS else ENGLISH


def gregorian(day: date) -> str:
    """Return a day of the Gregorian calendar, such as 30 Nov 2026."""
    return in_digits(f"{day.day} {AD_MONTHS[language()][day.month - 1]} {day.year}")


def bikram_sambat(day: date) -> str:
    """Return a day in Bikram Sambat, such as 15 Mangsir 2083; empty beyond the years that the calendar is known for."""
    converted = _converted(day)
    if converted is None:
        return ""
    month = BS_MONTHS[language()][converted.month - 1]
    if language() == ENGLISH:
        return f"{converted.day} {month} {converted.year}"
    return in_digits(f"{converted.year} {month} {converted.day}")


def without_year(day: date) -> str:
    """Return a day in the calendar that the language uses first, such as 30 Nov or मंसिर १५."""
    converted = None if language() == ENGLISH else _converted(day)
    if converted is None:
        return in_digits(f"{day.day} {AD_MONTHS[language()][day.month - 1]}")
    return in_digits(f"{BS_MONTHS[language()][converted.month - 1]} {converted.day}")


def _converted(day: date) -> nepali_datetime.date | None:
    try:
        return nepali_datetime.date.from_datetime_date(day)
    except (ValueError, OverflowError, IndexError):
        return None


def clock(moment: datetime) -> str:
    """Return the time of day in the current time zone, such as 14:05."""
    return in_digits(f"{timezone.localtime(moment):%H:%M}")


def full_hour(number: int) -> str:
    """Return the time at which an hour of the day begins, such as 14:00."""
    return in_digits(f"{number:02}:00")


def hour(number: int) -> str:
    """Return an hour of the day, such as 14:00–15:00."""
    return f"{full_hour(number)}–{full_hour((number + 1) % 24)}"


def span(first: date, last: date) -> str:
    """Return a day, or the first and the last of several days, in the calendar that the language uses first."""
    begin = first_and_second(first)[0]
    return begin if first == last else f"{begin} – {first_and_second(last)[0]}"


def first_and_second(day: date) -> tuple[str, str]:
    """Return the date in the calendar that the language uses first, and in the other one. The second can be empty."""
    ad, bs = gregorian(day), bikram_sambat(day)
    return (bs, ad) if language() != ENGLISH and bs else (ad, bs)
