"""Filters of phone number lists, for both dialects."""

from __future__ import annotations

from iris.api.fields import Text, Word
from iris.api.filters import FilterSet, SentFilter

CAPABILITIES = {"Voice": "voice", "SMS": "sms"}


class PhoneNumberFilter(FilterSet):
    """Filter by a part of the number, by a part of its name, and by capability."""

    number = SentFilter(Text(max_length=32), field_name="number", lookup_expr="contains")
    search = SentFilter(Text(max_length=100), field_name="friendly_name", lookup_expr="icontains")
    capability = SentFilter(Word(CAPABILITIES), field_name="capabilities", lookup_expr="icontains")
