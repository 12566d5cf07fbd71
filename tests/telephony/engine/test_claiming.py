"""Claims: their cost, their order, and deliveries that are paused or delayed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from telephony.engine import lifecycle
from telephony.engine.lifecycle.results import KEEP_PLACE_ATTEMPTS
from telephony.models import Channel, Delivery, DeliveryStatus, Trunk
from tests.factories import make_account, make_delivery, make_trunk

pytestmark = pytest.mark.django_db


def queue_many(count: int, **fields: Any) -> None:
    one = make_delivery(**fields)
    Delivery.objects.bulk_create(
        Delivery(
            **{name: value for name, value in vars(one).items() if name[0] != "_"}
            | {"id": None, "item": item}
        )
        for item in range(count - 1)
    )


def claim(trunk: Trunk, limit: int = 10) -> list[int]:
    claimed = lifecycle.claim(trunk_id=trunk.pk, limit=limit, call_limit=None, last_owner=0)
    return [delivery.id for delivery in claimed]


def rows_read() -> int:
    """Return how many delivery rows the statements of this transaction have read so far."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)
                 FROM pg_stat_xact_user_tables WHERE relname = 'telephony_delivery'"""
        )
        return int(cursor.fetchone()[0])


def test_claim_does_not_read_paused_or_delayed_deliveries() -> None:
    trunk, owner = make_trunk(), make_account()
    later = timezone.now() + timedelta(hours=1)
    queue_many(3000, trunk=trunk, owner=owner, not_before=later)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE telephony_delivery SET not_before = 'infinity' WHERE item < 1000")
        cursor.execute("ANALYZE telephony_delivery")
    due = [make_delivery(trunk=trunk, owner=owner).pk for _ in range(3)]
    before = rows_read()
    assert claim(trunk) == due
    assert rows_read() - before < 100


def test_accounts_without_due_deliveries_do_not_reduce_a_claim() -> None:
    trunk = make_trunk()
    for _ in range(9):
        make_delivery(trunk=trunk, not_before=timezone.now() + timedelta(hours=1))
    queue_many(20, trunk=trunk)
    assert len(claim(trunk, limit=10)) == 10


def test_requeued_delivery_without_a_delay_keeps_its_place() -> None:
    trunk, owner = make_trunk(), make_account()
    first, second, third = (make_delivery(trunk=trunk, owner=owner).pk for _ in range(3))
    assert claim(trunk, limit=2) == [first, second]
    lifecycle.requeue(ids=[first, second], seconds=[0, 60], texts=["", ""])
    assert claim(trunk) == [first, third]


def test_repeatedly_requeued_delivery_goes_behind_others() -> None:
    trunk, owner = make_trunk(), make_account()
    first, second, third = (make_delivery(trunk=trunk, owner=owner).pk for _ in range(3))
    for _ in range(KEEP_PLACE_ATTEMPTS):
        assert claim(trunk, limit=1) == [first]
        lifecycle.requeue(ids=[first], seconds=[0], texts=[""])
    assert claim(trunk, limit=1) == [second]
    assert claim(trunk) == [third, first]


def test_delivery_requeued_while_its_campaign_is_paused_stays_paused() -> None:
    trunk = make_trunk()
    delivery = make_delivery(trunk=trunk, status=DeliveryStatus.SUBMITTING, attempts=KEEP_PLACE_ATTEMPTS)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE telephony_delivery SET not_before = 'infinity'")
    lifecycle.requeue(ids=[delivery.pk], seconds=[0], texts=[""])
    assert claim(trunk) == []


def test_rerouted_delivery_is_claimed_only_from_its_new_trunk() -> None:
    """If the old trunk's dispatcher could claim it, its reports would not match the delivery of the new trunk."""
    old, new = make_trunk("old"), make_trunk("new")
    delivery = make_delivery(trunk=old)
    moved = lifecycle.reroute(trunk_id=old.pk, channel=Channel.SMS, trunk_by_prefix={"": new.pk})
    assert (moved, claim(old), claim(new)) == (1, [], [delivery.pk])


def test_only_queued_deliveries_are_rerouted() -> None:
    old, new = make_trunk("old"), make_trunk("new")
    for status in DeliveryStatus:
        make_delivery(trunk=old, status=status)
    lifecycle.reroute(trunk_id=old.pk, channel=Channel.SMS, trunk_by_prefix={"": new.pk})
    moved = Delivery.objects.filter(trunk=new).values_list("status", flat=True)
    assert list(moved) == [DeliveryStatus.QUEUED]
