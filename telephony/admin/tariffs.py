"""Admin pages of tariffs. Operators edit them here, or upload a CSV file with all prices."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from iris.errors import InvalidInput
from telephony.admin.lists import CappedPaginator
from telephony.models import Tariff, TariffOfAccount, TariffPrice
from telephony.tariffs.imports import MAX_BYTES, import_prices


class PriceFile(forms.Form):
    file = forms.FileField(
        label="CSV file",
        help_text="With the columns prefix, channel (call or sms), credits and pulse_seconds (calls only).",
    )
    replaces = forms.BooleanField(
        label="Replace all prices", required=False, help_text="Remove the prices that are not in the file."
    )

    def clean_file(self) -> UploadedFile[Any]:
        file: UploadedFile[Any] = self.cleaned_data["file"]
        if (file.size or 0) > MAX_BYTES:
            raise forms.ValidationError(
                f"The file is larger than {MAX_BYTES // 2**20} MiB. Import it with manage.py importtariff."
            )
        return file


class AccountsWithTariff(admin.TabularInline[TariffOfAccount, Tariff]):
    model = TariffOfAccount
    raw_id_fields = ("account",)
    extra = 1


@admin.register(Tariff)
class TariffAdmin(admin.ModelAdmin[Tariff]):
    """Edit a tariff and the accounts that have it. A change applies to runs and OTPs that begin later."""

    list_display = ("name", "is_default", "refuses_unpriced")
    inlines: ClassVar = [AccountsWithTariff]
    ordering = ("name",)
    change_form_template = "telephony/admin/tariff.html"

    def get_urls(self) -> list[URLPattern]:
        page = path(
            "<int:tariff_id>/import/",
            self.admin_site.admin_view(self.import_page),
            name="telephony_tariff_import",
        )
        return [page, *super().get_urls()]

    def import_page(self, request: HttpRequest, tariff_id: int) -> HttpResponse:
        """Show the form for a CSV file, and import it."""
        tariff = Tariff.objects.filter(pk=tariff_id).first()
        if tariff is None:
            raise Http404
        if not self.has_change_permission(request, tariff):
            raise PermissionDenied
        form = PriceFile(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            try:
                done = import_prices(
                    tariff=tariff, file=form.cleaned_data["file"], replaces=form.cleaned_data["replaces"]
                )
            except InvalidInput as error:
                form.add_error("file", error.message)
            else:
                self.log_change(request, tariff, f"Imported {done.rows:,} prices.")
                messages.success(
                    request, f"{done.rows:,} prices imported. The tariff now has {done.prices:,}."
                )
                return redirect(reverse("admin:telephony_tariff_change", args=[tariff.pk]))
        context = {
            **self.admin_site.each_context(request),
            "title": f"Import prices of {tariff}",
            "opts": self.model._meta,
            "original": tariff,
            "form": form,
        }
        return TemplateResponse(request, "telephony/admin/import_prices.html", context)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name the tariffs only: the page would list each of their prices."""
        names = [str(one) for one in objs]
        protected = [
            str(one) for one in TariffOfAccount.objects.filter(tariff__in=objs).select_related("account")
        ]
        return names, {"tariffs": len(names)}, set(), protected


@admin.register(TariffPrice)
class TariffPriceAdmin(admin.ModelAdmin[TariffPrice]):
    """Edit single prices."""

    list_display = ("prefix", "channel", "credits", "pulse_seconds", "tariff")
    list_select_related = ("tariff",)
    list_filter = ("tariff", "channel")
    search_fields = ("^prefix",)
    search_help_text = "The first digits of the prefix, such as 977"
    ordering = ("prefix", "channel", "pk")
    paginator = CappedPaginator
    show_full_result_count = False
