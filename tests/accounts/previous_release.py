"""Databases as the previous release left them, and the statements of its code."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from io import StringIO
from typing import Any

import psycopg
from django.contrib.auth.hashers import make_password
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from accounts.apikeys import _digest
from tests.scale import at_scale

FIRST_OF_THIS_RELEASE = ("accounts", "0005_people")
PASSWORD = "secret-password"
KEY = "a" * 64
DELIVERIES = at_scale(2_000, 1_000_000)


@contextmanager
def use(database: str) -> Iterator[None]:
    """Let Django's connection use another database of the same server."""
    connection.close()
    before = connection.settings_dict["NAME"]
    connection.settings_dict["NAME"] = database
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before


def connect(database: str) -> psycopg.Connection[Any]:
    """Open a connection as a process of the previous release has one, in autocommit."""
    parameters = {**connection.get_connection_params(), "dbname": database}
    for name in ("cursor_factory", "context", "prepare_threshold"):
        parameters.pop(name, None)
    return psycopg.connect(**parameters, autocommit=True)


@contextmanager
def template_of(name: str) -> Iterator[str]:
    """Create a database with the tables of the previous release, one account and its deliveries. Yield its name."""
    with connect("postgres") as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        server.execute(f'CREATE DATABASE "{name}"')
    with use(name):
        executor = MigrationExecutor(connection)
        graph = executor.loader.graph
        later = set(graph.backwards_plan(FIRST_OF_THIS_RELEASE))
        state = executor.migrate(
            [
                node
                for node in graph.nodes
                if node not in later
                and all(
                    child.key in later for child in graph.node_map[node].children if child.key[0] == node[0]
                )
            ]
        )
        _fill(state.apps)
    yield name
    with connect("postgres") as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _fill(apps: Any) -> None:
    """Create what a customer of the previous release has, by its models."""
    user = apps.get_model("accounts", "User").objects.create(
        email="Sita@example.com",
        username="sita",
        password=make_password(PASSWORD),
        first_name="Sita",
        contact_number="9800000001",
        balance=Decimal(60),
        token_version=3,
    )
    hold = apps.get_model("accounts", "CreditHold").objects.create(user=user, cause="run:1", amount=40)
    entry = apps.get_model("accounts", "CreditEntry").objects.create
    entry(user=user, kind="topup", amount=100, balance_delta=100, held_delta=0, cause="bank:1")
    entry(user=user, kind="hold", amount=40, balance_delta=-40, held_delta=40, cause="run:1", hold=hold)
    _fill_paid_deliveries(user, trunk=apps.get_model("telephony", "Trunk").objects.create(alias="sandbox"))
    apps.get_model("accounts", "ApiKey").objects.create(user=user, digest=_digest(KEY), beginning=KEY[:8])
    apps.get_model("accounts", "KnownAddress").objects.create(user=user, network="n")
    user.groups.add(apps.get_model("auth", "Group").objects.create(name="operators"))


def _fill_paid_deliveries(user: Any, *, trunk: Any) -> None:
    """Insert DELIVERIES, each with the entry that paid it from a hold of all of them."""
    with connection.cursor() as cursor:
        cursor.execute(f"{INSERT_DELIVERIES} FROM generate_series(1, %s) n", [user.pk, trunk.pk, DELIVERIES])
        cursor.execute(
            """INSERT INTO accounts_credithold (user_id, cause, amount, captured, released, created_at, closed_at)
               VALUES (%s, 'run:0', %s, %s, 0, now(), now()) RETURNING id""",
            [user.pk, DELIVERIES, DELIVERIES],
        )
        (hold,) = cursor.fetchone()
        cursor.execute(
            """INSERT INTO accounts_creditentry
                      (user_id, hold_id, kind, amount, balance_delta, held_delta, cause, note, created_at)
               SELECT %(user)s::bigint, NULL, 'topup', %(all)s, %(all)s, 0, 'bank:0', '', now()
                UNION ALL SELECT %(user)s, %(hold)s::bigint, 'hold', %(all)s, -%(all)s, %(all)s, 'run:0', '', now()
                UNION ALL SELECT %(user)s, %(hold)s, 'capture', 1, 0, -1, 'delivery:' || n, '', now()
                            FROM generate_series(1, %(all)s) n""",
            {"user": user.pk, "hold": hold, "all": DELIVERIES},
        )


@contextmanager
def copy_of(database: str, suffix: str) -> Iterator[str]:
    """Copy a database. Yield the name of the copy, which is dropped at the end."""
    name = f"{database}_{suffix}"
    with connect("postgres") as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{database}"')
    try:
        yield name
    finally:
        with connect("postgres") as server:
            server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


# The previous release ---------------------------------------------------------------------------------------------

INSERT_DELIVERIES = """
    INSERT INTO telephony_delivery
           (item, owner_id, trunk_id, purpose, batch, priority, channel, "to", caller, text, credit_limit,
            status, cause, carrier_text, ref, attempts, stopped, credits)
    SELECT n, %s, %s, 'otp', n, 0, 'sms', '+9779800000001', '', 'Namaste', 1, 50, '', '', '', 0, false, 0
"""
INSERT_USER = """
    INSERT INTO "accounts_user"
           ("password", "last_login", "is_superuser", "username", "first_name", "last_name", "is_staff", "is_active",
            "date_joined", "email", "contact_number", "address", "is_verified_email", "is_verified_phone", "balance",
            "token_version")
    VALUES (%s, NULL, false, %s, 'Ram', '', false, true, now(), %s, '', '', false, false, 0, 0) RETURNING "id"
"""
BY_EMAIL = 'SELECT "id", "password", "is_active" FROM "accounts_user" WHERE LOWER("email") = LOWER(%s)'
TOP_UP = """
    INSERT INTO accounts_creditentry
           (user_id, hold_id, kind, amount, balance_delta, held_delta, cause, note, created_at)
    VALUES (%s, NULL, 'topup', %s, %s, 0, %s, '', now())
"""
MOVE_BALANCE = """
    UPDATE "accounts_user" SET "balance" = ("accounts_user"."balance" + %s)
     WHERE ("accounts_user"."balance" >= %s AND "accounts_user"."id" = %s)
"""
PAY_USERS = """
    UPDATE accounts_user paid SET balance = paid.balance + given.amount
      FROM unnest(%s::bigint[], %s::numeric[]) AS given (user_id, amount) WHERE paid.id = given.user_id
"""
INSERT_OTP = """
    INSERT INTO otp_otp (owner_id, number, "to", channel, origin, code, message, voice)
    VALUES (%s, '9800000001', '+9779800000001', 'sms', 'generated', '123456', 'Your code is 123456', '') RETURNING id
"""
INSERT_HOLD = """
    INSERT INTO accounts_credithold (user_id, cause, amount, captured, released, created_at)
    VALUES (%s, %s, 1, 0, 0, now()) RETURNING id
"""
BOOK_HOLD = """
    INSERT INTO accounts_creditentry
           (user_id, hold_id, kind, amount, balance_delta, held_delta, cause, note, created_at)
    VALUES (%s, %s, 'hold', 1, -1, 1, %s, '', now())
"""


def send_otp(session: psycopg.Connection[Any], *, owner: int, trunk: int) -> None:
    """Find the person of a token, and queue an OTP: hold its price, and insert its delivery."""
    session.execute('SELECT "id", "balance", "token_version" FROM "accounts_user" WHERE "id" = %s', [owner])
    with session.transaction():
        (otp,) = session.execute(INSERT_OTP, [owner]).fetchone()  # type: ignore[misc]
        (hold,) = session.execute(INSERT_HOLD, [owner, f"otp:{otp}"]).fetchone()  # type: ignore[misc]
        assert session.execute(MOVE_BALANCE, [-1, 1, owner]).rowcount == 1
        session.execute(BOOK_HOLD, [owner, hold, f"otp:{otp}"])
        item = DELIVERIES + otp
        session.execute(
            f"{INSERT_DELIVERIES} FROM generate_series(%s::int, %s::int) n", [owner, trunk, item, item]
        )
        session.execute('UPDATE "otp_otp" SET "hold_id" = %s WHERE "id" = %s', [hold, otp])


def top_up(session: psycopg.Connection[Any], *, owner: int, amount: int, cause: str) -> None:
    with session.transaction():
        session.execute(TOP_UP, [owner, amount, amount, cause])
        assert session.execute(MOVE_BALANCE, [amount, -amount, owner]).rowcount == 1


REPORTS = at_scale(3, 1_000)  # at most


class Busy:
    """A server of the previous release in use: OTPs are sent all the time, and long reports read all tables.

    A report begins again as soon as `migrate` has applied something, so each migration of the release waits for one.
    """

    def __init__(self, database: str) -> None:
        self.database = database
        self.said = StringIO()  # what migrate says
        self.sent, self.longest = 0, 0.0
        self.at_each: dict[
            str, int
        ] = {}  # the number of OTPs that had been sent when a migration was applied
        self.reports: list[int] = []  # process ids
        self.reading, self.done = threading.Event(), threading.Event()
        self.failures: list[BaseException] = []

    def run(self, act: Callable[[], object]) -> None:
        """Call `act` in this thread while all others work."""
        threads = [threading.Thread(target=self._guarded, args=[work]) for work in (self._send, self._report)]
        for thread in threads:
            thread.start()
        try:
            self.reading.wait(60)
            act()
        finally:
            self.done.set()
            for thread in threads:
                thread.join()
        assert self.failures == []

    def _guarded(self, work: Callable[[psycopg.Connection[Any]], None]) -> None:
        try:
            with connect(self.database) as session:
                work(session)
        except BaseException as error:
            self.failures.append(error)

    def _send(self, session: psycopg.Connection[Any]) -> None:
        # A migration waits for a lock for less than that, and needs it for milliseconds. The reports last longer.
        session.execute("SET lock_timeout = '3s'")
        owner, trunk = session.execute("SELECT owner_id, trunk_id FROM telephony_delivery LIMIT 1").fetchone()  # type: ignore[misc]
        top_up(session, owner=owner, amount=1_000_000, cause="bank:otps")
        while not self.done.is_set():
            began = time.monotonic()
            send_otp(session, owner=owner, trunk=trunk)
            self.sent += 1
            self.longest = max(self.longest, time.monotonic() - began)

    def _report(self, session: psycopg.Connection[Any]) -> None:
        for _ in range(REPORTS):
            if self.done.is_set():
                return
            while not self._begin_report(session):
                if self.done.wait(0.01):
                    return
            self.reports.append(session.info.backend_pid)
            self.reading.set()
            self._wait_for_more(lambda: len(self.said.getvalue()))
            self._wait_for_more(lambda: self.sent // 20)
            applied = self._applied(session)
            session.execute("COMMIT")
            self._wait_for_more(lambda: self._applied(session), than=applied)

    def _begin_report(self, session: psycopg.Connection[Any]) -> bool:
        """Read all tables in one transaction, as pg_dump does. Return False if a migration is changing one."""
        session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        (tables,) = session.execute(
            "SELECT string_agg(quote_ident(relname), ', ') FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
        ).fetchone()  # type: ignore[misc]
        try:
            session.execute(f"LOCK TABLE {tables} IN ACCESS SHARE MODE NOWAIT")
        except psycopg.errors.LockNotAvailable:
            session.execute("ROLLBACK")
            return False
        return True

    def _applied(self, session: psycopg.Connection[Any]) -> int:
        (applied,) = session.execute("SELECT count(*) FROM django_migrations").fetchone()  # type: ignore[misc]
        return int(applied)

    def _wait_for_more(self, number: Callable[[], int], *, than: int | None = None) -> None:
        """Wait until a number is higher than it is now, or than `than`."""
        before = number() if than is None else than
        while number() <= before and not self.failures and not self.done.wait(0.01):
            pass
