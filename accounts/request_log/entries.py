"""Write, read and delete entries of the log of API requests."""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass, fields
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.db.models import OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from accounts.models import Account, ApiRequest
from accounts.permissions import Permission
from iris.errors import NotFound
from iris.locks import locked

LIFETIME = timedelta(days=1)
MAX_ENTRIES = 1_000  # of an account
PRUNED_EVERY = 250  # entries of all accounts; so no account ever has more than MAX_ENTRIES and these
PRUNE_BATCH_SIZE = 10_000

_TABLE = ApiRequest._meta.db_table


class NoRequestLog(NotFound):
    """The server keeps no log of the API requests of this account."""

    default_code = "no_request_log"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A request and its response. Bodies and path are masked and short (`accounts.request_log.masking`)."""

    account_id: int
    request: str
    method: str
    path: str
    status: int
    code: str
    milliseconds: int
    needed: str
    request_body: str
    response_body: str


_COLUMNS = ", ".join(field.name for field in fields(Entry))


def is_kept_for(account: Account) -> bool:
    """Return whether the API requests of an account are logged."""
    return account.is_twin or settings.IRIS_REQUEST_LOG


def entries_of(account: Account, *, granted: frozenset[Permission]) -> QuerySet[ApiRequest]:
    """Return the last requests of an account, the newest first, without those that need permissions not in `granted`.

    Raises NoRequestLog.
    """
    if not is_kept_for(account):
        raise NoRequestLog(
            "This server logs API requests of test accounts only. Send them with a test key, and list them with it."
        )
    rows = ApiRequest.objects.filter(account_id=account.pk)
    oldest = ApiRequest.objects.filter(account_id=OuterRef("account_id")).order_by("-pk")
    return rows.filter(
        at__gt=timezone.now() - LIFETIME,
        needed__in=["", *(permission.value for permission in granted)],
        pk__gt=Coalesce(Subquery(oldest.values("pk")[MAX_ENTRIES : MAX_ENTRIES + 1]), Value(0)),
    ).order_by("-pk")


def status_range(text: str) -> tuple[int, int] | None:
    """Return the lowest and the highest status that a text such as 404 or 4xx means, or None if it is not a status."""
    text = text.strip().lower()
    if re.fullmatch("[1-5]xx", text):
        return int(text[0]) * 100, int(text[0]) * 100 + 99
    return (int(text), int(text)) if re.fullmatch("[1-5][0-9]{2}", text) else None


def write(entry: Entry) -> None:
    """Append an entry in one statement, which does not wait for the disk. Deletes too old ones from time to time.

    The caller is not in a transaction.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""INSERT INTO {_TABLE} ({_COLUMNS})
                SELECT {", ".join(["%s"] * len(fields(entry)))}
                  FROM (SELECT set_config('synchronous_commit', 'off', true)) AS commit (waits) WHERE waits = 'off'
                RETURNING id""",
            astuple(entry),
        )
        newest = cursor.fetchone()[0]
    if newest % PRUNED_EVERY == 0:
        prune_surplus(after=newest - 2 * PRUNED_EVERY)


def prune_surplus(*, after: int = 0) -> int:
    """Delete the oldest entries of accounts with more than MAX_ENTRIES; return how many.

    `after`: only accounts that have entries with ids above this one.
    """
    with locked("api requests") as ours:
        if not ours:
            return 0
        with connection.cursor() as cursor:
            cursor.execute(
                f"""DELETE FROM {_TABLE} r USING (
                        SELECT account_id, (
                                   SELECT id FROM {_TABLE} WHERE account_id = a.account_id
                                    ORDER BY id DESC OFFSET %s LIMIT 1) AS surplus
                          FROM (SELECT DISTINCT account_id FROM {_TABLE} WHERE id > %s) AS a) AS full_log
                     WHERE r.account_id = full_log.account_id AND r.id <= full_log.surplus""",
                [MAX_ENTRIES, after],
            )
            return int(cursor.rowcount)


def prune() -> None:
    """Delete entries that are too old or too many. Safe to run concurrently."""
    old = ApiRequest.objects.filter(at__lte=timezone.now() - LIFETIME).order_by("pk")
    while ids := list(old.values_list("pk", flat=True)[:PRUNE_BATCH_SIZE]):
        ApiRequest.objects.filter(pk__in=ids).delete()
    prune_surplus()
