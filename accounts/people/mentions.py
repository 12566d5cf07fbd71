"""Erase a person's number from texts in rows about other people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction

from accounts.people.persons import ERASED, Person

BATCH = 1000


def erase_mentions(
    person: Person, *, table: str, columns: Sequence[str], where: str, parameters: Sequence[Any]
) -> list[int]:
    """Replace the number with `ERASED` in these text columns of a table; return the ids of the rows that contained it.

    `where` is an SQL condition, and `parameters` are its parameters. All rows that fulfil the condition are read.
    """
    contained = " OR ".join(f"({column} ~ %s AND {column} ~ %s)" for column in columns)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM {table} WHERE ({where}) AND ({contained}) ORDER BY id",
            [*parameters, *((person.core, person.pattern) * len(columns))],
        )
        found = [row[0] for row in cursor.fetchall()]
    replaced = ", ".join(f"{column} = regexp_replace({column}, %s, %s, 'g')" for column in columns)
    for start in range(0, len(found), BATCH):
        with transaction.atomic(), connection.cursor() as cursor:
            # In the order of their ids, like all other statements that lock several rows.
            cursor.execute(
                f"""WITH locked AS (SELECT id FROM {table} WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE)
                    UPDATE {table} t SET {replaced} FROM locked WHERE t.id = locked.id""",
                [found[start : start + BATCH], *((person.pattern, ERASED) * len(columns))],
            )
    return found
