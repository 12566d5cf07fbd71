"""Choose the trunk of a call or SMS: by channel, then by the longest matching prefix of the number.

Deliveries of test twins go through `settings.TWIN_TRUNK`, whatever the routes say, and no other delivery does. Claims check
this again (`lifecycle.claim`), and so does the database when a delivery is inserted or moved.

Also moves queued deliveries from closed trunks to other trunks of their routes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db.models.functions import Left
from django.utils import timezone

from accounts.models import Account
from iris.errors import Unavailable
from telephony.engine import lifecycle
from telephony.models import Channel, Delivery, Trunk
from telephony.models.statuses import QUEUED
from telephony.numbering import OPERATOR_PREFIX_LENGTH
from telephony.senders.choosing import SenderChoice, needs_sender

# How long after the time of its canary a paused trunk gets a new delivery as the canary.
CANARY_PATIENCE = timedelta(minutes=2)


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
        raise Unavailable(
            f"No carrier is set up for {channel.label}: ask this server's operator.", code="no_carrier"
        )


def choose_trunks(
    requests: Sequence[tuple[int, Channel, str]], *, senders: SenderChoice | None = None
) -> list[tuple[int, str]]:
    """Return the id and the alias of the trunk of each request, given as (id of the owner, channel, number).

    `senders` has the approved senders of the owners of SMS. Executes the same few queries for any number of requests. Raises
    Unavailable if no trunk serves a channel.
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
            router = routers[channel]
            choice = senders if channel is Channel.SMS and to else None
            trunk_id = router.pick_canary(owner_id, to, choice) or router.pick_for(owner_id, to, choice)
            chosen.append((trunk_id, router.alias_of[trunk_id]))
    return chosen


def _twin_trunk() -> Trunk:
    return Trunk.objects.get_or_create(alias=settings.TWIN_TRUNK)[0]


class Router:
    """Choose trunks for many numbers of ordinary accounts with one query.

    Skips trunks that rest or are paused, unless all trunks of the route do.
    """

    def __init__(self, channel: Channel) -> None:
        check_route(channel)
        self._channel = channel
        rows = get_or_create_trunks()
        now = timezone.now()
        resting = {
            alias
            for alias, trunk in rows.items()
            if trunk.is_paused or (trunk.pause_reason and trunk.paused_until and trunk.paused_until > now)
        }
        preferences = _preferences(settings.ROUTES[channel.value])
        # By prefix: the trunks that are open, in order of preference, and then the others.
        self._trunks = {
            prefix: [rows[alias].pk for alias in sorted(aliases, key=resting.__contains__)]
            for prefix, aliases in preferences.items()
        }
        self._table = table = {prefix: trunks[0] for prefix, trunks in self._trunks.items()}
        self.alias_of = {trunk.pk: alias for alias, trunk in rows.items()}
        self.needs_senders = any(needs_sender(alias) for aliases in preferences.values() for alias in aliases)
        # A canary is usually borrowed from the queue of another trunk (`canaries`), but that may be empty all the time.
        self._overdue = {
            alias: trunk.pk
            for alias, trunk in rows.items()
            if trunk.is_paused
            and trunk.canary is None
            and trunk.probe_at
            and trunk.probe_at < now - CANARY_PATIENCE
        }
        self._default = table.get("", next(iter(table.values())))
        self._lengths = sorted({len(prefix) for prefix in table}, reverse=True)
        self.pick = lru_cache(maxsize=100_000)(self._pick)

    def pick_canary(self, owner_id: int, to: str, senders: SenderChoice | None) -> int | None:
        """Return the paused trunk of this number's route that has been waiting for a canary for long. Returns each once."""
        if self._overdue:
            for alias in preferences_of(to, self._channel):
                if alias in self._overdue and (
                    senders is None or senders.pick(owner_id, alias, to) is not None
                ):
                    return self._overdue.pop(alias)
        return None

    def pick_for(self, owner_id: int, to: str, senders: SenderChoice | None) -> int:
        """Return the trunk of an account's call or SMS.

        If trunks need approved senders, an SMS gets a trunk for which its account has one. So the SMS waits for a trunk that
        rests or is paused, if its account has no sender for the other trunks.
        """
        if senders is not None and self.needs_senders:
            for trunk in self._trunks.get(self._prefix_of(to), ()):
                if senders.pick(owner_id, self.alias_of[trunk], to) is not None:
                    return trunk
        return self.pick(to)

    def _pick(self, to: str) -> int:
        return self._table.get(self._prefix_of(to), self._default)

    def _prefix_of(self, to: str) -> str:
        return next((to[:length] for length in self._lengths if to[:length] in self._table), "")

    @property
    def trunk_by_prefix(self) -> dict[str, int]:
        """Return the id of the trunk for each prefix. The prefix "" has the trunk of all other numbers."""
        return {**self._table, "": self._default}


def is_closed(trunk: Trunk) -> bool:
    """Return whether a trunk submits nothing, except canaries: it is not configured, or it is paused."""
    return trunk.alias not in settings.CARRIERS or trunk.is_paused


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
            # Use a closed trunk only if the current one no longer exists.
            shut = closed.keys() if trunk.alias in settings.CARRIERS else set[int]()
            router = Router(channel)
            trunk_by_prefix = {
                prefix: pk if other in shut else other for prefix, other in router.trunk_by_prefix.items()
            }
            if set(trunk_by_prefix.values()) == {pk}:
                continue
            exceptions = {
                group: pk if other in shut else other
                for group, other in _trunks_by_sender(router, channel, pk).items()
            }
            moved += lifecycle.reroute(
                trunk_id=pk,
                channel=channel,
                trunk_by_prefix=trunk_by_prefix,
                trunk_by_group=exceptions,
                canary=trunk.canary,
            )
    return moved


def _trunks_by_sender(router: Router, channel: Channel, trunk_id: int) -> dict[tuple[int, str], int]:
    """Return the trunks for the queued SMS of a trunk, by account and prefix, if trunks need approved senders.

    Contains only those that differ from the trunks for calls and for SMS of any sender.
    """
    if channel is not Channel.SMS or not router.needs_senders:
        return {}
    length = max(OPERATOR_PREFIX_LENGTH, *(len(prefix) for prefix in router.trunk_by_prefix))
    queued = Delivery.objects.filter(trunk=trunk_id, status=QUEUED, channel=channel).exclude(to="")
    groups = list(queued.order_by().values_list("owner_id", Left("to", length)).distinct())
    senders = SenderChoice({owner_id for owner_id, _ in groups})
    chosen = {(owner_id, prefix): router.pick_for(owner_id, prefix, senders) for owner_id, prefix in groups}
    return {group: trunk for group, trunk in chosen.items() if trunk != router.pick(group[1])}


def preferences_of(to: str, channel: Channel) -> list[str]:
    """Return the trunks of this number's route in order of preference."""
    table = _preferences(settings.ROUTES[channel.value])
    for length in sorted({len(prefix) for prefix in table}, reverse=True):
        if to[:length] in table:
            return table[to[:length]]
    return next(iter(table.values()), [])


def trunks_beside(alias: str, channel: Channel) -> set[str]:
    """Return the other trunks of all routes that have this trunk."""
    routes = _preferences(settings.ROUTES[channel.value]).values()
    return {other for aliases in routes if alias in aliases for other in aliases} - {alias}


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
