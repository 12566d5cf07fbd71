import uuid
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from accounts import apikeys, audit_sentences, credits, services
from accounts.models import (
    MONEY_DIGITS,
    MONEY_PLACES,
    Account,
    ApiKey,
    AuditEntry,
    CreditEntry,
    CreditHold,
    Member,
    User,
)
from iris.errors import InvalidInput


class UserCreationForm(AdminUserCreationForm):  # type: ignore[type-arg]
    class Meta:
        model = User
        fields = ("email", "username")


@admin.register(User)
class UserAdmin(DjangoUserAdmin):  # type: ignore[type-arg]
    """People. A person who is added here gets an account; `accounts.members` adds people to existing accounts."""

    add_form = UserCreationForm
    list_display = ("email", "first_name", "last_name", "is_active", "is_staff")
    search_fields = ("email", "username", "first_name", "last_name", "contact_number")
    ordering = ("email",)
    actions = ("end_logins", "remove_second_factor")
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("email", "username", "password")}),
        (
            "Who it is",
            {
                "fields": (
                    "first_name",
                    "last_name",
                    "contact_number",
                    "is_verified_phone",
                    "is_verified_email",
                    "address",
                )
            },
        ),
        (
            "What it may do",
            {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")},
        ),
        ("When", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "username", "usable_password", "password1", "password2")}),)

    @admin.action(description="Remove two-step sign-in", permissions=["change"])
    def remove_second_factor(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        removed = sum(services.remove_second_factor(user=user) for user in queryset)
        self.message_user(request, f"{removed} people now sign in with their password alone.")

    @admin.action(description="End all logins and sessions", permissions=["change"])
    def end_logins(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        services.end_all_logins(user_ids=queryset.values_list("pk", flat=True))
        self.message_user(request, f"All logins of {queryset.count()} people have ended.")

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        if "email" in form.changed_data and "is_verified_email" not in form.changed_data:
            obj.is_verified_email = False
        super().save_model(request, obj, form, change)
        if not change:
            services.open_account(user=obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        """Refuse to delete owners, because their accounts would have no owner. Deactivate them instead."""
        return (
            obj is not None
            and super().has_delete_permission(request, obj)
            and not obj.memberships.filter(is_owner=True).exists()
        )


class AccountForm(forms.ModelForm):  # type: ignore[type-arg]
    """The form of an account. Its field for a top-up is the only way to change a balance in the admin pages."""

    top_up = forms.DecimalField(
        required=False,
        min_value=Decimal("0.01"),
        max_digits=MONEY_DIGITS,
        decimal_places=MONEY_PLACES,
        label="Top up by",
        help_text="Credits to add to the balance when this page is saved.",
    )
    top_up_note = forms.CharField(
        required=False, max_length=200, label="Note", help_text="Shown in the ledger."
    )
    # Generated when the page is rendered, so that submitting the page twice tops up once.
    top_up_cause = forms.CharField(required=False, max_length=100, widget=forms.HiddenInput)

    class Meta:
        model = Account
        fields = ("name", "is_suspended")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["top_up_cause"].initial = f"topup:admin:{uuid.uuid4()}"

    def clean_top_up(self) -> Decimal | None:
        amount: Decimal | None = self.cleaned_data["top_up"]
        if amount and self.instance.is_twin:
            raise forms.ValidationError("This is a test twin. Its members fill up its credits themselves.")
        if amount:
            try:
                credits.check_room(account=self.instance, amount=amount)
            except InvalidInput as error:
                raise forms.ValidationError(error.message) from error
        return amount


class MemberInline(admin.TabularInline):  # type: ignore[type-arg]
    """The members of an account, read-only. Members are changed through the API, which makes sure that an owner remains."""

    model = Member
    fields = ("user", "is_owner", "permissions", "joined_at")
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Account)
class AccountAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Accounts. They are created with their owner, on the page of users or by `createaccount`."""

    form = AccountForm
    inlines = (MemberInline,)
    list_display = ("id", "name", "balance", "parent", "twin_of", "is_suspended", "created_at")
    list_select_related = ("parent", "twin_of")
    search_fields = ("=id", "name", "members__user__email")
    ordering = ("name", "id")
    actions = ("revoke_keys",)
    readonly_fields = ("balance", "parent", "twin_of", "created_at")
    fieldsets = (
        (None, {"fields": ("name", "is_suspended", "parent", "twin_of", "created_at")}),
        ("Credits", {"fields": ("balance", "top_up", "top_up_note", "top_up_cause")}),
    )

    @admin.action(description="Revoke the API keys", permissions=["change"])
    def revoke_keys(self, request: HttpRequest, queryset: QuerySet[Account]) -> None:
        revoked = apikeys.revoke_all(account_ids=queryset.values_list("pk", flat=True))
        self.message_user(request, f"{revoked} API keys were revoked.")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Account, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        amount = form.cleaned_data.get("top_up")
        if amount:
            note = form.cleaned_data["top_up_note"] or f"Top-up by {request.user}"
            credits.top_up(
                account=obj, amount=amount, cause=form.cleaned_data["top_up_cause"] or None, note=note
            )


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """Show rows without letting operators change them. Only the functions of `accounts` write these rows."""

    list_select_related = ("account",)
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(CreditEntry)
class CreditEntryAdmin(ReadOnly):
    list_display = (
        "created_at",
        "account",
        "kind",
        "amount",
        "balance_delta",
        "counterpart",
        "cause",
        "note",
    )
    list_filter = ("kind",)
    search_fields = ("=cause", "=account__members__user__email")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Model]:
        entries: QuerySet[Model] = super().get_queryset(request)
        return entries.select_related("account", "counterpart")


@admin.register(CreditHold)
class CreditHoldAdmin(ReadOnly):
    list_display = ("created_at", "account", "cause", "amount", "captured", "released", "closed_at")
    search_fields = ("=cause", "=account__members__user__email")


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnly):
    list_display = (
        "beginning", "account", "name", "scopes", "created_by", "created_at", "expires_at", "last_used_at", "revoked_at",
    )  # fmt: skip
    search_fields = ("=beginning", "=account__members__user__email")
    exclude = ("digest",)


class ActionFilter(admin.SimpleListFilter):
    """Filter by the known actions. A filter of the field itself would read the whole table to list them."""

    title = "action"
    parameter_name = "action"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(action, action.replace("_", " ")) for action in audit_sentences.ACTIONS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[AuditEntry]) -> QuerySet[AuditEntry]:
        return queryset if self.value() is None else queryset.filter(action=self.value())


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly):
    """The audit log of all accounts, and of what operators do here."""

    list_display = ("at", "account_id", "sentence", "address", "request")
    list_filter = (ActionFilter,)
    list_select_related = False  # type: ignore[assignment]  # entries have no foreign keys
    search_fields = ("=account_id", "=campaign_id", "=actor_email", "=request")
    search_help_text = (
        "The number of an account or a campaign, an actor's e-mail address, or the id of a request"
    )

    @admin.display(description="what")
    def sentence(self, entry: AuditEntry) -> str:
        return audit_sentences.sentence_of(entry)
