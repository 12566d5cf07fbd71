"""Admin pages of senders. Operators approve and refuse requests, several at once, and add senders themselves."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import Account
from iris.errors import InvalidInput
from telephony.admin.lists import CappedPaginator
from telephony.models import Sender, SenderStatus
from telephony.senders import decisions
from telephony.senders.addresses import parse_address
from telephony.senders.choosing import takes_senders


class ReasonOfRefusal(ActionForm):
    reason = forms.CharField(
        required=False, label="Reason (for refusing; the account sees it)", max_length=300
    )


class SenderForm(forms.ModelForm[Sender]):
    trunk = forms.CharField(
        required=False, max_length=50, help_text="Alias of the trunk. Empty: every trunk."
    )

    def clean_address(self) -> str:
        try:
            return parse_address(self.cleaned_data["address"])
        except InvalidInput as error:
            raise forms.ValidationError(error.message) from error

    def clean_trunk(self) -> str:
        trunk: str = self.cleaned_data["trunk"]
        able = [alias for alias in settings.CARRIERS if alias != settings.TWIN_TRUNK and takes_senders(alias)]
        if trunk and trunk not in able:
            raise forms.ValidationError(
                f"This trunk does not exist or takes no senders. These trunks take senders: {', '.join(able) or 'none'}."
            )
        return trunk


@admin.register(Sender)
class SenderAdmin(admin.ModelAdmin[Sender]):
    """Decide the requests of accounts. A sender that is added here is approved at once.

    A sender cannot be edited: remove it, and add another one. Queued SMS of a removed sender get another approved sender, if
    their account has one.
    """

    form = SenderForm
    list_display = (
        "address",
        "owner",
        "operator",
        "trunk",
        "status",
        "used_by_others",
        "note",
        "requested_at",
    )
    list_filter = ("status", "operator", "trunk")
    list_select_related = ("owner",)
    search_fields = ("address", "owner__members__user__email", "owner__name")
    raw_id_fields = ("owner",)
    fields = (
        "address",
        "owner",
        "operator",
        "trunk",
        "note",
        "status",
        "reason",
        "requested_at",
        "decided_at",
    )
    readonly_fields = ("status", "reason", "requested_at", "decided_at")
    actions = ("approve", "refuse")
    action_form = ReasonOfRefusal
    ordering = ("-pk",)
    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 50

    def has_change_permission(self, request: HttpRequest, obj: Sender | None = None) -> bool:
        # Actions need this permission. The page of one sender is read-only.
        return obj is None and super().has_change_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Sender, form: Any, change: bool) -> None:
        obj.status, obj.decided_at = SenderStatus.APPROVED, timezone.now()
        obj.save()

    def delete_model(self, request: HttpRequest, obj: Sender) -> None:
        decisions.delete_senders([obj.pk])

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Sender]) -> None:
        decisions.delete_senders(list(queryset.values_list("pk", flat=True)))

    @admin.display(description="also of", empty_value="")
    def used_by_others(self, sender: Sender) -> str:
        """Name other accounts with the same sender, because an account may pretend to be another one."""
        others = Account.objects.filter(senders__address__iexact=sender.address)
        if sender.owner_id is not None:
            others = others.exclude(pk=sender.owner_id)
        return ", ".join(str(one) for one in others.order_by("pk").distinct()[:3])

    @admin.action(description="Approve the chosen senders", permissions=["change"])
    def approve(self, request: HttpRequest, queryset: QuerySet[Sender]) -> None:
        count = decisions.approve(list(queryset.values_list("pk", flat=True)))
        self.message_user(request, f"{count:,} senders approved.")

    @admin.action(description="Refuse the chosen senders, or end their approval", permissions=["change"])
    def refuse(self, request: HttpRequest, queryset: QuerySet[Sender]) -> None:
        try:
            count = decisions.refuse(
                list(queryset.values_list("pk", flat=True)), reason=request.POST.get("reason", "")
            )
        except InvalidInput as error:
            self.message_user(request, error.message, messages.ERROR)
        else:
            self.message_user(request, f"{count:,} senders refused.")
