"""Tries and calling hours of deliveries: what the engine keeps, also beside processes of the previous release."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.utils import timezone

from telephony.engine import lifecycle
from telephony.engine.lifecycle import hours
from telephony.engine.tries import NextTry, enqueue_next_tries
from telephony.models import Cause, Channel, Delivery, DeliveryStatus, Purpose
from tests.factories import make_account, make_delivery, make_trunk

pytestmark = pytest.mark.django_db

S = DeliveryStatus
# The statements of the previous release.
OLD_INSERT = """
    INSERT INTO telephony_delivery
           (item, owner_id, trunk_id, purpose, batch, priority, channel, "to", caller, text, credit_limit,
            status, cause, carrier_text, ref, attempts, stopped, credits)
    VALUES (1, %s, %s, 'campaign', 1, 10, 'sms', '+9779841000001', '', 'Namaste', 1, 0, '', '', '', 0, false, 0)
    ON CONFLICT DO NOTHING RETURNING id
"""
OLD_DUE = "SELECT count(*) FROM telephony_delivery WHERE status = 0 AND not_before <= statement_timestamp()"
OLD_RESUME = "UPDATE telephony_delivery SET not_before = statement_timestamp() WHERE status = 0 AND not_before = 'infinity'"


def run_sql(sql: str, *parameters: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return int(cursor.fetchone()[0]) if cursor.description and cursor.rowcount else cursor.rowcount


def next_try(delivery: Delivery, *, paused: bool = False) -> set[int]:
    at = timezone.now() + timedelta(minutes=5)
    return enqueue_next_tries(
        [NextTry(after=delivery.pk, not_before=at, not_after=None, caller="", paused=paused)]
    )


class TestPreviousRelease:
    def test_it_queues_a_first_try_once(self) -> None:
        owner, trunk = make_account(), make_trunk()
        first = run_sql(OLD_INSERT, owner.pk, trunk.pk)
        assert run_sql(OLD_INSERT, owner.pk, trunk.pk) == 0
        delivery = Delivery.objects.get(pk=first)
        assert (delivery.try_number, delivery.tries_reserved, delivery.retried) == (1, 0, False)
        assert [
            one.id for one in lifecycle.claim(trunk_id=trunk.pk, limit=9, call_limit=None, last_owner=0)
        ] == [first]

    def test_it_does_not_repeat_a_recipient_who_was_tried_again(self) -> None:
        owner, trunk = make_account(), make_trunk()
        first = Delivery.objects.get(pk=run_sql(OLD_INSERT, owner.pk, trunk.pk))
        Delivery.objects.update(status=S.FAILED, cause=Cause.REFUSED)
        assert next_try(first) == {first.pk}
        assert run_sql(OLD_INSERT, owner.pk, trunk.pk) == 0
        assert Delivery.objects.count() == 2

    def test_it_does_not_claim_what_this_release_has_paused(self) -> None:
        delivery = make_delivery()
        lifecycle.pause(purpose=Purpose.CAMPAIGN, batch=delivery.batch)
        assert run_sql(OLD_DUE) == 0
        run_sql(OLD_RESUME)
        assert run_sql(OLD_DUE) == 1
        lifecycle.pause(purpose=Purpose.CAMPAIGN, batch=delivery.batch)
        lifecycle.resume(purpose=Purpose.CAMPAIGN, batch=delivery.batch)
        assert run_sql(OLD_DUE) == 1


class TestNextTries:
    @pytest.mark.parametrize(
        ("status", "cause", "stopped", "again"),
        [
            (S.UNANSWERED, Cause.BUSY, False, True),
            (S.UNANSWERED, Cause.BUSY, True, False),
            (S.FAILED, Cause.REFUSED, False, True),
            (S.HUNGUP, Cause.CUT_OFF, False, True),
            (S.COMPLETED, Cause.NONE, False, False),
            (S.TERMINATED, Cause.STOPPED, False, False),
            (S.SUBMITTED, Cause.NONE, False, False),
            *(
                (S.FAILED, cause, False, False)
                for cause in (Cause.INVALID, Cause.OPTED_OUT, Cause.LOST, Cause.EXPIRED)
            ),
            *((S.FAILED, cause, False, False) for cause in (Cause.TOO_LONG, Cause.NO_PRICE)),
        ],
    )
    def test_only_ends_that_can_change_are_tried_again(
        self, status: DeliveryStatus, cause: Cause, stopped: bool, again: bool
    ) -> None:
        delivery = make_delivery(status=status, cause=cause, stopped=stopped)
        assert next_try(delivery) == ({delivery.pk} if again else set())
        assert Delivery.objects.filter(batch=delivery.batch).count() == 1 + again

    def test_a_delivery_is_tried_again_once(self) -> None:
        delivery = make_delivery(status=S.FAILED, cause=Cause.REFUSED)
        assert next_try(delivery) == {delivery.pk}
        assert next_try(delivery) == set()

    def test_each_try_leaves_fewer_to_pay_for(self) -> None:
        delivery = make_delivery(
            status=S.HUNGUP, channel=Channel.CALL, tries_reserved=1, credit_limit=Decimal(3)
        )
        next_try(delivery)
        second = Delivery.objects.latest("pk")
        assert (second.tries_reserved, second.credit_limit, second.try_number) == (0, 3, 2)

    def test_the_next_try_of_a_paused_batch_is_paused(self) -> None:
        delivery = make_delivery(status=S.FAILED, cause=Cause.REFUSED)
        next_try(delivery, paused=True)
        assert Delivery.objects.filter(status=S.QUEUED).extra(where=["not_before = 'infinity'"]).count() == 1
        lifecycle.resume(purpose=Purpose.CAMPAIGN, batch=delivery.batch)
        assert Delivery.objects.get(status=S.QUEUED).not_before > timezone.now() + timedelta(minutes=4)


class TestHours:
    def test_only_deliveries_whose_hours_are_over_move(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(hours, "MOVE_SIZE", 1)
        now = timezone.now()
        owner, over = make_account(), now - timedelta(seconds=1)
        late, other, inside, free = (
            make_delivery(owner=owner, batch=1, channel=channel, not_after=at)
            for channel, at in (
                (Channel.SMS, over),
                (Channel.CALL, over),
                (Channel.SMS, now + timedelta(hours=1)),
                (Channel.SMS, None),
            )
        )
        assert lifecycle.batches_after_hours(Purpose.CAMPAIGN) == [(1, Channel.CALL), (1, Channel.SMS)]
        opens, closes = now + timedelta(hours=2), now + timedelta(hours=3)
        assert (
            lifecycle.move_to_hours(
                purpose=Purpose.CAMPAIGN, batch=1, channel=Channel.SMS, opens=opens, closes=closes
            )
            == 1
        )
        late.refresh_from_db()
        assert (late.not_before, late.not_after) == (opens, closes)
        for one in (other, inside, free):
            before = (one.not_before, one.not_after)
            one.refresh_from_db()
            assert one.not_after == before[1]
        assert lifecycle.batches_after_hours(Purpose.CAMPAIGN) == [(1, Channel.CALL)]

    def test_a_delivery_is_claimed_only_within_its_hours(self) -> None:
        delivery = make_delivery(not_after=timezone.now() - timedelta(seconds=1))
        trunk = delivery.trunk_id
        assert lifecycle.claim(trunk_id=trunk, limit=9, call_limit=None, last_owner=0) == []
        Delivery.objects.update(not_after=timezone.now() + timedelta(minutes=1))
        assert len(lifecycle.claim(trunk_id=trunk, limit=9, call_limit=None, last_owner=0)) == 1
