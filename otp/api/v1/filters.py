"""Filters of the list of sent OTPs, an addition to the documented API."""

from __future__ import annotations

from django.db.models import Q, QuerySet

from iris.api.fields import Day, EndOfDay, Word
from iris.api.filters import FilterSet, SentFilter
from otp.api.v0.serializers import CHANNELS, ORIGINS
from otp.models import Otp
from telephony import numbering
from telephony.api.fields import Number


class OtpFilter(FilterSet):
    """Filter by number in any notation, by channel, by origin of the password, and by date."""

    number = SentFilter(Number(), method="to_number")
    sms_send_options = SentFilter(Word(CHANNELS), field_name="channel")
    otp_options = SentFilter(Word(ORIGINS), field_name="origin")
    from_date = SentFilter(Day(), field_name="created_at", lookup_expr="gte")
    to_date = SentFilter(EndOfDay(), field_name="created_at", lookup_expr="lt")

    def to_number(self, rows: QuerySet[Otp], name: str, sent: object) -> QuerySet[Otp]:
        number = numbering.parse(sent)
        return rows.filter(Q(to=number.to) if number.to else Q(number=number.number))
