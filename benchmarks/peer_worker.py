"""Run another queue for `peers`, in a process of its own.

python -m benchmarks.peer_worker pgqueuer|procrastinate install|work|enqueue DSN [--campaign ID] [--empty] [--jobs N]

`work` runs jobs until it is terminated, and prints `ready` when it has started. `enqueue` queues a job for each recipient
of a campaign. Each job calls the function of `row_changes`, or does nothing with `--empty`.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress

import asyncpg  # type: ignore[import-not-found,unused-ignore]
import procrastinate  # type: ignore[import-not-found,unused-ignore]
import uvloop  # type: ignore[import-not-found,unused-ignore]
from pgqueuer import PgQueuer  # type: ignore[import-not-found,unused-ignore]
from pgqueuer.db import AsyncpgDriver  # type: ignore[import-not-found,unused-ignore]
from pgqueuer.models import Job  # type: ignore[import-not-found,unused-ignore]
from pgqueuer.queries import Queries  # type: ignore[import-not-found,unused-ignore]

from benchmarks.row_changes import FUNCTION

CHUNK = 1000  # jobs that are queued by one statement, as both queues recommend for many jobs
MAX_CONNECTIONS = 30  # of the jobs of one process; PostgreSQL allows 200 for all
Handle = Callable[[int], Awaitable[object]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("queue", choices=["pgqueuer", "procrastinate"])
    parser.add_argument("action", choices=["install", "work", "enqueue"])
    parser.add_argument("dsn")
    parser.add_argument("--campaign", type=int, default=0)
    parser.add_argument("--empty", action="store_true")
    parser.add_argument("--jobs", type=int, default=10, help="at the same time, in this process")
    given = parser.parse_args()
    logging.getLogger("procrastinate").setLevel(logging.ERROR)  # it warns about apps in a main module
    run = globals()[f"_{given.queue}_{given.action}"]
    with suppress(KeyboardInterrupt, asyncio.CancelledError):
        uvloop.run(run(given))


async def _recipients(dsn: str, campaign: int) -> Sequence[int]:
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch(
        "SELECT id FROM campaigns_recipient WHERE campaign_id = $1 ORDER BY id", campaign
    )
    await connection.close()
    return [row["id"] for row in rows]


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))


async def _handler(given: argparse.Namespace) -> Handle:
    """Return what a job does with the id of its recipient."""
    if given.empty:

        async def nothing(recipient: int) -> None:
            return None

        return nothing
    connections = min(given.jobs, MAX_CONNECTIONS)
    pool = await asyncpg.create_pool(given.dsn, min_size=connections, max_size=connections)

    async def send(recipient: int) -> object:
        return await pool.execute(f"SELECT {FUNCTION}($1)", recipient)

    return send


async def _pgqueuer_install(given: argparse.Namespace) -> None:
    connection = await asyncpg.connect(given.dsn)
    queries = Queries(AsyncpgDriver(connection))
    await queries.install()
    await queries.optimize_autovacuum()
    await connection.close()


async def _pgqueuer_work(given: argparse.Namespace) -> None:
    connection = await asyncpg.connect(given.dsn)
    queue, handle = PgQueuer(AsyncpgDriver(connection)), await _handler(given)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, queue.shutdown.set)

    @queue.entrypoint("send")  # type: ignore[untyped-decorator,unused-ignore]
    async def send(job: Job) -> None:
        await handle(int(job.payload))

    print("ready", flush=True)
    await queue.qm.run(batch_size=given.jobs, max_concurrent_tasks=2 * given.jobs)


async def _pgqueuer_enqueue(given: argparse.Namespace) -> None:
    connection = await asyncpg.connect(given.dsn)
    queries = Queries(AsyncpgDriver(connection))
    for chunk in _chunks(await _recipients(given.dsn, given.campaign)):
        await queries.enqueue(["send"] * len(chunk), [b"%d" % pk for pk in chunk], [0] * len(chunk))
    await connection.close()


def _procrastinate_app(given: argparse.Namespace) -> procrastinate.App:
    connector = procrastinate.PsycopgConnector(conninfo=given.dsn, min_size=4, max_size=MAX_CONNECTIONS)
    return procrastinate.App(connector=connector)


async def _procrastinate_install(given: argparse.Namespace) -> None:
    app = _procrastinate_app(given)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()


async def _procrastinate_work(given: argparse.Namespace) -> None:
    app, handle = _procrastinate_app(given), await _handler(given)

    @app.task(name="send")  # type: ignore[untyped-decorator,unused-ignore]
    async def send(recipient: int) -> None:
        await handle(recipient)

    async with app.open_async():
        print("ready", flush=True)
        await app.run_worker_async(concurrency=given.jobs, delete_jobs="always", fetch_job_polling_interval=1)


async def _procrastinate_enqueue(given: argparse.Namespace) -> None:
    app = _procrastinate_app(given)
    async with app.open_async():
        for chunk in _chunks(await _recipients(given.dsn, given.campaign)):
            await app.configure_task("send").batch_defer_async(*({"recipient": pk} for pk in chunk))


if __name__ == "__main__":
    main()
