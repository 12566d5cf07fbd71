"""Admin pages of the inventory of phone numbers. Operators edit it here, or upload a CSV file."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from accounts import services
from accounts.models import Account
from iris.errors import InvalidInput, IrisError
from telephony.admin.lists import CappedPaginator
from telephony.inventory import states
from telephony.inventory.imports import MAX_BYTES, import_numbers
from telephony.models import PhoneNumber
from telephony.models.numbers import NumberState


class NumberFile(forms.Form):
    file = forms.FileField(
        label="CSV file",
        help_text="With the columns number and rate, and if you need them capabilities, name, trunks and state.",
    )
    updates = forms.BooleanField(
        label="Update existing numbers",
        required=False,
        help_text="Give numbers that exist already the values of the file, instead of refusing them.",
    )

    def clean_file(self) -> UploadedFile[Any]:
        file: UploadedFile[Any] = self.cleaned_data["file"]
        if (file.size or 0) > MAX_BYTES:
            raise forms.ValidationError(f"The file is larger than {MAX_BYTES // 2**20} MiB. Split it.")
        return file


class AccountOfAction(ActionForm):
    """The account to which the action assigns numbers, or for which it reserves them."""

    account = forms.CharField(
        required=False, label="Account (number or e-mail, for assigning and reserving)", max_length=254
    )


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
            if self.instance.retired_at is not None:
                raise forms.ValidationError("This number is retired. Offer it again first.")
        return owner

    def clean_trunks(self) -> list[str]:
        trunks: list[str] = self.cleaned_data["trunks"]
        known = set(settings.CARRIERS) - {settings.TWIN_TRUNK}
        if unknown := [alias for alias in trunks if alias not in known]:
            raise forms.ValidationError(
                f"{unknown[0]} is no trunk of the carriers file. It has: {', '.join(sorted(known))}."
            )
        return trunks


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state.value, state.value) for state in NumberState]

    def queryset(self, request: HttpRequest, queryset: QuerySet[PhoneNumber]) -> QuerySet[PhoneNumber]:
        if self.value() not in set(NumberState):
            return queryset
        return queryset & PhoneNumber.objects.in_state(NumberState(str(self.value())))


@admin.register(PhoneNumber)
class PhoneNumberAdmin(admin.ModelAdmin[PhoneNumber]):
    """Add numbers that accounts can buy, assign or reserve them, and retire numbers that no trunk can show any more.

    If an operator sets an owner here, that account pays nothing; buyers through the API pay.
    """

    form = PhoneNumberForm
    list_display = (
        "number",
        "state",
        "rate",
        "capabilities",
        "trunks",
        "friendly_name",
        "owner",
        "bought_at",
    )
    list_filter = (StateFilter,)
    list_select_related = ("owner",)
    search_fields = ("number", "sid", "owner__members__user__email")
    raw_id_fields = ("owner",)
    readonly_fields = ("is_reserved", "reserved_for", "retired_at", "invented_for", "bought_at")
    ordering = ("number",)
    actions = ("assign", "reserve", "offer", "retire")
    action_form = AccountOfAction
    paginator = CappedPaginator
    show_full_result_count = False
    change_list_template = "telephony/admin/numbers.html"

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"sid": secrets.token_hex(16), **super().get_changeform_initial_data(request)}

    def save_model(self, request: HttpRequest, obj: PhoneNumber, form: Any, change: bool) -> None:
        written = list(form.changed_data)
        before = PhoneNumber.objects.filter(pk=obj.pk).values_list("owner", flat=True).first()
        if "owner" in written:
            obj.bought_at = timezone.now() if obj.owner_id else None
            written.append("bought_at")
            if obj.owner_id:
                obj.is_reserved, obj.reserved_for = False, None
                written += ["is_reserved", "reserved_for"]
        # Saves only changed fields, because an account may have bought the number meanwhile.
        obj.save(update_fields=written if change else None)
        if "owner" in written and before is not None:
            states.forget_number(
                account_id=before, number=obj.number, reason="The operator took the number back."
            )

    @admin.action(description="Assign to the account, which pays nothing", permissions=["change"])
    def assign(self, request: HttpRequest, queryset: QuerySet[PhoneNumber]) -> None:
        def act(ids: list[int]) -> int:
            account = self._account(request)
            if account is None:
                raise InvalidInput("Write the account to which the numbers are assigned.")
            return states.assign(ids, account=account)

        self._act(request, queryset, act, "assigned")

    @admin.action(description="Reserve, for the account if one is given", permissions=["change"])
    def reserve(self, request: HttpRequest, queryset: QuerySet[PhoneNumber]) -> None:
        self._act(
            request, queryset, lambda ids: states.reserve(ids, account=self._account(request)), "reserved"
        )

    @admin.action(description="Offer for sale again (reserved and retired numbers)", permissions=["change"])
    def offer(self, request: HttpRequest, queryset: QuerySet[PhoneNumber]) -> None:
        self._act(request, queryset, states.offer, "offered for sale")

    @admin.action(
        description="Retire: take back, and pause the campaigns that use it", permissions=["change"]
    )
    def retire(self, request: HttpRequest, queryset: QuerySet[PhoneNumber]) -> None:
        self._act(request, queryset, states.retire, "retired")

    def _account(self, request: HttpRequest) -> Account | None:
        text = request.POST.get("account", "").strip()
        return services.chosen_account(text) if text else None

    def _act(
        self,
        request: HttpRequest,
        queryset: QuerySet[PhoneNumber],
        act: Callable[[list[int]], int],
        done: str,
    ) -> None:
        """Change the state of the chosen numbers, and show a message with the result."""
        ids = list(queryset.order_by("pk").values_list("pk", flat=True)[: states.MAX_AT_ONCE + 1])
        try:
            if len(ids) > states.MAX_AT_ONCE:
                raise InvalidInput(f"Choose at most {states.MAX_AT_ONCE:,} numbers at once.")
            count = act(ids)
        except IrisError as error:
            self.message_user(request, error.message, messages.ERROR)
        else:
            self.message_user(request, f"{count:,} numbers {done}.")

    def get_urls(self) -> list[URLPattern]:
        page = path(
            "import/", self.admin_site.admin_view(self.import_page), name="telephony_phonenumber_import"
        )
        return [page, *super().get_urls()]

    def import_page(self, request: HttpRequest) -> HttpResponse:
        """Show the form for a CSV file, and import it."""
        if not (self.has_add_permission(request) and self.has_change_permission(request)):
            raise PermissionDenied
        form = NumberFile(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            try:
                done = import_numbers(file=form.cleaned_data["file"], updates=form.cleaned_data["updates"])
            except IrisError as error:
                form.add_error("file", error.message)
            else:
                messages.success(request, f"{done.added:,} numbers added and {done.changed:,} updated.")
                return redirect(reverse("admin:telephony_phonenumber_changelist"))
        context = {
            **self.admin_site.each_context(request),
            "title": "Import phone numbers",
            "opts": self.model._meta,
            "form": form,
        }
        return TemplateResponse(request, "telephony/admin/import_numbers.html", context)
