"""Choose the trunk of a call or SMS: by channel, then by the longest matching prefix of the number.

Deliveries of test twins go through `settings.TWIN_TRUNK`, whatever the routes say, and no other delivery does. Claims check
this again (`lifecycle.claim`), and so does the database when a delivery is inserted or moved.

Also moves queued deliveries from closed trunks to other trunks of their routes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.utils import timezone

from accounts.models import Account
from iris.errors import Unavailable
from telephony.engine import lifecycle
from telephony.models import Channel, Trunk


def get_or_create_trunks() -> dict[str, Trunk]:
    """Return the rows of all configured carriers by alias.

    Creates missing rows, except the row of the test twins' trunk, which is created with the first delivery of a twin.
    """
    trunks = {trunk.alias: trunk for trunk in Trunk.objects.filter(alias__in=settings.CARRIERS)}
    missing = [alias for alias in settings.CARRIERS if alias not in trunks and alias != settings.TWIN_TRUNK]
    if missing:
        Trunk.objects.bulk_create([Trunk(alias=alias) for alias in missing], ignore_conflicts=True)
        trunks = {trunk.alias: trunk for trunk in Trunk.objects.filter(alias__in=settings.CARRIERS)}
    return trunks


def check_route(channel: Channel, *, for_twin: bool = False) -> None:
    """Raise Unavailable if no trunk serves this channel. Test twins always have one."""
    if not for_twin and not settings.ROUTES[channel.value]:
        raise Unavailable(f"No carrier is set up for {channel.label}: ask this server's operator.")


def choose_trunks(requests: Sequence[tuple[int, Channel, str]]) -> list[tuple[int, str]]:
    """Return the id and the alias of the trunk of each request, given as (id of the owner, channel, number).

    Executes the same few queries for any number of requests. Raises Unavailable if no trunk serves a channel.
    """
    owners = {owner_id for owner_id, _, _ in requests}
    twins = set(Account.objects.filter(pk__in=owners, twin_of__isnull=False).values_list("pk", flat=True))
    channels = {channel for owner_id, channel, _ in requests if owner_id not in twins}
    routers = {channel: Router(channel) for channel in channels}
    for_twins = (_twin_trunk().pk, settings.TWIN_TRUNK) if twins else None
    chosen: list[tuple[int, str]] = []
    for owner_id, channel, to in requests:
        if for_twins is not None and owner_id in twins:
            chosen.append(for_twins)
        else:
            trunk_id = routers[channel].pick(to)
            chosen.append((trunk_id, routers[channel].alias_of[trunk_id]))
    return chosen


def _twin_trunk() -> Trunk:
    return Trunk.objects.get_or_create(alias=settings.TWIN_TRUNK)[0]


class Router:
    """Choose trunks for many numbers of ordinary accounts with one query.

    Skips trunks that rest or are paused, unless all trunks of the route do.
    """

    def __init__(self, channel: Channel) -> None:
        check_route(channel)
        rows = get_or_create_trunks()
        now = timezone.now()
        resting = {
            alias
            for alias, trunk in rows.items()
            if trunk.pause_reason and (trunk.paused_until is None or trunk.paused_until > now)
        }
        table: dict[str, int] = {}
        for prefix, aliases in _preferences(settings.ROUTES[channel.value]).items():
            available = [alias for alias in aliases if alias not in resting]
            table[prefix] = rows[(available or aliases)[0]].pk
        self._table = table
        self.alias_of = {trunk.pk: alias for alias, trunk in rows.items()}
        self._default = table.get("", next(iter(table.values())))
        self._lengths = sorted({len(prefix) for prefix in table}, reverse=True)
        self.pick = lru_cache(maxsize=100_000)(self._pick)

    def _pick(self, to: str) -> int:
        for length in self._lengths:
            trunk = self._table.get(to[:length])
            if trunk is not None:
                return trunk
        return self._default

    @property
    def trunk_by_prefix(self) -> dict[str, int]:
        """Return the id of the trunk for each prefix. The prefix "" has the trunk of all other numbers."""
        return {**self._table, "": self._default}


def is_closed(trunk: Trunk) -> bool:
    """Return whether a trunk submits nothing until the operator acts: it is not configured, or it is paused without end."""
    return trunk.alias not in settings.CARRIERS or bool(trunk.pause_reason and trunk.paused_until is None)


def move_from_closed_trunks() -> int:
    """Move the deliveries of closed trunks to other trunks of their routes; return how many.

    Moves only queued deliveries that are not waiting for a resend: no carrier can have them.
    """
    # The deliveries of test twins wait until the operator opens their trunk again: all others would reach people.
    trunks = Trunk.objects.exclude(alias=settings.TWIN_TRUNK)
    closed = {trunk.pk: trunk for trunk in trunks if is_closed(trunk)}
    moved = 0
    for pk, trunk in closed.items():
        if trunk.alias not in settings.CARRIERS:
            lifecycle.lose_pinned(trunk_id=pk)
        for channel in Channel:
            if not settings.ROUTES[channel.value]:
                continue
            trunk_by_prefix = {
                # Use a closed trunk only if the current one no longer exists.
                prefix: pk if other in closed and trunk.alias in settings.CARRIERS else other
                for prefix, other in Router(channel).trunk_by_prefix.items()
            }
            if set(trunk_by_prefix.values()) != {pk}:
                moved += lifecycle.reroute(trunk_id=pk, channel=channel, trunk_by_prefix=trunk_by_prefix)
    return moved


def _preferences(routes: Sequence[str | Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return the trunks of each prefix in order of preference.

    `["a", {"prefix": "+97798", "trunks": ["b", "a"]}]` becomes `{"": ["a"], "+97798": ["b", "a"]}`.
    """
    preferences: dict[str, list[str]] = {}
    for route in routes:
        if isinstance(route, str):
            preferences.setdefault("", []).append(route)
        else:
            preferences.setdefault(route.get("prefix", ""), []).extend(route["trunks"])
    return preferences
