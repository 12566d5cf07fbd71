"""Admin pages of trunks. Operators pause and resume trunks, set their pace, and see what carriers really deliver."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone

from telephony.engine import carrier_truth, circuit_breaker
from telephony.engine.pace_setting import MAX_CPS
from telephony.models import Trunk
from telephony.seeds import results

TRUTH_DAYS = (7, 1, 30, 90)


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
        since = timezone.now() - timedelta(days=days)
        figures = carrier_truth.figures(since=since)
        context = {
            **self.admin_site.each_context(request),
            "title": "Reliability of the carriers",
            "choices": TRUTH_DAYS,
            "days": days,
            "columns": [name.replace("_", " ") for name in carrier_truth.COLUMNS],
            "rows": [carrier_truth.cells(one) for one in figures],
            "unusual": carrier_truth.unusual(),
            "seeds": results.figures(since=since),
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
