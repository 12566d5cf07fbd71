"""Alerts: urgent runs whose calls ask people to press a key to confirm that they have heard the message.

iris calls one number of each household at a time, in the order of the recipients. When the last try of a call has ended and
nobody has pressed the key, the next number of the household becomes due, and the hopper queues its call. Code that changes
the states of a household locks its rows in the order of their ids, in the transaction that ends the call or records the
key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from django.db import connection
from django.utils import timezone

from campaigns.models import AlertRecipient, AlertState, Recipient, Run
from campaigns.runs import delivery_requests
from campaigns.runs.delivery_requests import Addressee
from campaigns.runs.heard_key import KEY
from campaigns.runs.rules import rules_of
from campaigns.runs.urgent import HeardRule
from telephony.call_scripts import HEARD
from telephony.engine.lifecycle import Changed
from telephony.engine.survey_responses import MatchedResponse
from telephony.models import Channel, Delivery, Purpose

TO_CALL = (AlertState.WAITING, AlertState.DUE)


class Added(NamedTuple):
    """Ids of recipients of one chunk.

    Calls to the `called` are queued now. The `spared` are not called, because their household has already heard.
    """

    called: set[int]
    spared: list[int]


class Chosen(NamedTuple):
    """Recipients of one chunk of a run with households: those to call now, and the household of each recipient."""

    to_call: list[Addressee]
    households: dict[int, int]


def heard_rule(run: Run) -> HeardRule | None:
    """Return how the run asks whether people have heard; None if it does not ask."""
    urgent = rules_of(run).urgent
    return None if urgent is None else urgent.heard


def choose(run: Run, recipients: Sequence[Addressee]) -> Chosen:
    """Choose the first recipient of each household in which nobody waits, is due, is being called, or has heard."""
    households = {one.pk: _household(run, one) for one in recipients}
    states = _states(run, households.values())
    to_call = []
    for one in recipients:
        household = households[one.pk]
        if _has_ended_unheard(states.setdefault(household, set())):
            to_call.append(one)
            states[household].add(AlertState.CALLED)
    return Chosen(to_call, households)


def add(run: Run, chosen: Chosen) -> Added:
    """Insert the recipients of a chunk.

    Call it in the transaction that moves the run's cursor, because that transaction has locked the run. `choose` was called
    before the lock. If the last call to a household has ended unheard since then, its next recipient is inserted as due.
    """
    ready = {one.pk for one in chosen.to_call}
    states = _states(run, chosen.households.values())
    rows = []
    added = Added(set(), [])
    for pk, household in chosen.households.items():
        known = states.setdefault(household, set())
        if AlertState.HEARD in known:
            state = AlertState.SPARED
            added.spared.append(pk)
        elif not _has_ended_unheard(known):
            state = AlertState.WAITING
        else:
            state = AlertState.CALLED if pk in ready else AlertState.DUE
        if state is AlertState.CALLED:
            added.called.add(pk)
        known.add(state)
        rows.append(AlertRecipient(run=run, recipient_id=pk, household=household, state=state))
    AlertRecipient.objects.bulk_create(rows)
    return added


def due(run: Run, *, limit: int) -> list[Addressee]:
    """Return the recipients to call next, because the calls to their household so far have ended unheard."""
    ids = AlertRecipient.objects.filter(run=run, state=AlertState.DUE).order_by("recipient")
    return delivery_requests.addressees(
        Recipient.objects.filter(pk__in=list(ids.values_list("recipient", flat=True)[:limit])).order_by("pk")
    )


def mark_called(run: Run, ids: Collection[int]) -> set[int]:
    """Mark due recipients as called, in the transaction that queues their calls. Return those that were still due."""
    rows = AlertRecipient.objects.select_for_update().filter(run=run, recipient__in=ids, state=AlertState.DUE)
    locked = {row.pk: row.recipient_id for row in rows.order_by("pk")}
    AlertRecipient.objects.filter(pk__in=locked).update(state=AlertState.CALLED)
    return set(locked.values())


def are_left(run: Run) -> bool:
    """Return whether recipients of the run still wait or are due."""
    return AlertRecipient.objects.filter(run=run, state__in=TO_CALL).exists()


def stop_waiting(run: Run) -> list[int]:
    """Mark the recipients that wait or are due as stopped, so that nobody calls them; return their ids.

    Call it in the transaction after which the hopper adds no more recipients of the run.
    """
    rows = AlertRecipient.objects.select_for_update().filter(run=run, state__in=TO_CALL).order_by("pk")
    locked = {row.pk: row.recipient_id for row in rows}
    AlertRecipient.objects.filter(pk__in=locked).update(state=AlertState.STOPPED)
    return list(locked.values())


def heard_in(ended: Sequence[Changed], runs: Mapping[int, Run]) -> set[int]:
    """Return the ids of those ended calls whose recipients pressed the key, in this call or in an earlier one."""
    asked = [one for one in ended if one.channel is Channel.CALL and one.batch in runs]
    asked = [one for one in asked if heard_rule(runs[one.batch]) is not None]
    if not asked:
        return set()
    pressed = Delivery.objects.filter(pk__in=[one.id for one in asked], digits__contains=KEY)
    now = set(pressed.values_list("pk", flat=True))
    before = set(
        AlertRecipient.objects.filter(
            run__in={one.batch for one in asked},
            recipient__in=[one.item for one in asked],
            state=AlertState.HEARD,
        ).values_list("run", "recipient")
    )
    return {one.id for one in asked if one.id in now or (one.batch, one.item) in before}


def pressed(answered: Sequence[MatchedResponse]) -> dict[int, set[int]]:
    """Return the recipients who have pressed the key, by run."""
    found: dict[int, set[int]] = {}
    for one in answered:
        if one.purpose is Purpose.CAMPAIGN and one.step == HEARD and KEY in one.text:
            found.setdefault(one.batch, set()).add(one.item)
    return found


def settle(run_id: int, *, have: Collection[int], have_not: Collection[int]) -> list[int]:
    """Store which recipients have heard (`have`), and which have not after the last try (`have_not`).

    If nobody in a household has heard, its next number becomes due. Returns the recipients who are spared. Call it in the
    transaction that records the key or the end of the call, with the run locked: the hopper, which adds recipients, waits
    for that lock.
    """
    by_household: dict[int, list[AlertRecipient]] = {}
    for row in _locked_households(run_id, {*have, *have_not}):
        by_household.setdefault(row.household, []).append(row)
    changed: list[AlertRecipient] = []
    for members in by_household.values():
        changed += _next_states(members, have, have_not)
    AlertRecipient.objects.bulk_update(changed, ["state", "heard_at"], batch_size=1000)
    return [row.recipient_id for row in changed if row.state == AlertState.SPARED]


def _next_states(
    members: Sequence[AlertRecipient], have: Collection[int], have_not: Collection[int]
) -> list[AlertRecipient]:
    """Give the members of a household their next states; return those that have changed."""
    before = {row.pk: row.state for row in members}
    for row in members:
        if row.recipient_id in have and row.state != AlertState.HEARD:
            row.state, row.heard_at = AlertState.HEARD, timezone.now()
        elif row.recipient_id in have_not and row.state == AlertState.CALLED:
            row.state = AlertState.NOT_HEARD
    left = [row for row in members if row.state in TO_CALL]
    if any(row.state == AlertState.HEARD for row in members):
        for row in left:
            row.state = AlertState.SPARED
    elif left and not any(row.state in (AlertState.CALLED, AlertState.DUE) for row in members):
        left[0].state = AlertState.DUE
    return [row for row in members if row.state != before[row.pk]]


def _locked_households(run_id: int, recipients: Collection[int]) -> list[AlertRecipient]:
    """Lock and return all members of the households of these recipients, in the order in which they are called."""
    return list(
        AlertRecipient.objects.raw(
            """SELECT * FROM campaigns_alertrecipient
                WHERE run_id = %s AND household IN (
                      SELECT household FROM campaigns_alertrecipient WHERE run_id = %s AND recipient_id = ANY(%s))
                ORDER BY id FOR NO KEY UPDATE""",
            [run_id, run_id, sorted(recipients)],
        )
    )


def _states(run: Run, households: Iterable[int]) -> dict[int, set[int]]:
    """Return the states of the members of these households that the run has already added, by household."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT household, array_agg(DISTINCT state) FROM campaigns_alertrecipient
                WHERE run_id = %s AND household = ANY(%s) GROUP BY 1""",
            [run.pk, list(set(households))],
        )
        return {household: set(states) for household, states in cursor.fetchall()}


def _has_ended_unheard(states: set[int]) -> bool:
    """Return whether all calls to a household have ended, none is to follow, and nobody has heard."""
    return states <= {AlertState.NOT_HEARD, AlertState.STOPPED}


def _household(run: Run, recipient: Addressee) -> int:
    """Return a hash that identifies a recipient's household. A recipient without the tag is a household of their own."""
    rule = heard_rule(run)
    tag = None if rule is None or rule.household is None else recipient.tags.get(rule.household)
    name = "" if tag is None else " ".join(str(tag).split()).casefold()
    key = f"{run.pk}:tag:{name}" if name else f"{run.pk}:recipient:{recipient.pk}"
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], signed=True)
