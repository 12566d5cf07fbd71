"""Which trunk a call or SMS goes through: by channel, then by the longest prefix of its number.

And which another one, where the trunk on which it waits will not take it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.utils import timezone

from iris.errors import Unavailable
from telephony.engine import lifecycle
from telephony.models import Channel, Trunk


def trunks() -> dict[str, Trunk]:
    """A row for every configured carrier, by alias; missing ones are made."""
    found = {trunk.alias: trunk for trunk in Trunk.objects.filter(alias__in=settings.CARRIERS)}
    missing = [alias for alias in settings.CARRIERS if alias not in found]
    if missing:
        Trunk.objects.bulk_create([Trunk(alias=alias) for alias in missing], ignore_conflicts=True)
        found = {trunk.alias: trunk for trunk in Trunk.objects.filter(alias__in=settings.CARRIERS)}
    return found


def check_route(channel: Channel) -> None:
    """Raises Unavailable where nothing of this channel can be sent."""
    if not settings.ROUTES[channel.value]:
        raise Unavailable(f"No carrier is set up for {channel.label}: ask this server's operator.")


class Router:
    """Picks trunks for many numbers with one query. A resting trunk is passed over while another can go."""

    def __init__(self, channel: Channel) -> None:
        check_route(channel)
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
        self._table = table
        self.alias_of = {trunk.pk: alias for alias, trunk in rows.items()}
        self._else = table.get("", next(iter(table.values())))
        self._lengths = sorted({len(prefix) for prefix in table}, reverse=True)
        self.pick = lru_cache(maxsize=100_000)(self._pick)

    def _pick(self, to: str) -> int:
        for length in self._lengths:
            trunk = self._table.get(to[:length])
            if trunk is not None:
                return trunk
        return self._else

    @property
    def ways(self) -> dict[str, int]:
        """The trunk of each prefix, by its id; that of "" is everybody else's."""
        return {**self._table, "": self._else}


def is_closed(trunk: Trunk) -> bool:
    """Whether it takes nothing until somebody does something: it is not configured, or its operator must clear it."""
    return trunk.alias not in settings.CARRIERS or bool(trunk.pause_reason and trunk.paused_until is None)


def move_from_closed_trunks() -> int:
    """Queue the deliveries of closed trunks on other trunks of their routes; how many.

    Moves only queued deliveries that are not waiting for a resend: no carrier can have them.
    """
    closed = {trunk.pk: trunk for trunk in Trunk.objects.all() if is_closed(trunk)}
    moved = 0
    for pk, trunk in closed.items():
        if trunk.alias not in settings.CARRIERS:
            lifecycle.lose_pinned(trunk_id=pk)
        for channel in Channel:
            if not settings.ROUTES[channel.value]:
                continue
            ways = {
                # Use a closed trunk only if the current one no longer exists.
                prefix: pk if other in closed and trunk.alias in settings.CARRIERS else other
                for prefix, other in Router(channel).ways.items()
            }
            if set(ways.values()) != {pk}:
                moved += lifecycle.reroute(trunk_id=pk, channel=channel, ways=ways)
    return moved


def _preferences(routes: Sequence[str | Mapping[str, Any]]) -> dict[str, list[str]]:
    """`["a", {"prefix": "+97798", "trunks": ["b", "a"]}]` → `{"": ["a"], "+97798": ["b", "a"]}`."""
    preferences: dict[str, list[str]] = {}
    for route in routes:
        if isinstance(route, str):
            preferences.setdefault("", []).append(route)
        else:
            preferences.setdefault(route.get("prefix", ""), []).extend(route["trunks"])
    return preferences
