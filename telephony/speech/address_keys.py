"""Keys that make the addresses of recordings expire: an address that leaks opens its recording for a day, not for ever."""

from __future__ import annotations

import time

from django.core.signing import BadSignature, Signer

VALID_SECONDS = 86400


def expiry() -> int:
    """Return when an address of now expires, in Unix time.

    It is a full hour, at least VALID_SECONDS from now: all addresses of the same hour are equal, so that they can be cached.
    """
    return (int(time.time()) // 3600 + 1) * 3600 + VALID_SECONDS


def key_of(name: str) -> str:
    """Return the key of an address of this recording, which has its expiry and a signature."""
    return _signer().sign(f"{name}.{expiry()}").removeprefix(f"{name}.")


def is_valid(name: str, key: str) -> bool:
    """Return whether `key_of` has made this key for this recording, and it has not expired."""
    try:
        signed = _signer().unsign(f"{name}.{key}")
    except BadSignature:
        return False
    return int(signed.removeprefix(f"{name}.")) >= time.time()


def _signer() -> Signer:
    return Signer(salt="telephony.media", sep=".")
