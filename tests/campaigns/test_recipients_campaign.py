"""Triggers ensure that a recipient's campaign exists, with one check per statement."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction

from campaigns.models import Campaign
from campaigns.recipients import imports
from tests.factories import make_account, make_campaign, make_empty_campaign
from tests.live import wait_for

ADD = """INSERT INTO campaigns_recipient (campaign_id, number, "to") VALUES (%s, '9841000001', '')"""
MISSING = 999


def an_empty_one() -> Campaign:
    return make_empty_campaign(owner=make_account())


@pytest.mark.django_db
class TestInOneTransaction:
    def test_no_recipient_is_added_to_a_campaign_that_does_not_exist(self) -> None:
        campaign = make_campaign()
        with pytest.raises(IntegrityError, match=f"no campaign {MISSING}"), connection.cursor() as cursor:
            cursor.execute(f"{ADD}, (%s, '9841000002', '')", [campaign.pk, MISSING])

    def test_copy_adds_no_recipient_to_a_campaign_that_does_not_exist(self) -> None:
        nowhere = Campaign(pk=MISSING)
        with pytest.raises(IntegrityError, match=f"no campaign {MISSING}"):
            imports.copy_rows(nowhere, [("9841000001", "+9779841000001", {})])

    def test_a_campaign_with_recipients_is_not_deleted_by_sql(self) -> None:
        campaign = make_campaign()
        with pytest.raises(IntegrityError, match="has recipients"), connection.cursor() as cursor:
            cursor.execute("DELETE FROM campaigns_campaign WHERE id = %s", [campaign.pk])

    def test_a_campaign_can_be_deleted_with_its_recipients(self) -> None:
        campaign = make_campaign()
        campaign.delete()
        assert not Campaign.objects.exists()

    def test_campaigns_with_recipients_cannot_be_truncated(self) -> None:
        make_campaign()
        with connection.cursor() as cursor:
            cursor.execute(
                "SET CONSTRAINTS ALL IMMEDIATE"
            )  # TRUNCATE is refused while trigger events are pending
            with pytest.raises(IntegrityError, match="campaigns with recipients"):
                cursor.execute("TRUNCATE campaigns_campaign CASCADE")

    def test_a_recipient_cannot_move_to_another_campaign(self) -> None:
        recipient = make_campaign().recipients.all()[0]
        recipient.campaign = an_empty_one()
        with pytest.raises(IntegrityError, match="stays with its campaign"):
            recipient.save()

    def test_all_fields_of_a_recipient_can_be_saved(self) -> None:
        recipient = make_campaign().recipients.all()[0]
        recipient.number = "9841000009"
        recipient.save()
        recipient.refresh_from_db()
        assert recipient.number == "9841000009"

    def test_the_id_of_a_campaign_cannot_change(self) -> None:
        campaign = make_campaign()
        with pytest.raises(IntegrityError, match="stays with its campaign"):
            Campaign.objects.filter(pk=campaign.pk).update(id=MISSING)


@pytest.mark.django_db(transaction=True)
class TestTwoAtOnce:
    @pytest.fixture
    def other(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None}) as other:
            yield other

    def test_deleting_a_campaign_waits_for_a_concurrent_insert(self, other: psycopg.Connection) -> None:
        campaign = an_empty_one()
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(ADD, [campaign.pk])
            deletes = InBackground(other, "DELETE FROM campaigns_campaign WHERE id = %s", campaign.pk)
            wait_for(deletes.is_waiting, seconds=20)
        assert isinstance(deletes.fault(), psycopg.errors.ForeignKeyViolation)
        assert campaign.recipients.count() == 1

    def test_adding_a_recipient_waits_for_a_concurrent_deletion(self, other: psycopg.Connection) -> None:
        key = an_empty_one().pk
        with transaction.atomic():
            Campaign.objects.filter(pk=key).delete()
            adds = InBackground(other, ADD, key)
            wait_for(adds.is_waiting, seconds=20)
        assert isinstance(adds.fault(), psycopg.errors.ForeignKeyViolation)


class InBackground:
    """Runs a statement in its own connection and thread."""

    def __init__(self, other: psycopg.Connection, statement: str, key: int) -> None:
        self._pid = other.info.backend_pid
        self._fault: psycopg.Error | None = None
        self._thread = threading.Thread(target=self._run, args=[other, statement, key])
        self._thread.start()

    def _run(self, other: psycopg.Connection, statement: str, key: int) -> None:
        try:
            other.execute(statement, [key])
            other.commit()
        except psycopg.Error as e:
            self._fault = e

    def is_waiting(self) -> bool:
        with connection.cursor() as cursor:
            cursor.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [self._pid])
            return bool(cursor.fetchone()[0])

    def fault(self) -> psycopg.Error | None:
        self._thread.join(timeout=60)
        assert not self._thread.is_alive()
        return self._fault
