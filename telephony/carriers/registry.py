"""The configured carriers, made on first use from `settings.CARRIERS`."""

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
    """The carrier behind `settings.CARRIERS[alias]`; `ImproperlyConfigured` says what is wrong with it."""
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


def _forget(*, setting: str, **kwargs: Any) -> None:
    if setting == "CARRIERS":
        get_carrier.cache_clear()


setting_changed.connect(_forget, dispatch_uid="telephony.carriers")
