"""Admin pages. Operators edit voices and opt-outs; other pages are read-only."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import BooleanField, Model, QuerySet
from django.db.models.expressions import RawSQL
from django.http import HttpRequest

from telephony.admin.lists import CappedPaginator, ReadOnlyAdmin
from telephony.models import (
    Audio,
    BlockedNumber,
    Delivery,
    InboundMessage,
    OptOut,
    Purpose,
    SandboxMessage,
    UnmatchedReport,
    Voice,
)
from telephony.numbering import to_e164
from telephony.speech import voices


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = (
        "id", "owner", "trunk", "purpose", "batch", "channel", "to", "sender", "status", "cause", "seconds",
        "playback", "credits",
    )  # fmt: skip
    list_filter = ("channel", "purpose", "status", "cause")
    list_select_related = ("owner", "trunk")
    search_fields = ("=id", "=to", "=ref")
    search_help_text = "The id, the carrier's reference, or the whole number as +977…"
    exclude = ("text", "audio", "not_before")
    readonly_fields = ("said", "waits")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        # 'infinity' while the campaign is paused, which Python's datetime cannot represent.
        paused = RawSQL("telephony_delivery.not_before = 'infinity'", (), output_field=BooleanField())
        rows: QuerySet[Delivery] = super().get_queryset(request).defer("not_before").annotate(paused=paused)
        return rows

    @admin.display(description="paused", boolean=True)
    def waits(self, delivery: Delivery) -> bool:
        return bool(delivery.paused)  # type: ignore[attr-defined]

    @admin.display(description="text")
    def said(self, delivery: Delivery) -> str:
        """Return the text; hide the texts of OTPs, which contain passwords."""
        return "(hidden)" if delivery.purpose == Purpose.OTP else delivery.text


class VoiceForm(forms.ModelForm[Voice]):
    """Reject a voice that cannot speak."""

    def clean(self) -> dict[str, Any]:
        super().clean()
        given = {field: self.cleaned_data.get(field) for field in ("name", "language", "engine", "options")}
        if not self.errors and (error := voices.row_error(Voice(**given))):
            self.add_error("options", error)
        return self.cleaned_data


@admin.register(Voice)
class VoiceAdmin(admin.ModelAdmin[Voice]):
    """Edit the catalogue of voices. A change applies within seconds, to new recordings only.

    Voices cannot be deleted, because campaigns may use them. A voice that is not enabled is not offered.
    """

    form = VoiceForm
    list_display = ("name", "id", "display", "language", "speaks", "is_premium", "enabled", "order")
    list_editable = ("enabled", "order")
    ordering = ("order", "id")

    @admin.display(description="engine")
    def speaks(self, voice: Voice) -> str:
        """Return the engine, and the steps that are missing before it can speak."""
        engine, missing = voices.engine_and_hint(voice)
        return f"{engine}, once this is done: {missing}" if missing else engine

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Audio)
class AudioAdmin(ReadOnlyAdmin):
    list_display = ("id", "name", "seconds", "voice", "created_at", "used_at", "pruned_at")
    search_fields = ("=name",)


@admin.register(SandboxMessage)
class SandboxMessageAdmin(ReadOnlyAdmin):
    list_display = ("id", "channel", "to", "caller", "fate", "created_at", "ring_at", "answer_at", "end_at")
    list_filter = ("channel", "fate")
    search_fields = ("=to",)


class RecipientNumber(forms.CharField):
    """A phone number in any spelling; returns it in E.164."""

    def clean(self, value: Any) -> str:
        number = to_e164(super().clean(value))
        if not number:
            raise forms.ValidationError(
                "The phone number is invalid. Write it with its country code, as +977…"
            )
        return number


class OptOutForm(forms.ModelForm[OptOut]):
    number = RecipientNumber(max_length=40)


class BlockedNumberForm(forms.ModelForm[BlockedNumber]):
    number = RecipientNumber(max_length=40)


@admin.register(BlockedNumber)
class BlockedNumberAdmin(admin.ModelAdmin[BlockedNumber]):
    """Show the numbers that no account may contact. `manage.py blocknumbers` imports many."""

    form = BlockedNumberForm
    list_display = ("number", "also_otps", "reason", "created_at")
    search_fields = ("=number",)
    readonly_fields = ("created_at",)
    ordering = ("-pk",)
    paginator = CappedPaginator
    show_full_result_count = False


@admin.register(OptOut)
class OptOutAdmin(admin.ModelAdmin[OptOut]):
    """Show the opt-out list. Operators add recipients who ask by telephone for no further calls and SMS."""

    form = OptOutForm
    list_display = ("number", "owner", "channel", "way", "source", "created_at")
    list_select_related = ("owner",)
    exclude = ("way", "evidence")
    search_fields = ("=number", "owner__members__user__email")
    search_help_text = "The whole number as +977…, or an account's e-mail address"
    raw_id_fields = ("owner",)
    readonly_fields = ("created_at",)
    ordering = ("-pk",)
    paginator = CappedPaginator
    show_full_result_count = False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(InboundMessage)
class InboundMessageAdmin(ReadOnlyAdmin):
    list_display = ("id", "received_at", "trunk", "sender", "to", "owner", "text")
    list_select_related = ("trunk", "owner")
    search_fields = ("=sender", "=to")


@admin.register(UnmatchedReport)
class UnmatchedReportAdmin(ReadOnlyAdmin):
    list_display = ("id", "created_at", "trunk", "ref", "number", "status", "cause", "carrier_text")
    list_select_related = ("trunk",)
    search_fields = ("=ref", "=number")
