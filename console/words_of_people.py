"""What permissions and their sets are called for people, and what they allow."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.permissions import Permission

PERMISSIONS: dict[Permission, Promise] = {
    Permission.VIEW: _("see campaigns, people and credits"),
    Permission.PREPARE: _("prepare campaigns"),
    Permission.SEND: _("send campaigns and approve them"),
    Permission.MANAGE_CREDITS: _("buy numbers and move credits"),
    Permission.MANAGE_ACCOUNT: _("manage people, keys and settings"),
    Permission.LISTEN: _("listen to recorded answers"),
    Permission.URGENT: _("send urgent campaigns"),
}

# The sets of permissions that can be chosen, from the smallest to the largest.
PRESETS: dict[str, tuple[Promise, Promise]] = {
    "viewer": (pgettext_lazy("role", "Viewer"), _("sees everything and changes nothing")),
    "author": (pgettext_lazy("role", "Author"), _("also prepares campaigns, but does not send them")),
    "sender": (pgettext_lazy("role", "Sender"), _("also sends campaigns and approves those of others")),
    "manager": (
        pgettext_lazy("role", "Manager"),
        _("also manages people, keys, numbers and credits, and hears recorded answers"),
    ),
    "owner": (pgettext_lazy("role", "Owner"), _("may do everything, and makes others owners")),
}
CUSTOM = pgettext_lazy("role", "Own choice of permissions")
