"""A trunk rests after failures, is paused if it keeps failing, and resumes when it accepts a canary."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import AuditEntry, OutgoingMail
from telephony import tasks
from telephony.carriers import get_carrier
from telephony.carriers.errors import Misconfigured, OutOfFunds, Throttled, Unreachable
from telephony.engine import canaries, circuit_breaker, dispatch, routing, silence
from telephony.models import Channel, Delivery, DeliveryStatus, PauseCause, Purpose, Trunk
from tests.factories import make_account, make_delivery, make_trunk, make_user
from tests.telephony.engine.scripted_carrier import ScriptedCarrier, accept, raising

pytestmark = pytest.mark.django_db

SCRIPTED = {
    "BACKEND": "tests.telephony.engine.scripted_carrier.ScriptedCarrier",
    "CPS": None,
    "CHANNELS": None,
}
SANDBOX = {"BACKEND": "telephony.carriers.sandbox.SandboxCarrier", "CPS": None, "CHANNELS": None}


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circuit_breaker, "_working", set())
    monkeypatch.setattr(circuit_breaker, "_unanswered", {})
    monkeypatch.setattr(silence, "_watched_at", float("-inf"))
    monkeypatch.setattr(silence, "_noted_at", {})


@pytest.fixture
def first(settings: Any) -> type[ScriptedCarrier]:
    """A route of two trunks. The test chooses the results of the first; the second is the sandbox."""
    settings.CARRIERS = {"first": SCRIPTED, "second": SANDBOX}
    settings.ROUTES = {"call": ["second"], "sms": ["first", "second"]}
    for alias in settings.CARRIERS:
        make_trunk(alias)
    kind = type(get_carrier("first"))
    assert issubclass(kind, ScriptedCarrier)
    kind.answer, kind.seen = staticmethod(accept), []
    return kind


def trunk(alias: str = "first") -> Trunk:
    return Trunk.objects.get(alias=alias)


def fail_with(carrier: type[ScriptedCarrier], error: Exception) -> None:
    carrier.answer = staticmethod(raising(error))
    dispatch.run("first", budget=0.2)


def pass_time(seconds: float, alias: str = "first") -> None:
    """Let everything in the trunk's row have happened this many seconds earlier, and all deliveries be due."""
    row = trunk(alias)
    fields = (
        "paused_at", "paused_until", "probe_at", "rested_at", "failing_since", "told_at", "reported_at",
    )  # fmt: skip
    for field in fields:
        if (value := getattr(row, field)) is not None:
            setattr(row, field, value - timedelta(seconds=seconds))
    row.save(update_fields=fields)
    Delivery.objects.filter(status=DeliveryStatus.QUEUED).update(not_before=timezone.now())


def aliases() -> set[str]:
    return set(Delivery.objects.values_list("trunk__alias", flat=True))


class TestRests:
    def test_five_rests_in_a_row_without_an_accepted_sms_pause_the_trunk(
        self, first: type[ScriptedCarrier]
    ) -> None:
        make_delivery(trunk=trunk())
        for place in range(5):
            assert not trunk().is_paused, f"after {place} rests"
            fail_with(first, Unreachable("no connection"))
            pass_time(10)
        assert (trunk().pause_cause, trunk().pause_reason) == (PauseCause.ERRORS, "no connection")

    def test_trunk_that_accepts_in_between_is_not_paused(self, first: type[ScriptedCarrier]) -> None:
        owner = make_account()
        for _ in range(8):
            make_delivery(trunk=trunk(), owner=owner)
            first.answer = staticmethod(accept)
            dispatch.run("first", budget=5)
            make_delivery(trunk=trunk(), owner=owner)
            fail_with(first, Throttled("too fast"))
            pass_time(10)
        assert not trunk().is_paused

    def test_short_burst_of_failures_does_not_pause_the_trunk(self, first: type[ScriptedCarrier]) -> None:
        make_delivery(trunk=trunk())
        for _ in range(8):
            fail_with(first, Throttled("too fast", retry_after=0.05))
            pass_time(1)
            Trunk.objects.filter(alias="first").update(failing_since=timezone.now() - timedelta(seconds=5))
        assert not trunk().is_paused

    def test_failures_of_yesterday_do_not_count(self, first: type[ScriptedCarrier]) -> None:
        make_delivery(trunk=trunk())
        for _ in range(8):
            fail_with(first, Unreachable("no connection"))
            pass_time(2 * 3600)
        assert trunk().rests == 1
        assert not trunk().is_paused

    def test_failures_during_a_rest_do_not_count(self, first: type[ScriptedCarrier]) -> None:
        for _ in range(9):
            circuit_breaker.rest("first", reason="no connection", seconds=60)
        assert trunk().rests == 1


class TestPauses:
    def test_trunk_that_does_not_respond_ten_times_in_a_row_is_paused(
        self, first: type[ScriptedCarrier]
    ) -> None:
        owner = make_account()
        for answer, count in ((raising(TimeoutError()), 9), (accept, 3), (raising(TimeoutError()), 9)):
            for _ in range(count):
                make_delivery(trunk=trunk(), owner=owner)
            first.answer = staticmethod(answer)
            dispatch.run("first", budget=5)
            assert not trunk().is_paused
        make_delivery(trunk=trunk(), owner=owner)
        dispatch.run("first", budget=5)
        assert trunk().pause_cause == PauseCause.ERRORS
        assert trunk().pause_reason.startswith("It is unknown whether it has accepted the last 10")
        tasks.tick()
        assert Delivery.objects.filter(status=DeliveryStatus.UNKNOWN, trunk=trunk()).count() == 19

    @pytest.mark.parametrize(
        ("error", "cause"),
        [(Misconfigured("wrong password"), "misconfigured"), (OutOfFunds("no credit"), "funds")],
    )
    def test_certain_failure_pauses_at_once_and_the_queue_moves_on(
        self, first: type[ScriptedCarrier], error: Exception, cause: str
    ) -> None:
        for _ in range(5):
            make_delivery(trunk=trunk())
        fail_with(first, error)
        assert (trunk().pause_cause, trunk().pause_reason) == (cause, str(error))
        assert trunk().probe_at is not None
        tasks.tick()
        assert aliases() == {"second"}
        assert Delivery.objects.filter(status=DeliveryStatus.QUEUED).count() == 5

    def test_new_deliveries_use_the_next_trunk_of_the_route(self, first: type[ScriptedCarrier]) -> None:
        circuit_breaker.fail("first", reason="no credit", cause=PauseCause.FUNDS)
        router = routing.Router(Channel.SMS)
        assert router.alias_of[router.pick("+9779841000001")] == "second"

    def test_what_was_submitted_never_moves(self, first: type[ScriptedCarrier]) -> None:
        kept = [
            make_delivery(trunk=trunk(), status=status, claimed_at=timezone.now())
            for status in (DeliveryStatus.SUBMITTING, DeliveryStatus.UNKNOWN, DeliveryStatus.SUBMITTED)
        ]
        circuit_breaker.fail("first", reason="no credit", cause=PauseCause.FUNDS)
        tasks.tick()
        assert Delivery.objects.filter(trunk=trunk(), pk__in=[one.pk for one in kept]).count() == 3

    def test_operators_get_one_mail_and_the_log_an_entry(
        self, first: type[ScriptedCarrier], settings: Any
    ) -> None:
        settings.MAIL_TO_LOG = True
        make_user(email="operator@example.com", is_staff=True)
        make_user(email="client@example.com")
        for _ in range(3):
            circuit_breaker.fail("first", reason="no credit", cause=PauseCause.FUNDS)
            circuit_breaker.resume("first")
        mails = list(OutgoingMail.objects.order_by("pk").values_list("to", "subject"))
        assert mails == [
            ("operator@example.com", "The trunk first is paused: no credit at the carrier"),
            ("operator@example.com", "The trunk first works again"),
        ]
        actions = list(
            AuditEntry.objects.filter(kind="trunk").order_by("pk").values_list("action", flat=True)
        )
        assert actions == ["trunk_paused", "trunk_resumed"] * 3

    def test_operators_are_told_again_later(self, first: type[ScriptedCarrier], settings: Any) -> None:
        settings.MAIL_TO_LOG = True
        make_user(email="operator@example.com", is_staff=True)
        circuit_breaker.fail("first", reason="no credit", cause=PauseCause.FUNDS)
        circuit_breaker.resume("first")
        pass_time(16 * 60)
        circuit_breaker.fail("first", reason="no credit", cause=PauseCause.FUNDS)
        assert OutgoingMail.objects.filter(subject__contains="is paused").count() == 2

    def test_trunk_that_an_operator_paused_is_never_tried(self, first: type[ScriptedCarrier]) -> None:
        make_delivery(trunk=trunk())
        circuit_breaker.pause("first", reason="maintenance")
        pass_time(10**6)
        tasks.tick()
        dispatch.run("first", budget=1)
        assert first.seen == []
        assert aliases() == {"second"}
        circuit_breaker.fail("first", reason="no credit", cause=PauseCause.FUNDS)
        assert (trunk().pause_cause, trunk().probe_at) == (PauseCause.OPERATOR, None)


class TestCanaries:
    @pytest.fixture(autouse=True)
    def _paused(self, first: type[ScriptedCarrier]) -> None:
        circuit_breaker.fail("first", reason="no credit", cause=PauseCause.FUNDS)

    def test_canary_is_not_sent_before_its_time(self, first: type[ScriptedCarrier]) -> None:
        make_delivery(trunk=trunk("second"))
        tasks.tick()
        dispatch.run("first", budget=1)
        assert first.seen == []

    def test_accepted_canary_of_the_other_trunk_resumes_the_trunk(self, first: type[ScriptedCarrier]) -> None:
        owner = make_account()
        for _ in range(20):
            make_delivery(trunk=trunk("second"), owner=owner)
        pass_time(301)
        canaries.tend()
        assert Delivery.objects.filter(trunk=trunk()).count() == 1
        assert routing.move_from_closed_trunks() == 0, "the canary stays"
        dispatch.run("first", budget=5)
        assert [len(batch) for batch in first.seen] == [1]
        assert trunk().is_paused
        canaries.tend()
        assert (trunk().pause_reason, trunk().canary, trunk().probes) == ("", None, 0)

    def test_refused_canary_is_sent_by_the_other_trunk_and_the_next_one_comes_later(
        self, first: type[ScriptedCarrier]
    ) -> None:
        delivery = make_delivery(trunk=trunk("second"))
        pass_time(301)
        tasks.tick()
        fail_with(first, OutOfFunds("still no credit"))
        assert trunk().pause_reason == "still no credit"
        tasks.tick()
        delivery.refresh_from_db()
        assert (delivery.status, delivery.trunk.alias) == (DeliveryStatus.QUEUED, "second")
        pass_time(301)
        tasks.tick()
        dispatch.run("first", budget=1)
        assert len(first.seen) == 1, "the time between two canaries doubles"
        pass_time(301)
        tasks.tick()
        dispatch.run("first", budget=1)
        assert len(first.seen) == 2

    def test_canary_is_refused_for_itself_and_says_nothing_about_the_trunk(
        self, first: type[ScriptedCarrier]
    ) -> None:
        make_delivery(trunk=trunk("second"), to="")  # refused without asking the carrier
        pass_time(301)
        tasks.tick()
        dispatch.run("first", budget=1)
        tasks.tick()
        assert trunk().is_paused
        assert trunk().canary is None

    def test_only_one_delivery_is_tried_if_the_route_has_no_other_trunk(
        self, first: type[ScriptedCarrier], settings: Any
    ) -> None:
        settings.ROUTES = {"call": [], "sms": ["first"]}
        owner = make_account()
        for _ in range(9):
            make_delivery(trunk=trunk(), owner=owner)
        pass_time(301)
        tasks.tick()
        dispatch.run("first", budget=1)
        dispatch.run("first", budget=1)
        assert [len(batch) for batch in first.seen] == [1]
        tasks.tick()
        dispatch.run("first", budget=5)
        assert Delivery.objects.filter(status=DeliveryStatus.SUBMITTED).count() == 9

    def test_canary_of_a_route_without_the_trunk_is_never_borrowed(
        self, first: type[ScriptedCarrier], settings: Any
    ) -> None:
        settings.ROUTES = {
            "call": ["second"],
            "sms": ["first", "second", {"prefix": "+91", "trunks": ["second"]}],
        }
        make_delivery(trunk=trunk("second"), to="+919812345678")
        make_delivery(trunk=trunk("second"), channel=Channel.CALL)
        pinned = make_delivery(trunk=trunk("second"), pinned_since=timezone.now())
        pass_time(301)
        canaries.tend()
        assert aliases() == {"second"}
        assert trunk().canary is None
        pinned.refresh_from_db()
        assert pinned.trunk.alias == "second"

    def test_otp_is_borrowed_only_if_nothing_else_is_queued(self, first: type[ScriptedCarrier]) -> None:
        otp = make_delivery(trunk=trunk("second"), purpose=Purpose.OTP, priority=0)
        sms = make_delivery(trunk=trunk("second"))
        pass_time(301)
        canaries.tend()
        assert trunk().canary == sms.pk
        otp.refresh_from_db()
        assert otp.trunk.alias == "second"

    def test_new_delivery_is_the_canary_if_no_queue_has_one(self, first: type[ScriptedCarrier]) -> None:
        pass_time(301 + 130)
        router = routing.Router(Channel.SMS)
        assert router.pick_canary(0, "+9779841000001", None) == trunk().pk
        assert router.pick_canary(0, "+9779841000001", None) is None

    def test_canary_that_nobody_claims_moves_back(self, first: type[ScriptedCarrier]) -> None:
        delivery = make_delivery(trunk=trunk("second"))
        pass_time(301)
        tasks.tick()
        pass_time(90)
        tasks.tick()
        tasks.tick()
        delivery.refresh_from_db()
        assert delivery.trunk.alias == "second"
        assert trunk().is_paused

    def test_operator_resumes_the_trunk_at_once(self, first: type[ScriptedCarrier]) -> None:
        make_delivery(trunk=trunk())
        assert circuit_breaker.resume("first")
        assert not circuit_breaker.resume("first")
        dispatch.run("first", budget=1)
        assert len(first.seen) == 1
