"""Set up measurements: a running iris, a campaign with many numbers, and a connection to its database."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
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


def make_campaign(
    iris: LiveIris | World, recipients: int, *, services: str = "SMS", name: str = "Bench", after: int = 0
) -> int:
    """Create a campaign with this many numbers by SQL, without an import. The sandbox completes all of their deliveries.

    The numbers follow the first `after` numbers that campaigns without `after` begin with.
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
                      LATERAL (SELECT (9800000000 + (i / 9000) * 10000 + i %% 9000)::text AS n) AS numbers""",
            {"campaign": campaign, "first": after + 1, "last": after + recipients - 1},
        )
        connection.execute(
            "UPDATE campaigns_campaign SET number_count = %s WHERE id = %s", [recipients, campaign]
        )
        connection.execute("VACUUM ANALYZE campaigns_recipient")
    return campaign


def begin(iris: LiveIris | World, campaign: int, **rules: object) -> None:
    answer = iris.demo.post(f"/api/system/campaigns/{campaign}/begin/", json={"message": MESSAGE, **rules})
    assert answer.status_code == 200, answer.text
