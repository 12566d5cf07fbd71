"""Read how the last import into a campaign or a contact list stands."""

from __future__ import annotations

from typing import NamedTuple

from campaigns.models import Audience, ImportStatus, SheetImport


class LastImport(NamedTuple):
    """The last import, as `running` or as `failed`. Both are None if it has ended well, or if there never was one."""

    running: SheetImport | None
    failed: SheetImport | None


def last_import_of(audience: Audience) -> LastImport:
    """Return how the last import into a campaign or list stands. Takes one query."""
    latest = audience.imports.order_by("-pk").first()
    if latest is None or latest.status == ImportStatus.DONE:
        return LastImport(None, None)
    return LastImport(latest, None) if latest.status == ImportStatus.IMPORTING else LastImport(None, latest)
