"""Set up measurements: a running iris, a campaign with many numbers, and a connection to its database."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg

from iris.devserver.embedded import keeper, server
from tests.live import LiveIris, live_iris

MESSAGE = "नमस्कार, भोलि बिहान दश बजे वडा कार्यालयमा बैठक हुनेछ।"


@dataclass(frozen=True)
class World:
    """A running iris: its IRIS_HOME with the embedded database, and a client with the token of an account."""

    home: Path
    demo: httpx.Client


@contextmanager
def running_iris(**environment: str) -> Iterator[LiveIris]:
    """Run web, worker and beat as `make sandbox` does, with an account that has enough credits for everything."""
    with (
        tempfile.TemporaryDirectory(prefix="iris-bench-") as home,
        live_iris(Path(home), IRIS_SANDBOX_SPEED="1000", **environment) as iris,
    ):
        iris.manage("topup", "demo@example.com", "50000000")
        yield iris


def database(iris: LiveIris | World) -> psycopg.Connection:
    sockets = keeper.socket_folder(server.folder_of(iris.home))
    return psycopg.connect(f"postgresql://postgres@/iris?host={sockets}", autocommit=True)


@contextmanager
def idle_database(iris: LiveIris) -> Iterator[str]:
    """Stop iris, but let its PostgreSQL run inside the context. Yield the address of the database."""
    folder = server.folder_of(iris.home)
    sockets = server.join(folder, "iris")
    try:
        iris.stop()
        yield f"postgresql://postgres@/iris?host={sockets}"
    finally:
        server.leave(folder, wait=True)


def make_campaign(
    iris: LiveIris | World,
    recipients: int,
    *,
    services: str = "SMS",
    name: str = "Bench",
    after: int = 0,
    shuffled: bool = False,
) -> int:
    """Create a campaign with this many numbers by SQL, without an import. The sandbox completes all of their deliveries.

    The numbers follow the first `after` numbers that campaigns without `after` begin with. They are in ascending order, or
    `shuffled`: each is then in another place of the indexes of numbers.
    """
    created = iris.demo.post(
        "/api/system/campaigns/",
        json={"name": name, "services": services, "individual_number": [9_841_000_000]},
    )
    campaign: int = created.json()["data"]["details"][0]["id"]
    with database(iris) as connection:
        connection.execute(
            """INSERT INTO campaigns_recipient (campaign_id, number, "to")
               SELECT %(campaign)s, n, '+977' || n
                 FROM generate_series(%(first)s::bigint, %(last)s) AS i,
                      LATERAL (SELECT (9800000000 + (i / 9000) * 10000 + i %% 9000)::text AS n) AS numbers
                ORDER BY CASE WHEN %(shuffled)s THEN md5(n) END, i""",
            {
                "campaign": campaign,
                "first": after + 1,
                "last": after + recipients - 1,
                "shuffled": shuffled,
            },
        )
        connection.execute(
            "UPDATE campaigns_campaign SET number_count = %s WHERE id = %s", [recipients, campaign]
        )
        connection.execute("VACUUM ANALYZE campaigns_recipient")
    return campaign


def begin(iris: LiveIris | World, campaign: int, **rules: object) -> None:
    answer = iris.demo.post(f"/api/system/campaigns/{campaign}/begin/", json={"message": MESSAGE, **rules})
    assert answer.status_code == 200, answer.text


def copy_rows(
    connection: psycopg.Connection,
    table: str,
    pk: int,
    source: str,
    changes: Mapping[str, str],
    given: Mapping[str, int],
) -> None:
    """Insert a copy of a row for each row of the source, with some columns changed. These texts are constants."""
    found = connection.execute(
        "SELECT quote_ident(column_name) FROM information_schema.columns WHERE table_name = %s AND column_name <> 'id'",
        [table],
    )
    columns = [name for (name,) in found.fetchall()]
    assert set(changes) <= set(columns), (table, columns)
    values = [changes.get(column, f"pattern.{column}") for column in columns]
    sql = f"""INSERT INTO {table} ({", ".join(columns)})
              SELECT {", ".join(values)} FROM {table} pattern, {source} WHERE pattern.id = %(pattern)s"""
    connection.execute(sql.encode(), {**given, "pattern": pk})


def value(connection: psycopg.Connection, sql: str, *values: int) -> int:
    """Return the number that a query finds."""
    row = connection.execute(sql.encode(), values).fetchone()
    assert row is not None
    return int(row[0])
