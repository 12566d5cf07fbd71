"""The pages that the navigation lists for a person, in the order of the day's work."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.models import Account, User
from accounts.permissions import Permission
from accounts.request_log import entries as request_log
from console.visits import Visit

# Name of the page, its title, its picture, and the permission without which it is not listed.
PAGES: tuple[tuple[str, Promise, str, Permission], ...] = (
    ("home", _("Home"), "home", Permission.VIEW),
    ("campaigns", _("Campaigns"), "campaigns", Permission.VIEW),
    ("lists", pgettext_lazy("navigation", "Lists"), "lists", Permission.VIEW),
    ("templates", pgettext_lazy("navigation", "Templates"), "templates", Permission.VIEW),
    ("inbox", _("Inbox"), "inbox", Permission.VIEW),
    ("phone", pgettext_lazy("navigation", "Test phone"), "phone", Permission.VIEW),
    ("opt-outs", pgettext_lazy("navigation", "Opt-outs"), "stop", Permission.VIEW),
    ("otps", pgettext_lazy("navigation", "OTPs"), "otps", Permission.SEND),
    ("numbers", _("Numbers"), "numbers", Permission.VIEW),
    ("credits", _("Credits"), "credits", Permission.VIEW),
    ("team", pgettext_lazy("navigation", "Team"), "team", Permission.MANAGE_ACCOUNT),
    ("keys", pgettext_lazy("navigation", "Keys"), "keys", Permission.MANAGE_ACCOUNT),
    ("webhooks", pgettext_lazy("navigation", "Webhooks"), "webhooks", Permission.MANAGE_ACCOUNT),
    ("api-requests", pgettext_lazy("navigation", "API requests"), "requests", Permission.VIEW),
    ("settings", pgettext_lazy("navigation", "Settings"), "settings", Permission.MANAGE_ACCOUNT),
    ("audit", pgettext_lazy("navigation", "Audit log"), "audit", Permission.MANAGE_ACCOUNT),
)
OPERATOR_PAGES: tuple[tuple[str, Promise, str, str], ...] = (
    ("operator", pgettext_lazy("navigation", "Server"), "server", "telephony.view_trunk"),
    ("operator-carriers", pgettext_lazy("navigation", "Carriers"), "call", "telephony.view_trunk"),
    ("operator-accounts", pgettext_lazy("navigation", "Accounts"), "team", "accounts.view_account"),
    ("operator-senders", pgettext_lazy("navigation", "Senders"), "sms", "telephony.change_sender"),
)
LIVE_ONLY = {"team"}  # test twins have no such page


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An entry of the navigation. `is_current` says whether the open page is this one, or below it."""

    address: str
    title: Promise
    icon: str
    is_current: bool


def has_phone(account: Account) -> bool:
    """Return whether the calls and SMS of an account arrive at the sandbox's phone, where its members may see them."""
    return account.is_twin or settings.IRIS_SANDBOX_INBOX


def _has(account: Account, name: str) -> bool:
    """Return whether an account has this page."""
    if name == "phone":
        return has_phone(account)
    if name == "api-requests":
        return request_log.is_kept_for(account)
    return not (account.is_twin and name in LIVE_ONLY)


def operator_entries(user: User, path: str) -> list[Entry]:
    """Return the pages of the operator area that this operator may open."""
    found = []
    first = reverse("console:operator")
    for name, title, icon, needed in OPERATOR_PAGES:
        if user.has_perm(needed):
            address = reverse(f"console:{name}")
            is_current = path == address if address == first else path.startswith(address)
            found.append(Entry(address=address, title=title, icon=icon, is_current=is_current))
    return found


def entries(visit: Visit, path: str) -> list[Entry]:
    """Return the pages that this person may open in this account."""
    home = reverse("console:home", args=[visit.account.pk])
    found = []
    for name, title, icon, needed in PAGES:
        if visit.may(needed) and _has(visit.account, name):
            address = reverse(f"console:{name}", args=[visit.account.pk])
            is_current = path == address if address == home else path.startswith(address)
            found.append(Entry(address=address, title=title, icon=icon, is_current=is_current))
    return found
