"""Search the whole database for a person, and carry out requests without workers."""

from __future__ import annotations

import re
from typing import Any

from django.db import connection
from django.utils import timezone

from accounts.models import Account, PersonRequest
from accounts.models.people import RequestKind, RequestStage
from accounts.people import requests
from campaigns import runs
from campaigns.models import Campaign
from campaigns.recipients import editing
from telephony import people
from tests.engine import run_to_the_end
from tests.factories import make_empty_campaign

NUMBER, TO, NAME = "9841000012", "+9779841000012", "Kamalavati"
OTHER, OTHER_NAME = "9841000034", "Bishnu"
_DEVANAGARI = str.maketrans("०१२३४५६७८९", "0123456789")
_SEPARATORS = re.compile(r"[\s.()\[\]\-\u2010-\u2015/]+")


def tables_with(*texts: str) -> set[str]:
    """Return the tables that have one of these texts in any column of any type, also within JSON, arrays and bytes.

    Digits are found in any script, and with separators between them.
    """
    found = set()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        for (table,) in cursor.fetchall():
            cursor.execute(
                """SELECT attname FROM pg_attribute
                    WHERE attrelid = %s::regclass AND attnum > 0 AND atttypid = 'bytea'::regtype""",
                [f'"{table}"'],
            )
            binary = [name for (name,) in cursor.fetchall()]
            cursor.execute(f'SELECT t::text{"".join(f", t.{name}" for name in binary)} FROM "{table}" t')
            for row in cursor.fetchall():
                whole = " ".join(
                    bytes(one).decode("utf-8", "replace") if isinstance(one, bytes | memoryview) else str(one)
                    for one in row
                    if one is not None
                )
                plain = whole.translate(_DEVANAGARI)
                if any(text in plain or text in _SEPARATORS.sub("", plain) for text in texts):
                    found.add(table)
                    break
    return found


def work() -> None:
    """Carry out all open requests as far as possible, whatever they wait for."""
    PersonRequest.objects.filter(finished_at=None).update(not_before=timezone.now())
    assert not requests.work(budget=60)


def erase(account: Account, number: object = NUMBER) -> PersonRequest:
    return people.ask(account=account, kind=RequestKind.ERASE, number=number)


def erased(account: Account, number: object = NUMBER) -> PersonRequest:
    one = erase(account, number)
    work()
    one.refresh_from_db()
    assert (one.stage, one.number) == (RequestStage.DONE, ""), one.waits_for
    return one


def campaign_with_person(account: Account, **fields: Any) -> Campaign:
    """Create a campaign with the person and another recipient. Their tags have names, and the person's number once more."""
    campaign = make_empty_campaign(owner=account, **fields)
    rows: list[tuple[object, dict[str, object]]] = [
        (NUMBER, {"tags_name": NAME, "tags_phone": "984-100 0012"}),
        (OTHER, {"tags_name": OTHER_NAME, "tags_phone": int(OTHER)}),
    ]
    editing.add_recipients(campaign=campaign, rows=rows)
    campaign.refresh_from_db()
    return campaign


def sent_campaign(account: Account, **fields: Any) -> Campaign:
    campaign = campaign_with_person(account, message="Namaste {tags_name}", **fields)
    runs.begin(campaign=campaign)
    run_to_the_end()
    return campaign
