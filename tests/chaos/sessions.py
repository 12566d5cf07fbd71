"""Scenarios in which the sessions of the database are ended, taken or held by others."""

from __future__ import annotations

import time
from contextlib import ExitStack, suppress

import psycopg

from tests.chaos.drills import END_SESSIONS
from tests.chaos.system import OBSERVER
from tests.chaos.trial import Trial

ONE_SESSION = END_SESSIONS + " ORDER BY random() LIMIT 1"
HELD_SECONDS = (3.0, 8.0)
# The rows that most transactions need: the trunk, the account with its balance, the runs, and the time slices of tasks.
HOT_ROWS = {
    "trunk": "SELECT FROM telephony_trunk FOR UPDATE",
    "account": "SELECT FROM accounts_account FOR UPDATE",
    "hold": "SELECT FROM accounts_credithold FOR UPDATE",
    "run": "SELECT FROM campaigns_run FOR UPDATE",
    "time slices": "SELECT FROM telephony_turn FOR UPDATE",
    "deliveries": "SELECT FROM telephony_delivery WHERE status < 100 FOR UPDATE",
}
READERS = 3


def terminated_backends(trial: Trial) -> None:
    """End one database session after the other, and now and then all of them at once."""
    while not trial.is_over():
        trial.pause(0.1, 0.6)
        if trial.rng.random() < 0.1:
            terminate_backends(trial)
        else:
            trial.verdict.happened["sessions ended"] += _end(trial, ONE_SESSION)


def terminate_backends(trial: Trial) -> None:
    """End all sessions of iris at once."""
    trial.verdict.happened["sessions ended"] += _end(trial, END_SESSIONS)
    trial.happens("all sessions ended")
    trial.wait_for_progress()


def exhausted_connections(trial: Trial) -> None:
    """Take all connections for some seconds, again and again."""
    while not trial.is_over():
        exhaust_connections(trial)
        trial.pause(1, 2)


def exhaust_connections(trial: Trial) -> None:
    """Take all connections that the server or the pooler allows for some seconds, also those that iris had."""
    address = trial.system.environment["IRIS_DATABASE_URL"]
    with ExitStack() as held:
        _take_all(trial, address, held)
        # Each session that is ended leaves a place, which is taken before iris comes back for it, or after.
        trial.verdict.happened["sessions ended"] += _end(trial, END_SESSIONS)
        _take_all(trial, address, held)
        trial.happens("connections exhausted")
        trial.pause(*HELD_SECONDS)
    trial.wait_for_progress()


def idle_in_transaction(trial: Trial) -> None:
    """Hold rows that most transactions need, again and again."""
    while not trial.is_over():
        hold_rows(trial)


def hold_rows(trial: Trial) -> None:
    """Lock rows that most transactions need, and leave the transaction open for some seconds."""
    name = trial.rng.choice(list(HOT_ROWS))
    with psycopg.connect(trial.system.address, application_name=OBSERVER) as session:
        with suppress(psycopg.errors.DeadlockDetected):
            session.execute("SET deadlock_timeout = '100ms'")  # it gives way to the transactions of iris
            session.execute(HOT_ROWS[name].encode())
            trial.happens(f"locked {name}")
            trial.pause(*HELD_SECONDS)
        session.rollback()
    trial.wait_for_progress()


def long_readers(trial: Trial) -> None:
    """Keep old snapshots of the tables, so that PostgreSQL can remove no dead row."""
    with ExitStack() as held:
        readers = []
        for _ in range(READERS):
            reader = held.enter_context(psycopg.connect(trial.system.address, application_name=OBSERVER))
            reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            readers.append(reader)
        seen = [reader.execute("SELECT count(*) FROM telephony_delivery").fetchone() for reader in readers]
        begun = time.monotonic()
        while not trial.is_over():
            trial.pause(0.5, 1)
            place = trial.rng.randrange(READERS)
            now = readers[place].execute("SELECT count(*) FROM telephony_delivery").fetchone()
            assert now == seen[place], "a snapshot must not change"
            trial.happens("old snapshots read")
        trial.verdict.measured["age of the snapshots"] = f"{time.monotonic() - begun:.0f} s"
        dead = trial.system.query(
            "SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'telephony_delivery'"
        )
        trial.verdict.measured["dead rows of deliveries at the end"] = f"{dead:,}"


def _take_all(trial: Trial, address: str, held: ExitStack) -> None:
    """Open connections until one is refused, or has to wait."""
    with suppress(psycopg.OperationalError):
        while True:
            held.enter_context(psycopg.connect(address, application_name=OBSERVER, connect_timeout=3))
            trial.happens("connections taken")


def _end(trial: Trial, statement: str) -> int:
    """End sessions of iris; return how many."""
    return len(trial.system.observer().execute(statement.encode()).fetchall())
