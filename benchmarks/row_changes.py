"""The row changes of one SMS, as plain SQL: what a campaign writes, without the code that decides it.

`runs` executes them in batches by one connection: the upper bound of the rate of a campaign. `peers` lets other queues run
one job for each SMS that makes them.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg

from benchmarks.worlds import MESSAGE

INSERT = """
    INSERT INTO telephony_delivery
           (owner_id, trunk_id, purpose, batch, item, priority, channel, "to", caller, text, hold_id, credit_limit,
            status, cause, carrier_text, ref, attempts, stopped, credits)
    SELECT {owner}, {trunk}, 'campaign', 0, r.id, 10, 'sms', r."to", '', t.text, {hold}, 1, 0, '', '', '', 0, false, 0
      FROM unnest({recipients}::bigint[], {texts}::text[]) AS t(id, text) JOIN campaigns_recipient r USING (id)
 RETURNING id
"""
# In the order in which iris makes them: claim, submission, result, report, and what the report books.
CHANGES = (
    "UPDATE telephony_delivery SET status = 10, attempts = 1, claimed_at = now(), expires_at = now()"
    " WHERE id = ANY({ids})",
    """INSERT INTO telephony_sandboxmessage
              (delivery_key, channel, "to", caller, text, audio_name, fate, owner_id, end_at, report_at, hidden)
       SELECT id, channel, "to", '', text, '', 'completes', owner_id, now(), now(), false
         FROM telephony_delivery WHERE id = ANY({ids})""",
    "UPDATE telephony_delivery SET status = 30, ref = id, submitted_at = now() WHERE id = ANY({ids})",
    """UPDATE telephony_sandboxmessage SET report_at = NULL
        WHERE delivery_key IN (SELECT id::text FROM unnest({ids}::bigint[]) AS id)""",
    """UPDATE telephony_delivery
          SET status = 100, credits = 1, ended_at = now(), delivered_at = now(), expires_at = NULL
        WHERE id = ANY({ids})""",
    """INSERT INTO accounts_creditentry
              (user_id, hold_id, kind, amount, balance_delta, held_delta, cause, note, created_at)
       SELECT owner_id, hold_id, 'capture', 1, 0, -1, 'bench:' || id, '', now()
         FROM telephony_delivery WHERE id = ANY({ids})""",
    """UPDATE campaigns_recipient r SET status = 100, credits = 1 FROM telephony_delivery d
        WHERE d.item = r.id AND d.id = ANY({ids})""",
)
FUNCTION = "bench_send_sms"


@dataclass(frozen=True, kw_only=True)
class Parties:
    """The ids of the account that pays, of the trunk, and of the hold that pays for all SMS."""

    owner: int
    trunk: int
    hold: int


def parties(connection: psycopg.Connection, *, cause: str, credits: int) -> Parties:
    """Return whom the SMS belong to. A new hold with this cause and so many credits pays for them."""
    row = connection.execute(
        """WITH payer AS (
               UPDATE accounts_account SET balance = balance - %(credits)s WHERE name = 'demo@example.com' RETURNING id
           ), held AS (
               INSERT INTO accounts_credithold (user_id, cause, amount, captured, released, created_at)
               SELECT id, %(cause)s, %(credits)s, 0, 0, now() FROM payer RETURNING id, user_id
           ), booked AS (
               INSERT INTO accounts_creditentry
                      (user_id, hold_id, kind, amount, balance_delta, held_delta, cause, note, created_at)
               SELECT user_id, id, 'hold', %(credits)s, -%(credits)s, %(credits)s, %(cause)s, '', now() FROM held)
           SELECT user_id, (SELECT id FROM telephony_trunk WHERE alias = 'sandbox'), id FROM held""",
        {"cause": cause, "credits": credits},
    ).fetchone()
    assert row is not None
    return Parties(owner=row[0], trunk=row[1], hold=row[2])


def recipients_of(connection: psycopg.Connection, campaign: int) -> list[int]:
    found = connection.execute(
        "SELECT id FROM campaigns_recipient WHERE campaign_id = %s ORDER BY id", [campaign]
    )
    return [row[0] for row in found]


def change_batch(connection: psycopg.Connection, recipients: list[int], of: Parties) -> None:
    """Make the row changes of these recipients' SMS, with a commit after each statement."""
    texts = [MESSAGE] * len(recipients)
    insert = INSERT.format(owner="%s", trunk="%s", hold="%s", recipients="%s", texts="%s")
    rows = connection.execute(insert.encode(), [of.owner, of.trunk, of.hold, recipients, texts])
    ids = [row[0] for row in rows]
    for change in CHANGES:
        connection.execute(change.format(ids="%s").encode(), [ids])
    take_from_hold(connection, of, len(ids))


def take_from_hold(connection: psycopg.Connection, of: Parties, count: int) -> None:
    connection.execute(
        "UPDATE accounts_credithold SET captured = captured + %s WHERE id = %s", [count, of.hold]
    )


def create_function(connection: psycopg.Connection, of: Parties) -> None:
    """Create the function FUNCTION(recipient bigint): the row changes of one SMS in one call and one transaction.

    It leaves out the update of the hold. Each job would wait for the commit of another one there.
    """
    insert = INSERT.format(
        owner=of.owner,
        trunk=of.trunk,
        hold=of.hold,
        recipients="ARRAY[recipient]",
        texts=f"ARRAY['{MESSAGE}']",
    )
    changes = ";\n".join(change.format(ids="ids") for change in CHANGES)
    connection.execute(
        f"""CREATE OR REPLACE FUNCTION {FUNCTION}(recipient bigint) RETURNS void LANGUAGE plpgsql AS $$
            DECLARE ids bigint[];
            BEGIN
                WITH made AS ({insert}) SELECT array_agg(id) INTO ids FROM made;
                {changes};
            END $$""".encode()
    )
