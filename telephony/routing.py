"""Which trunk a call or SMS goes through: by channel, then by the longest prefix of its number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.utils import timezone

from iris.errors import Unavailable
from telephony.models import Channel, Trunk


def trunks() -> dict[str, Trunk]:
    """A row for every configured carrier, by alias; missing ones are made."""
    found = {trunk.alias: trunk for trunk in Trunk.objects.filter(alias__in=settings.CARRIERS)}
    missing = [alias for alias in settings.CARRIERS if alias not in found]
    if missing:
        Trunk.objects.bulk_create([Trunk(alias=alias) for alias in missing], ignore_conflicts=True)
        found = {trunk.alias: trunk for trunk in Trunk.objects.filter(alias__in=settings.CARRIERS)}
    return found


class Router:
    """Picks trunks for many numbers with one query. A resting trunk is passed over while another can go."""

    def __init__(self, channel: Channel) -> None:
        rows = trunks()
        now = timezone.now()
        resting = {
            alias
            for alias, trunk in rows.items()
            if trunk.pause_reason and (trunk.paused_until is None or trunk.paused_until > now)
        }
        table: dict[str, int] = {}
        for prefix, aliases in _preferences(settings.ROUTES[channel.value]).items():
            awake = [alias for alias in aliases if alias not in resting]
            table[prefix] = rows[(awake or aliases)[0]].pk
        if not table:
            raise Unavailable(f"No carrier is set up for {channel.label}: ask this server's operator.")
        self._table = table
        self._lengths = sorted({len(prefix) for prefix in table}, reverse=True)
        self.pick = lru_cache(maxsize=100_000)(self._pick)

    def _pick(self, to: str) -> int:
        for length in self._lengths:
            trunk = self._table.get(to[:length])
            if trunk is not None:
                return trunk
        return next(iter(self._table.values()))


def _preferences(routes: Sequence[str | Mapping[str, Any]]) -> dict[str, list[str]]:
    """`["a", {"prefix": "+97798", "trunks": ["b", "a"]}]` → `{"": ["a"], "+97798": ["b", "a"]}`."""
    preferences: dict[str, list[str]] = {}
    for route in routes:
        if isinstance(route, str):
            preferences.setdefault("", []).append(route)
        else:
            preferences.setdefault(route.get("prefix", ""), []).extend(route["trunks"])
    return preferences
