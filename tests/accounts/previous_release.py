"""A database as the previous release left it, and the statements of that release."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import psycopg
from django.contrib.auth.hashers import make_password
from django.db import connection
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken

from accounts.apikeys import _digest
from accounts.models import User
from tests.scale import at_scale

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


def fill(apps: Any) -> None:
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
    apps.get_model("accounts", "ApiKey").objects.create(user=user, digest=_digest(KEY), beginning=KEY[:8])
    apps.get_model("accounts", "KnownAddress").objects.create(user=user, network="n")
    user.groups.add(apps.get_model("auth", "Group").objects.create(name="operators"))
    trunk = apps.get_model("telephony", "Trunk").objects.create(alias="sandbox")
    with connection.cursor() as cursor:
        cursor.execute(f"{INSERT_DELIVERIES} FROM generate_series(1, %s) n", [user.pk, trunk.pk, DELIVERIES])


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


def bearer(token: object) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def token_of_previous_release(user: User, version: int) -> str:
    """Return an access token as the previous release issued it, without an account."""
    token = AccessToken.for_user(user)
    token["version"], token["login"] = version, "abc"
    return str(token)
