"""The words of the operator area."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import pgettext_lazy

# The parts that `iris.health` checks.
PARTS: dict[str, Promise] = {
    "database": pgettext_lazy("part", "Database"),
    "broker": pgettext_lazy("part", "Broker of tasks"),
    "worker": pgettext_lazy("part", "Workers"),
    "media": pgettext_lazy("part", "Storage of recordings"),
}


def decided(count: int, *, approved: bool) -> str:
    """Return what happened to a sender. It may have been decided or withdrawn meanwhile."""
    if not count:
        return _("Nothing was changed: this request was decided or withdrawn meanwhile.")
    return _("The sender is approved.") if approved else _("The sender is refused.")
