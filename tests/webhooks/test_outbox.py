"""The outbox: who gets an event, what is claimed in which order, and how attempts are recorded."""

from __future__ import annotations

import re
from collections import Counter
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone

from accounts.models import Account, AuditEntry, OutgoingMail
from tests.factories import make_account, make_member
from tests.webhooks.making import bodies, make_endpoint, publish
from webhooks import attempts, endpoints, outbox, retention
from webhooks.attempts import Claimed, Result
from webhooks.events import Event
from webhooks.models import Endpoint, MessageState, OutboxMessage


def claim(*, most: int = 100) -> list[Claimed]:
    """Claim messages of all endpoints, trusted or not."""
    return [
        message
        for trusted in (False, True)
        for message in attempts.claim(trusted=trusted, most=most, per_endpoint=100, busy={})
    ]


def result(message: Claimed, code: int | None = 200, *, seconds: float = 0.1) -> Result:
    return Result(
        message=message, at=timezone.now(), seconds=seconds, code=code, error="" if code else "It is down."
    )


def fail(message: Claimed) -> None:
    attempts.record([result(message, 500)])


def make_due() -> None:
    OutboxMessage.objects.update(due_at=timezone.now() - timedelta(seconds=1))


class TestPublishing:
    def test_event_is_written_for_each_endpoint_that_subscribes_to_it(self, account: Account) -> None:
        every = make_endpoint(account)
        only = make_endpoint(account, events=[Event.SMS_RECEIVED.value])
        make_endpoint(account, events=[Event.RUN_FINISHED.value])
        make_endpoint(account, is_enabled=False)
        make_endpoint(make_account())
        publish(account, "inbound:1")
        assert set(OutboxMessage.objects.values_list("endpoint", flat=True)) == {every.pk, only.pk}
        assert OutboxMessage.objects.values("webhook_id").distinct().count() == 2

    def test_body_has_type_time_and_data(self, account: Account) -> None:
        make_endpoint(account)
        publish(account, "inbound:1")
        (body,) = bodies(account)
        assert list(body) == ["type", "timestamp", "data"]
        assert body["type"] == "sms.received"
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body["timestamp"])

    def test_event_is_lost_with_the_transaction_that_it_tells(self, account: Account) -> None:
        make_endpoint(account)
        with transaction.atomic():
            publish(account, "inbound:1")
            transaction.set_rollback(True)
        assert not OutboxMessage.objects.exists()


class TestClaiming:
    def test_claimed_message_is_not_claimed_again_before_its_lease_ends(self, account: Account) -> None:
        make_endpoint(account)
        publish(account, "inbound:1")
        (first,) = claim()
        assert claim() == []
        make_due()
        (again,) = claim()
        assert (again.id, again.body, again.webhook_id) == (first.id, first.body, first.webhook_id)

    def test_later_event_of_an_object_waits_for_the_earlier_one(self, account: Account) -> None:
        make_endpoint(account)
        publish(account, "a", "a", "b")
        first, second, other = OutboxMessage.objects.order_by("pk")
        claimed = claim()
        assert {one.id for one in claimed} == {first.pk, other.pk}
        attempts.record([result(one, 500) for one in claimed])
        make_due()
        claimed = claim()
        assert second.pk not in {one.id for one in claimed}
        attempts.record([result(one) for one in claimed])
        assert [one.id for one in claim()] == [second.pk]

    def test_later_event_is_sent_after_the_earlier_one_was_given_up(self, account: Account) -> None:
        make_endpoint(account)
        publish(account, "a", "a")
        first, second = OutboxMessage.objects.order_by("pk")
        for _ in range(attempts.MAX_ATTEMPTS):
            make_due()
            (claimed,) = claim()
            assert claimed.id == first.pk
            fail(claimed)
        assert [one.id for one in claim()] == [second.pk]

    def test_each_endpoint_gets_one_message_before_any_gets_a_second(self, account: Account) -> None:
        large, small = make_endpoint(account), make_endpoint(account, events=[Event.RUN_FINISHED.value])
        publish(account, *map(str, range(20)))
        publish(account, "run", event=Event.RUN_FINISHED)
        counts = Counter(one.endpoint_id for one in claim(most=3))
        assert counts == {large.pk: 2, small.pk: 1}

    def test_requests_in_flight_count_for_the_limit_of_an_endpoint(self, account: Account) -> None:
        busy, idle = make_endpoint(account), make_endpoint(account)
        publish(account, *map(str, range(5)))
        claimed = attempts.claim(trusted=False, most=100, per_endpoint=3, busy={busy.pk: 2})
        assert Counter(one.endpoint_id for one in claimed) == {busy.pk: 1, idle.pk: 3}

    def test_messages_of_disabled_and_deleted_endpoints_are_not_claimed(self, account: Account) -> None:
        disabled, deleted = make_endpoint(account), make_endpoint(account)
        publish(account, "a")
        endpoints.change(account=account, endpoint_id=disabled.pk, is_enabled=False)
        endpoints.delete(account=account, endpoint_id=deleted.pk)
        assert claim() == []
        assert not outbox.has_due()

    def test_old_secret_signs_until_its_time_is_over(self, account: Account) -> None:
        endpoint = make_endpoint(account)
        old = endpoint.secret
        rotated = endpoints.rotate(account=account, endpoint_id=endpoint.pk)
        publish(account, "a", "b")
        (first,) = claim(most=1)
        assert first.secrets == (rotated.secret, old)
        Endpoint.objects.update(old_secret_until=timezone.now() - timedelta(seconds=1))
        (second,) = claim(most=1)
        assert second.secrets == (rotated.secret,)


class TestRecording:
    def test_failed_attempts_wait_as_documented_and_the_last_one_gives_up(self, account: Account) -> None:
        make_endpoint(account)
        publish(account, "a")
        waits = []
        for _ in range(attempts.MAX_ATTEMPTS - 1):
            make_due()
            (claimed,) = claim()
            before = timezone.now()
            fail(claimed)
            waits.append((OutboxMessage.objects.get().due_at - before).total_seconds())
        for expected, wait in zip(attempts.WAITS, waits, strict=True):
            assert expected - 1 <= wait <= expected * (1 + attempts.JITTER) + 5
        hours = [wait / 3600 for wait in attempts.WAITS[3:]]
        assert (attempts.WAITS[:3], hours) == ((5, 300, 1800), [2, 5, 10, 14, 20, 24])
        make_due()
        fail(claim()[0])
        row = OutboxMessage.objects.get()
        assert (row.state, len(row.attempts), row.finished_at is None) == (MessageState.GIVEN_UP, 10, False)
        assert {one["code"] for one in row.attempts} == {500}

    def test_result_after_the_end_of_the_lease_changes_nothing(self, account: Account) -> None:
        make_endpoint(account)
        publish(account, "a")
        (late,) = claim()
        make_due()
        (current,) = claim()
        assert attempts.record([result(late, 500)]) == 0
        assert attempts.record([result(current)]) == 1
        row = OutboxMessage.objects.get()
        assert (row.state, len(row.attempts)) == (MessageState.DELIVERED, 1)

    def test_endpoint_is_trusted_after_a_quick_success_and_until_a_slow_or_failed_one(
        self, account: Account
    ) -> None:
        endpoint = make_endpoint(account)
        publish(account, *"abc")
        first, second, third = claim()
        for one, trusted, failing in (
            (result(first), True, False),
            (result(second, seconds=attempts.QUICK_SECONDS + 1), False, False),
            (result(third, None), False, True),
        ):
            attempts.record([one])
            endpoint.refresh_from_db()
            assert (endpoint.is_trusted, endpoint.failing_since is not None) == (trusted, failing)
        assert endpoint.last_error == "It is down."

    def test_410_disables_the_endpoint_and_tells_the_people_who_manage_the_account(
        self, account: Account, settings: object
    ) -> None:
        make_member(account, "viewer")
        manager = make_member(account, "manager")
        endpoint = make_endpoint(account, name="Shop")
        publish(account, "a", "b")
        settings.MAIL_TO_LOG = True  # type: ignore[attr-defined]
        claimed = claim()
        attempts.record([result(one, 410) for one in claimed])
        endpoint.refresh_from_db()
        assert not endpoint.is_enabled
        assert "410" in endpoint.disabled_reason
        assert set(OutgoingMail.objects.values_list("to", flat=True)) == {"sita@example.com", manager.email}
        entry = AuditEntry.objects.get(action="webhook_disabled")
        assert (entry.account_id, entry.object_name) == (account.pk, "Shop")
        publish(account, "c")
        assert OutboxMessage.objects.count() == 2


class TestKeeping:
    def test_old_events_are_deleted_even_if_they_were_never_delivered(self, account: Account) -> None:
        make_endpoint(account)
        publish(account, "a", "b")
        first = OutboxMessage.objects.earliest("pk")
        OutboxMessage.objects.filter(pk=first.pk).update(created_at=timezone.now() - timedelta(days=8))
        assert retention.prune() == 1
        assert OutboxMessage.objects.count() == 1

    def test_deleted_endpoint_goes_with_its_events(self, account: Account) -> None:
        endpoint = make_endpoint(account)
        publish(account, "a", "b")
        endpoints.delete(account=account, endpoint_id=endpoint.pk)
        assert retention.prune() == 2
        assert Endpoint.objects.count() == 1
        Endpoint.objects.update(deleted_at=timezone.now() - timedelta(days=2))
        retention.prune()
        assert Endpoint.objects.count() == 0


@pytest.mark.parametrize("field", ["secret", "old_secret"])
def test_deleted_endpoint_keeps_no_secret(account: Account, field: str) -> None:
    endpoint = make_endpoint(account)
    endpoints.rotate(account=account, endpoint_id=endpoint.pk)
    endpoints.delete(account=account, endpoint_id=endpoint.pk)
    assert getattr(Endpoint.objects.get(), field) == ""
