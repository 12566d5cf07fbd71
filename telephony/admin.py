"""Admin pages of telephony. Operators edit numbers, trunks, voices and opt-outs; other pages are read-only."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import BooleanField, Model, QuerySet
from django.db.models.expressions import RawSQL
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.functional import cached_property

from accounts.models import Account
from telephony.engine import carrier_truth, circuit_breaker
from telephony.engine.pace_setting import MAX_CPS
from telephony.models import (
    Audio,
    Delivery,
    InboundMessage,
    OptOut,
    PhoneNumber,
    Purpose,
    SandboxMessage,
    Trunk,
    UnmatchedReport,
    Voice,
)
from telephony.numbering import to_e164
from telephony.speech import voices

MAX_COUNTED = 10_000
TRUTH_DAYS = (7, 1, 30, 90)


class CappedPaginator(Paginator[Any]):
    """Count at most MAX_COUNTED rows, so that a list of millions opens as fast as a list of ten."""

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        if isinstance(rows, QuerySet):
            return rows.order_by().values("pk")[:MAX_COUNTED].count()
        return len(rows)


class ReadOnlyAdmin(admin.ModelAdmin[Any]):
    """Show rows that only iris writes. Lists never load or count a whole table."""

    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 50
    ordering = ("-pk",)
    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class PhoneNumberForm(forms.ModelForm[PhoneNumber]):
    def clean_owner(self) -> Account | None:
        owner: Account | None = self.cleaned_data["owner"]
        if owner is not None and owner != self.instance.invented_for:
            if owner.is_twin:
                raise forms.ValidationError("A test twin cannot have a real number, or one of another twin.")
            if self.instance.invented_for is not None:
                raise forms.ValidationError(
                    "This number was invented for a test twin, so nobody else can have it."
                )
        return owner


@admin.register(PhoneNumber)
class PhoneNumberAdmin(admin.ModelAdmin[PhoneNumber]):
    """Add numbers that accounts can buy.

    If an operator sets an owner here, that account pays nothing; buyers through the API pay.
    """

    form = PhoneNumberForm
    list_display = ("number", "rate", "capabilities", "friendly_name", "owner", "invented_for", "bought_at")
    list_select_related = ("owner", "invented_for")
    search_fields = ("number", "sid", "owner__members__user__email")
    raw_id_fields = ("owner",)
    readonly_fields = ("invented_for", "bought_at")
    ordering = ("number",)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"sid": secrets.token_hex(16), **super().get_changeform_initial_data(request)}

    def save_model(self, request: HttpRequest, obj: PhoneNumber, form: Any, change: bool) -> None:
        written = list(form.changed_data)
        if "owner" in written:
            obj.bought_at = timezone.now() if obj.owner_id else None
            written.append("bought_at")
        # Saves only changed fields, because an account may have bought the number meanwhile.
        obj.save(update_fields=written if change else None)


class TrunkForm(forms.ModelForm[Trunk]):
    def clean_cps(self) -> float | None:
        cps: float | None = self.cleaned_data["cps"]
        if cps is not None and not 0 < cps <= MAX_CPS:
            raise forms.ValidationError(
                f"The pace must be more than 0 and at most {MAX_CPS}. To stop the trunk, write a pause reason."
            )
        return cps


@admin.register(Trunk)
class TrunkAdmin(admin.ModelAdmin[Trunk]):
    """Show the state of each trunk. Clear its pause reason to resume a trunk, write one to pause it, or set its pace."""

    form = TrunkForm
    list_display = (
        "alias", "pause_cause", "pause_reason", "paused_until", "probe_at", "cps", "last_error",
        "last_error_at",
    )  # fmt: skip
    fields = (
        "alias", "pause_reason", "cps", "pause_cause", "paused_at", "paused_until", "probe_at", "last_error",
        "last_error_at", "pace_note", "session", "session_at", "reported_at",
    )  # fmt: skip

    def get_readonly_fields(self, request: HttpRequest, obj: Trunk | None = None) -> tuple[str, ...]:
        return tuple(name for name in self.fields if name not in ("pause_reason", "cps"))

    def get_urls(self) -> list[URLPattern]:
        page = path("truth/", self.admin_site.admin_view(self.show_truth), name="telephony_trunk_truth")
        return [page, *super().get_urls()]

    def show_truth(self, request: HttpRequest) -> HttpResponse:
        """Show what share of the accepted deliveries each carrier delivered, and how fast."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        chosen = request.GET.get("days", "")
        days = int(chosen) if chosen in map(str, TRUTH_DAYS) else TRUTH_DAYS[0]
        figures = carrier_truth.figures(since=timezone.now() - timedelta(days=days))
        context = {
            **self.admin_site.each_context(request),
            "title": "Reliability of the carriers",
            "choices": TRUTH_DAYS,
            "days": days,
            "columns": [name.replace("_", " ") for name in carrier_truth.COLUMNS],
            "rows": [carrier_truth.cells(one) for one in figures],
            "unusual": carrier_truth.unusual(),
        }
        return TemplateResponse(request, "admin/telephony/trunk/truth.html", context)

    def save_model(self, request: HttpRequest, obj: Trunk, form: Any, change: bool) -> None:
        if "pause_reason" in form.changed_data and obj.pause_reason:
            circuit_breaker.pause(obj.alias, reason=obj.pause_reason)
        elif "pause_reason" in form.changed_data:
            circuit_breaker.resume(obj.alias)
        if "cps" in form.changed_data:
            circuit_breaker.set_pace(obj.alias, obj.cps)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = (
        "id", "owner", "trunk", "purpose", "batch", "channel", "to", "status", "cause", "seconds",
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
