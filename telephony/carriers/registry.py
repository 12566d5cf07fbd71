"""Create the carriers of `settings.CARRIERS`, each on first use."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from telephony.carriers.base import Carrier, SessionCarrier

__all__ = ["Carrier", "SessionCarrier", "get_carrier"]


@cache
def get_carrier(alias: str) -> Carrier:
    """Return the carrier of `settings.CARRIERS[alias]`. Raises ImproperlyConfigured if its configuration is wrong."""
    try:
        config = settings.CARRIERS[alias]
    except KeyError:
        raise ImproperlyConfigured(f"No carrier {alias!r} is configured.") from None
    try:
        backend = import_string(config["BACKEND"])
    except (KeyError, ImportError) as e:
        raise ImproperlyConfigured(f"Carrier {alias!r}: its BACKEND cannot be imported: {e}.") from e
    carrier: Carrier = backend(alias=alias, **config.get("OPTIONS", {}))
    return carrier


def _clear_cache(*, setting: str, **kwargs: Any) -> None:
    if setting == "CARRIERS":
        get_carrier.cache_clear()


setting_changed.connect(_clear_cache, dispatch_uid="telephony.carriers")
