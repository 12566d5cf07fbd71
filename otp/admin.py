"""Operators may see that an OTP was sent, never what it was."""

from __future__ import annotations

from django.contrib import admin

from otp.models import Otp
from telephony.admin import LookOnly


@admin.register(Otp)
class OtpAdmin(LookOnly):
    list_display = ("id", "owner", "number", "to", "channel", "origin", "delivery", "created_at")
    list_filter = ("channel", "origin")
    list_select_related = ("owner", "delivery")
    search_fields = ("=id", "=to", "owner__email")
    exclude = ("code", "message")
