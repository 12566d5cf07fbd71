"""Find the pace of a trunk: what an operator has set at run time, or else the CPS of the carriers file."""

from __future__ import annotations

from django.conf import settings

from telephony.models import Trunk

MAX_CPS = 10_000


def effective(alias: str, override: float | None) -> float | None:
    """Return the deliveries per second of a trunk whose row has this `cps`; None if there is no limit."""
    pace = settings.CARRIERS[alias].get("CPS") if override is None else override
    return float(pace) if pace else None


def pace_of(alias: str) -> float | None:
    """Return the present pace of a trunk in deliveries per second; None if there is no limit."""
    return effective(alias, Trunk.objects.filter(alias=alias).values_list("cps", flat=True).first())
