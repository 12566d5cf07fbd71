"""Tell customers by webhooks: inbound SMS, new opt-outs, paused trunks. Bodies are documented in docs/webhooks.md.

Call these functions in the transaction of what they tell.
"""

from __future__ import annotations

from collections.abc import Sequence

from telephony.models import PauseCause
from telephony.models.statuses import END, QUEUED
from webhooks import outbox
from webhooks.events import Event
from webhooks.outbox import moment

# Control characters take six bytes each in JSON, so this is the longest text that fits into every body.
MAX_TEXT_CHARACTERS = 3_000


def tell_received(inbound_ids: Sequence[int]) -> None:
    """Tell the accounts that these inbound SMS answer."""
    if not inbound_ids:
        return
    outbox.publish(
        Event.SMS_RECEIVED,
        rows=f"""SELECT m.owner_id, 'inbound:' || m.id, json_build_object(
                        'id', m.id, 'from', m.sender, 'to', m."to", 'text', left(m.text, {MAX_TEXT_CHARACTERS}),
                        'is_cut', length(m.text) > {MAX_TEXT_CHARACTERS}, 'received_at', {moment("m.received_at")})
                   FROM telephony_inboundmessage m WHERE m.id = ANY(%s)""",
        parameters=[list(inbound_ids)],
    )


def tell_opt_outs(ids: Sequence[int]) -> None:
    """Tell the accounts on whose lists these opt-outs are new, or wider than before."""
    if not ids:
        return
    outbox.publish(
        Event.OPT_OUT_ADDED,
        rows=f"""SELECT o.owner_id, 'opt-out:' || o.id, json_build_object(
                        'number', o.number, 'channel', CASE o.channel WHEN '' THEN 'all' ELSE o.channel END,
                        'way', nullif(o.way, ''), 'reason', o.source, 'added_at', {moment("o.created_at")})
                   FROM telephony_optout o WHERE o.id = ANY(%s)""",
        parameters=[list(ids)],
    )


def tell_paused(*, trunk_id: int, alias: str, cause: PauseCause) -> None:
    """Tell the accounts with unfinished calls or SMS on the trunk, and those of operators.

    Customers get the cause as a code, because the words of the carrier may have secrets of the operator.
    """
    outbox.publish(
        Event.TRUNK_PAUSED,
        rows=f"""SELECT o.owner_id, 'trunk:' || %(trunk)s, json_build_object(
                        'trunk', %(alias)s::text, 'cause', %(cause)s::text,
                        'paused_at', {moment("statement_timestamp()")})
                   FROM (SELECT DISTINCT owner_id FROM ({outbox.OWNERS}) AS owners) AS o
                  WHERE EXISTS (SELECT FROM telephony_delivery d
                                 WHERE d.trunk_id = %(trunk)s AND d.owner_id = o.owner_id AND d.status = {QUEUED})
                     OR EXISTS (SELECT FROM telephony_delivery d WHERE d.trunk_id = %(trunk)s
                                   AND d.owner_id = o.owner_id AND d.status > {QUEUED} AND d.status < {END})
                     OR EXISTS (SELECT FROM accounts_member m JOIN accounts_user u ON u.id = m.user_id
                                 WHERE m.account_id = o.owner_id AND u.is_staff AND u.is_active)""",
        parameters={"trunk": trunk_id, "alias": alias, "cause": cause.value},
    )
