"""Deliveries of test twins reach only the sandbox, whatever routes, errors and old processes do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from django.db import connection

from accounts import twins
from accounts.ledger import check_ledger
from accounts.models import Account
from campaigns import runs
from campaigns.models import Campaign, Run, Service
from campaigns.runs import restore
from iris import checks
from iris.errors import Unavailable
from otp.services import send_otp
from telephony import tasks
from telephony.carriers.base import Accepted, Carrier, Result, Submission
from telephony.engine import lifecycle, routing, trunk_queues
from telephony.engine.enqueue import DeliveryRequest, enqueue
from telephony.models import Channel, Delivery, DeliveryStatus, Purpose, SandboxMessage, Trunk
from tests.engine import run_to_the_end
from tests.factories import make_account, make_campaign, make_delivery, make_trunk, opt_out

pytestmark = pytest.mark.django_db

TWINS = "test_twins"


class Phones(Carrier):
    """A carrier with real phones behind it. It notes the numbers that it has called or texted."""

    channels: ClassVar = frozenset(Channel)
    reached: ClassVar[list[str]] = []

    def submit(self, batch: Sequence[Submission]) -> list[Result]:
        self.reached.extend(f"{one.channel} {one.to}" for one in batch)
        return [Accepted(key=one.key, ref=f"phones-{one.key}", completes=True) for one in batch]


@pytest.fixture(autouse=True)
def phones(settings: Any) -> Iterator[list[str]]:
    """Route everything to real phones, and to a second carrier of the same kind."""
    real = {"BACKEND": f"{__name__}.Phones", "OPTIONS": {}, "CPS": None, "CHANNELS": None}
    settings.CARRIERS = {"phones": real, "others": real, TWINS: settings.CARRIERS[TWINS]}
    settings.ROUTES = {
        channel: ["phones", {"prefix": "+977985", "trunks": ["others"]}] for channel in ("call", "sms")
    }
    settings.IRIS_SANDBOX_SPEED = 10_000
    Phones.reached.clear()
    yield Phones.reached
    Phones.reached.clear()


@pytest.fixture
def live() -> Account:
    return make_account(credits=1000)


@pytest.fixture
def twin(live: Account) -> Account:
    return twins.open_twin(account=live)


def trunks() -> set[str]:
    return set(Delivery.objects.values_list("trunk__alias", flat=True))


def sms_to(owner: Account, *, number: str = "+9779841000001", item: int = 1) -> list[int]:
    request = DeliveryRequest(
        owner_id=owner.pk,
        channel=Channel.SMS,
        to=number,
        purpose=Purpose.CAMPAIGN,
        batch=1,
        item=item,
        priority=10,
        text="Namaste",
    )
    return enqueue(requests=[request])


def send_everything(owner: Account) -> list[Run]:
    """Begin a campaign of each kind, with an SMS after a missed call, a trial call and OTPs of both channels."""
    numbers = [9841000001, 9851000002]
    texts, calls, both = (
        make_campaign(owner=owner, service=service, numbers=numbers, message="Namaste", sms_message="Namaste")
        for service in (Service.SMS, Service.CALL, Service.BOTH)
    )
    missed = make_campaign(
        owner=owner,
        service=Service.CALL,
        numbers=[9841009902],
        failover_statuses=[DeliveryStatus.UNANSWERED],
    )
    begun = [runs.begin(campaign=one) for one in (texts, calls, both)]
    begun.append(runs.begin(campaign=missed, message="Namaste", sms_message="We called you."))
    trial = make_campaign(owner=owner, service=Service.CALL, numbers=[9841000003], message="Namaste")
    first = trial.recipients.get().pk
    begun.append(runs.begin(campaign=trial, individual=[first], trial=True))
    for channel in Channel:
        send_otp(account=owner, number="9841000004", message="Your code is {otp}", channel=channel)
    return begun


def test_every_kind_of_delivery_of_a_twin_uses_the_trunk_of_twins(twin: Account, phones: list[str]) -> None:
    send_everything(twin)
    run_to_the_end()
    assert trunks() == {TWINS}
    assert phones == []
    assert SandboxMessage.objects.filter(channel="sms", text="We called you.").count() == 1
    assert set(SandboxMessage.objects.values_list("owner_id", flat=True)) == {twin.pk}
    assert SandboxMessage.objects.count() == Delivery.objects.count() == 2 + 2 + 4 + 2 + 1 + 2
    assert check_ledger().differences == ()


def test_the_same_deliveries_of_the_account_reach_phones(
    live: Account, twin: Account, phones: list[str]
) -> None:
    sms_to(twin)
    numbers = [9841000001, 9851000002]
    runs.begin(campaign=make_campaign(owner=live, numbers=numbers, message="Namaste", sms_message="Namaste"))
    send_otp(account=live, number="9841000004", message="Your code is {otp}", channel=Channel.SMS)
    run_to_the_end()
    assert sorted(phones) == ["sms +9779841000001", "sms +9779841000004", "sms +9779851000002"]
    assert SandboxMessage.objects.get().owner_id == twin.pk
    assert trunks() == {"phones", "others", TWINS}


def test_a_set_of_requests_of_both_is_routed_one_by_one(live: Account, twin: Account) -> None:
    requests = [(live.pk, Channel.SMS, "+9779841000001"), (twin.pk, Channel.SMS, "+9779851000001")]
    requests += [(live.pk, Channel.CALL, "+9779851000001"), (twin.pk, Channel.CALL, "")]
    assert [alias for _, alias in routing.choose_trunks(requests)] == ["phones", TWINS, "others", TWINS]


def test_a_twin_needs_no_route(twin: Account, live: Account, settings: Any) -> None:
    settings.ROUTES = {"call": [], "sms": []}
    run = runs.begin(campaign=make_campaign(owner=twin, message="Namaste", sms_message="Namaste"))
    run_to_the_end()
    run.refresh_from_db()
    assert run.status == "completed"
    with pytest.raises(Unavailable):
        runs.begin(campaign=make_campaign(owner=live, message="Namaste", sms_message="Namaste"))


@pytest.mark.parametrize("pause", [None, "paused"])
def test_deliveries_of_a_twin_never_move_to_another_trunk(
    twin: Account, phones: list[str], settings: Any, pause: str | None
) -> None:
    (delivery,) = sms_to(twin)
    if pause:
        Trunk.objects.filter(alias=TWINS).update(pause_reason=pause)
    else:  # as in a process whose settings lack the trunk
        settings.CARRIERS = {alias: it for alias, it in settings.CARRIERS.items() if alias != TWINS}
    assert routing.move_from_closed_trunks() == 0
    tasks._tick()
    assert trunks() == {TWINS}
    Delivery.objects.filter(pk=delivery).update(pinned_since="2026-01-01T00:00Z")
    assert routing.move_from_closed_trunks() == 0
    assert Delivery.objects.get().status == DeliveryStatus.QUEUED
    assert phones == []


def test_deliveries_of_closed_trunks_never_move_to_the_trunk_of_twins(live: Account, settings: Any) -> None:
    make_trunk(TWINS)
    make_delivery(owner=live, trunk=make_trunk("phones"))
    Trunk.objects.filter(alias="phones").update(pause_reason="No funds")
    settings.ROUTES = {"call": ["phones"], "sms": ["phones"]}
    assert routing.move_from_closed_trunks() == 0
    assert trunks() == {"phones"}


class TestDatabase:
    """The database alone keeps twins from phones, also if a process of the previous release chooses the trunk."""

    def test_a_wrong_choice_is_corrected_when_deliveries_are_inserted(
        self, live: Account, twin: Account, phones: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = make_trunk("phones")
        monkeypatch.setattr(
            routing, "choose_trunks", lambda requests, **_: [(real.pk, "phones") for _ in requests]
        )
        sms_to(live, item=1)
        ids = sms_to(twin, item=2)
        assert Delivery.objects.get(pk=ids[0]).trunk.alias == TWINS
        assert Delivery.objects.get(owner=live).trunk.alias == "phones"
        run_to_the_end()
        assert phones == ["sms +9779841000001"]
        assert SandboxMessage.objects.count() == 1

    def test_a_mixed_set_is_corrected_row_by_row(self, live: Account, twin: Account) -> None:
        real = make_trunk("phones")
        other = twins.open_twin(account=make_account())
        owners = [live, twin, other, live, twin]
        Delivery.objects.bulk_create(
            Delivery(owner=owner, trunk=real, purpose="campaign", batch=1, item=item, priority=1, channel="sms",
                     to="+9779841000001", credit_limit=Decimal(0))
            for item, owner in enumerate(owners)
        )  # fmt: skip
        placed = Delivery.objects.order_by("item").values_list("trunk__alias", flat=True)
        assert list(placed) == ["phones", TWINS, TWINS, "phones", TWINS]

    def test_a_delivery_of_a_twin_cannot_be_moved(self, live: Account, twin: Account) -> None:
        real = make_trunk("phones")
        delivery = make_delivery(owner=twin)
        Delivery.objects.filter(pk=delivery.pk).update(trunk=real)
        assert Delivery.objects.get(pk=delivery.pk).trunk.alias == TWINS
        assert lifecycle.reroute(
            trunk_id=Trunk.objects.get(alias=TWINS).pk, channel=Channel.SMS, trunk_by_prefix={"": real.pk}
        )
        assert Delivery.objects.get(pk=delivery.pk).trunk.alias == TWINS
        moved = make_delivery(owner=live, trunk=real)
        Delivery.objects.filter(pk=moved.pk).update(trunk=make_trunk("others"))
        assert Delivery.objects.get(pk=moved.pk).trunk.alias == "others"


class TestClaim:
    """A claim alone keeps twins from phones, even if the database was changed by hand."""

    @pytest.fixture(autouse=True)
    def _without_triggers(self, db: None) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            cursor.execute("ALTER TABLE telephony_delivery DISABLE TRIGGER of_twins, DISABLE TRIGGER moves")

    def test_other_trunks_submit_no_delivery_of_a_twin(
        self, live: Account, twin: Account, phones: list[str]
    ) -> None:
        real = make_trunk("phones")
        mine, its = make_delivery(owner=live, trunk=real), make_delivery(owner=twin, trunk=real)
        claimed = lifecycle.claim(trunk_id=real.pk, limit=10, call_limit=None, last_owner=0)
        assert [one.id for one in claimed] == [mine.pk]
        its.refresh_from_db()
        assert its.status == DeliveryStatus.QUEUED

    def test_the_trunk_of_twins_submits_no_other_delivery(self, live: Account, twin: Account) -> None:
        trunk = make_trunk(TWINS)
        make_delivery(owner=live, trunk=trunk)
        its = make_delivery(owner=twin, trunk=trunk)
        claimed = lifecycle.claim(trunk_id=trunk.pk, limit=10, call_limit=None, last_owner=0, for_twins=True)
        assert [one.id for one in claimed] == [its.pk]


def test_recipients_who_were_reached_before_a_restore_stay_in_the_sandbox(
    twin: Account, phones: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = runs.begin(campaign=make_campaign(owner=twin, message="Namaste", sms_message="Namaste"))
    Run.objects.filter(pk=run.pk).update(status="paused", pause_reason=restore.HELD)
    assert restore.mark_reached(["+9779841000001"]) == 1
    assert trunks() == {TWINS}
    assert phones == []


def test_the_opt_outs_of_the_account_and_of_its_twin_are_apart(
    live: Account, twin: Account, phones: list[str]
) -> None:

    opt_out(live.pk, "+9779841000001", "STOP")
    sms_to(twin)
    run_to_the_end()
    assert SandboxMessage.objects.get().to == "+9779841000001"


def test_the_trunk_of_twins_is_built_in(settings: Any) -> None:
    assert settings.TWIN_TRUNK == TWINS
    assert settings.CARRIERS[TWINS]["BACKEND"] == "telephony.carriers.sandbox.SandboxCarrier"
    assert trunk_queues.is_served(TWINS)
    settings.ROUTES = {"call": [TWINS], "sms": [{"prefix": "+977", "trunks": ["phones", TWINS]}]}
    problems = checks.routes_lead_to_carriers(None)
    assert [problem.id for problem in problems] == ["iris.E003"] * 2
    assert "test twins" in problems[0].msg


def test_begin_does_not_look_for_routes_of_a_twin(twin: Account) -> None:
    assert Campaign.objects.filter(owner=twin).count() == 0
    for channel in Channel:
        routing.check_route(channel, for_twin=True)
