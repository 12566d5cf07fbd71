"""The admin page of OTPs. Operators see that an OTP was sent, but never the password."""

from __future__ import annotations

from django.contrib import admin

from otp.models import Otp
from telephony.admin import ReadOnlyAdmin


@admin.register(Otp)
class OtpAdmin(ReadOnlyAdmin):
    list_display = ("id", "owner", "number", "to", "channel", "origin", "delivery", "created_at")
    list_filter = ("channel", "origin")
    list_select_related = ("owner", "delivery")
    search_fields = ("=id", "=to", "owner__members__user__email")
    exclude = ("code", "message")
