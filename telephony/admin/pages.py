"""Admin pages. Operators edit trunks, voices and opt-outs; other pages are read-only."""

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
    Delivery,
    InboundMessage,
    OptOut,
    Purpose,
    SandboxMessage,
    Trunk,
    UnmatchedReport,
    Voice,
)
from telephony.numbering import to_e164
from telephony.speech import voices


@admin.register(Trunk)
class TrunkAdmin(admin.ModelAdmin[Trunk]):
    """Show the state of each trunk. To resume a paused trunk, clear its pause reason."""

    list_display = ("alias", "pause_reason", "paused_until", "last_error", "last_error_at", "next_slot_at")
    readonly_fields = ("alias", "next_slot_at", "last_owner_id", "last_error", "last_error_at")

    def save_model(self, request: HttpRequest, obj: Trunk, form: Any, change: bool) -> None:
        # Saves only changed fields, because claims move the trunk's slots meanwhile.
        obj.save(update_fields=form.changed_data)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


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


class OptOutForm(forms.ModelForm[OptOut]):
    def clean_number(self) -> str:
        number = to_e164(self.cleaned_data["number"])
        if not number:
            raise forms.ValidationError(
                "The phone number is invalid. Write it with its country code, as +977…"
            )
        return number


@admin.register(OptOut)
class OptOutAdmin(admin.ModelAdmin[OptOut]):
    """Show the opt-out list. Operators add recipients who ask by telephone for no further calls and SMS."""

    form = OptOutForm
    list_display = ("number", "owner", "source", "created_at")
    list_select_related = ("owner",)
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
