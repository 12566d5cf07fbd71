"""Test that statements show every change that was made behind the ledger's back."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from accounts import credits, statements
from accounts.models import Account, CreditEntry, Statement
from accounts.statements import Line
from tests.campaigns.reports.bookings import close_until_yesterday, make_sent_campaign, move_bookings_back

FORGE = """
    INSERT INTO accounts_creditentry
           (user_id, kind, amount, balance_delta, held_delta, cause, note, created_at)
    SELECT user_id, kind, amount, balance_delta, 0, 'forged', '', created_at{}
      FROM accounts_creditentry WHERE id = %s
"""


class TestVerifying:
    @pytest.fixture
    def closed(self, sita: Account) -> Account:
        """Return an account with three closed days of which the last is yesterday."""
        for _ in range(3):
            make_sent_campaign(sita)
            credits.top_up(account=sita, amount=Decimal(7))
            move_bookings_back(1)
        close_until_yesterday()
        assert list(statements.verify(sita)) == []
        return sita

    @pytest.fixture
    def superuser(self) -> Iterator[Any]:
        """Return a cursor of somebody who may disable triggers."""
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            tables = ("accounts_creditentry", "accounts_statement", "accounts_closedday")
            for table in tables:
                cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
            yield cursor
            for table in tables:
                cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER append_only")

    @pytest.mark.parametrize(
        ("sql", "said"),
        [
            (
                "UPDATE accounts_creditentry SET note = 'x' WHERE id = %s",
                "an entry of the ledger was changed",
            ),
            (
                "UPDATE accounts_creditentry SET cause = 'x' WHERE id = %s",
                "an entry of the ledger was changed",
            ),
            (
                "UPDATE accounts_creditentry SET amount = 8, balance_delta = 8 WHERE id = %s",
                "topup 7.00 in the statement and 8.00 in the ledger",
            ),
            ("DELETE FROM accounts_creditentry WHERE id = %s", "has 4 entries, but the ledger has 3"),
            (
                "UPDATE accounts_creditentry SET created_at = now() WHERE id = %s",
                "has 4 entries, but the ledger has 3",
            ),
            (
                FORGE.format(""),
                "has 4 entries, but the ledger has 5",
            ),
            (
                FORGE.format(" - interval '1 year'"),
                "before the first closed day: the ledger has 1 entry",
            ),
        ],
    )
    def test_changed_removed_or_inserted_entry_is_reported(
        self, closed: Account, superuser: Any, sql: str, said: str
    ) -> None:
        entry = CreditEntry.objects.filter(account=closed, kind="topup", amount=7).latest("pk")
        superuser.execute(sql, [entry.pk])
        assert any(said in sentence for sentence in statements.verify(closed)), list(
            statements.verify(closed)
        )

    @pytest.mark.parametrize(
        ("sql", "said"),
        [
            ("UPDATE accounts_statement SET closing_balance = 1 WHERE id = %s", "the statement was changed"),
            ("UPDATE accounts_statement SET lines = '[]' WHERE id = %s", "the statement was changed"),
            ("DELETE FROM accounts_statement WHERE id = %s", "the statement before was changed, removed"),
        ],
    )
    def test_changed_or_removed_statement_is_reported(
        self, closed: Account, superuser: Any, sql: str, said: str
    ) -> None:
        middle = Statement.objects.filter(account=closed).order_by("day")[1]
        superuser.execute(sql, [middle.pk])
        assert any(said in sentence for sentence in statements.verify(closed))

    def test_statement_that_was_changed_with_its_hash_breaks_the_chain(
        self, closed: Account, superuser: Any
    ) -> None:
        middle = Statement.objects.filter(account=closed).order_by("day")[1]
        lines = [Line.loaded(values) for values in middle.lines]
        middle.lines = [line._replace(amount=line.amount + 1).stored() for line in lines]
        superuser.execute(
            "UPDATE accounts_statement SET hash = %s WHERE id = %s", [statements.hash_of(middle), middle.pk]
        )
        assert any("the statement before" in sentence for sentence in statements.verify(closed))

    def test_removed_last_statement_is_reported(self, closed: Account, superuser: Any) -> None:
        last = Statement.objects.filter(account=closed).latest("day")
        superuser.execute("DELETE FROM accounts_statement WHERE id = %s", [last.pk])
        assert list(statements.verify(closed)) == [
            f"{last.day}: the ledger has 4 entries, but there is no statement that contains them"
        ]

    def test_command_says_what_differs_and_exits_with_1(
        self, closed: Account, superuser: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        call_command("verify_statement")
        assert "statements exact: 1 accounts, 3 statements, difference 0" in capsys.readouterr().out
        superuser.execute("DELETE FROM accounts_creditentry WHERE amount = 7")
        with pytest.raises(SystemExit) as ended:
            call_command("verify_statement", "sita@example.com")
        assert ended.value.code == 1
        assert "statements wrong: 3 differences" in capsys.readouterr().err
