"""Choose the senders of queued SMS again, after an approval has ended or after the SMS have moved to another trunk."""

from __future__ import annotations

from collections.abc import Collection

from django.db import connection

from telephony.models import Cause, Channel
from telephony.models.statuses import QUEUED
from telephony.numbering import OPERATOR_PREFIX_LENGTH
from telephony.senders.choosing import SenderChoice
from telephony.unnest import rowset


def lock_queued_from(addresses: Collection[str]) -> list[int]:
    """Lock the queued SMS with these senders in the order of the SMS' ids, and return the ids.

    SMS that wait for a resend are left out. They keep their sender, because the SMSC finds the earlier SMS by the sender.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""SELECT id FROM telephony_delivery
                 WHERE trunk_id = ANY (ARRAY(SELECT id FROM telephony_trunk)) AND status = {QUEUED}
                   AND sender = ANY (%s) AND pinned_since IS NULL ORDER BY id FOR NO KEY UPDATE""",
            [sorted(addresses)],
        )
        return [row[0] for row in cursor.fetchall()]


def choose_again(ids: Collection[int], *, locked: bool = False) -> int:
    """Give queued SMS the senders that are approved now; return how many have changed.

    The caller has locked the deliveries, or has just inserted them. Nobody else sees inserted deliveries yet, so they need
    `locked`: no approval can end before the current transaction ends. If a trunk needs an approved sender and there is none
    now, its SMS will fail with the cause NO_SENDER.
    """
    if not ids:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT d.owner_id, t.alias, left(d."to", %s), d.sender, d.cause, array_agg(d.id)
                 FROM telephony_delivery d JOIN telephony_trunk t ON t.id = d.trunk_id
                WHERE d.id = ANY (%s) AND d.channel = %s AND d."to" <> '' GROUP BY 1, 2, 3, 4, 5""",
            [OPERATOR_PREFIX_LENGTH, list(ids), Channel.SMS.value],
        )
        groups = cursor.fetchall()
    choice = SenderChoice({owner for owner, *_ in groups}, locked=locked)
    changes: dict[int, tuple[str, str]] = {}
    for owner, alias, to, sender, cause, members in groups:
        chosen = choice.pick(owner, alias, to)
        because = (
            cause if cause not in ("", Cause.NO_SENDER) else (Cause.NO_SENDER.value if chosen is None else "")
        )
        if (chosen or "", because) != (sender, cause):
            changes |= dict.fromkeys(members, (chosen or "", because))
    if changes:
        rows, parameters = rowset(
            "new",
            {
                "id": ("bigint", list(changes)),
                "sender": ("text", [sender for sender, _ in changes.values()]),
                "cause": ("text", [cause for _, cause in changes.values()]),
            },
        )
        with connection.cursor() as cursor:
            cursor.execute(
                f"""UPDATE telephony_delivery d SET sender = new.sender, cause = new.cause
                      FROM {rows} WHERE d.id = new.id AND d.status = {QUEUED}""",
                parameters,
            )
    return len(changes)
