"""Send many long SMS to an SMSC of each habit. All must end as they really ended, and cost exactly that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F, Q, Sum
from django.utils import timezone

from accounts import credits
from accounts.ledger import check_ledger
from accounts.models import CreditHold
from telephony.engine import delivery_reports, lifecycle, part_reports
from telephony.models import Delivery, DeliveryStatus, LateReport, MessagePart, Trunk
from tests.factories import make_account, make_delivery, make_hold
from tests.live import wait_for
from tests.scale import at_scale
from tests.telephony.smpp.carriers import sms
from tests.telephony.smpp.scripted import Reply, Submitted, World, accept, receipt, text_of_receipt, world

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.field]

COUNT = at_scale(60, 1000)
WINDOW = 500  # unacknowledged receipts of the SMSC
SECONDS = at_scale(30, 300)
LONG = "क" * 150
PARTS = 3


def truth(index: int) -> str:
    """Return how an SMS really ends: delivered, failed on the way, or without any receipt."""
    return {3: "failed", 7: "silent"}.get(index % 10, "delivered")


@dataclass
class Habit:
    """How an SMSC reports. `ids` turns the number of a submission into its id in the response and in the receipt."""

    options: dict[str, Any] = field(default_factory=dict)
    ids: Callable[[int], tuple[str, str]] = lambda n: (str(n), str(n))
    told: Callable[[Submitted], bool] = lambda one: True
    times: int = 1
    before: bool = False
    waits: bool = False  # the receipts come when the test says so

    def replies(self, one: Submitted, index: int) -> tuple[Reply, list[Reply]]:
        """Return the response, and the receipts."""
        response, written = self.ids(one.n)
        state = "UNDELIV" if truth(index) == "failed" else "DELIVRD"
        told = truth(index) != "silent" and self.told(one)
        return accept(one, response), [receipt(one, text_of_receipt(written, state))] * (self.times * told)


HABITS = {
    "each": Habit(),
    "doubled": Habit(times=2),
    "before the response": Habit(before=True),
    "hexadecimal, then decimal": Habit({"message_ids": "hex-decimal"}, lambda n: (f"{n:X}", str(n))),
    "decimal, then hexadecimal": Habit({"message_ids": "decimal-hex"}, lambda n: (str(n), f"{n:08x}")),
    "capitals": Habit(ids=lambda n: (f"Ab-{n}-eF", f"aB-{n}-Ef")),
    "zeros": Habit(ids=lambda n: (f"{n:010d}", str(n))),
    "last part": Habit({"receipts_for_long": "one"}, told=lambda one: one.part == PARTS),
    "first part": Habit({"receipts_for_long": "one"}, told=lambda one: one.part == 1),
    "last part, learned": Habit(told=lambda one: one.part == PARTS),
    "one id for all parts": Habit(
        ids=lambda n: (str((n - 1) // PARTS), str((n - 1) // PARTS)), told=lambda one: one.part == PARTS
    ),
    "late": Habit(waits=True),
    "late and doubled": Habit(waits=True, times=2),
    "reused ids": Habit(ids=lambda n: (str(n % (COUNT * PARTS // 2)), str(n % (COUNT * PARTS // 2)))),
}


@pytest.mark.parametrize("name", HABITS)
def test_each_long_sms_ends_as_it_really_ended(settings: Any, trunk: Trunk, name: str) -> None:
    habit = HABITS[name]
    waiting: list[Reply] = []

    def script(one: Submitted) -> Iterable[Reply]:
        response, receipts = habit.replies(one, int(one.to[-6:]))
        if habit.waits:
            waiting.extend(receipts)
            return [response]
        return [*receipts, response] if habit.before else [response, *receipts]

    with world(settings, script, **habit.options) as it:
        hold = make_hold(account=make_account(credits=COUNT * PARTS), amount=COUNT * PARTS)
        halves = [range(COUNT // 2), range(COUNT // 2, COUNT)]
        for half in (
            halves
        ):  # the second half is sent when the first has its receipts, as after a restart of the SMSC
            send(it, trunk, hold, half)
            wait_for_submissions(it, PARTS * (half[-1] + 1))
            settle(it, habit, half)
        if habit.waits:
            lose()
            credits.release(hold_id=hold.pk, cause="run over")
            # iris refuses receipts of an SMSC that waits for no answers (“queue full”), and this one does not repeat them.
            for start in range(0, len(waiting), WINDOW):
                it.smsc.do(*waiting[start : start + WINDOW])
                it.wait_acknowledged(min(start + WINDOW, len(waiting)))
            assert {status for _, status in it.smsc.acknowledged} == {0}
            settle(it, habit, range(COUNT))
        lose()
        assert_ended_truly(hold, habit)


def send(it: World, trunk: Trunk, hold: CreditHold, indexes: Iterable[int]) -> None:
    batch = []
    for index in indexes:
        delivery = make_delivery(
            owner=hold.account, hold=hold, credit_limit=PARTS, trunk=trunk, status=DeliveryStatus.SUBMITTING,
            attempts=1, text=LONG, to=f"+9779841{index:06d}", claimed_at=timezone.now(),
        )  # fmt: skip
        batch.append(sms(delivery.pk, to=delivery.to, text=LONG, seconds=SECONDS))
    it.carrier.submit(batch)


def wait_for_submissions(it: World, count: int) -> None:
    wait_for(lambda: len(it.smsc.submitted) == count, seconds=SECONDS)


def settle(it: World, habit: Habit, indexes: Iterable[int]) -> None:
    """Wait until all receipts about these are stored, and those that came before their responses are matched."""
    numbers = [f"+9779841{index:06d}" for index in indexes]
    rows = Delivery.objects.filter(to__in=numbers)
    # Reports about deliveries that count as lost are booked batch by batch, after they were acknowledged.
    still_silent = Q(status=DeliveryStatus.SUBMITTED) | Q(cause="lost")

    def is_settled() -> bool:
        delivery_reports.match_again("smsc")
        if rows.filter(status__lt=DeliveryStatus.SUBMITTED).exists():
            return False
        if habit.waits and not LateReport.objects.exists():
            return True
        silent = rows.filter(still_silent).count()
        if habit.told is HABITS["last part, learned"].told:
            told = MessagePart.objects.filter(delivery__in=rows, delivered=True).count()
            if told < sum(truth(index) == "delivered" for index in indexes):
                return False
            learn(it)
            silent = rows.filter(still_silent).count()
        return silent <= sum(truth(index) == "silent" for index in indexes)

    wait_for(is_settled, seconds=SECONDS)


def learn(it: World) -> None:
    """Let half of the time limit pass, and let the engine look at the receipts."""
    MessagePart.objects.filter(delivered=True).update(delivered_at=F("delivered_at") - timedelta(hours=2))
    part_reports._looked_at.clear()
    part_reports.learn(it.carrier)
    it.carrier._part_reporting._read_at = -100


def lose() -> None:
    """Let the time limit pass."""
    Delivery.objects.filter(status__lt=DeliveryStatus.COMPLETED).update(
        expires_at=timezone.now() - timedelta(seconds=1)
    )
    lifecycle.lose_unreported()


def assert_ended_truly(hold: CreditHold, habit: Habit) -> None:
    ends = {
        int(to[-6:]): (status, cause)
        for to, status, cause in Delivery.objects.values_list("to", "status", "cause")
    }
    words = {
        "delivered": (DeliveryStatus.COMPLETED, ""),
        "failed": (DeliveryStatus.FAILED, "refused"),
        "silent": (DeliveryStatus.FAILED, "lost"),
    }
    assert Counter(ends.values()) == Counter(words[truth(index)] for index in range(COUNT))
    assert ends == {index: words[truth(index)] for index in range(COUNT)}
    delivered = sum(truth(index) == "delivered" for index in range(COUNT))
    assert Delivery.objects.aggregate(sum=Sum("credits"))["sum"] == PARTS * delivered
    hold.refresh_from_db()
    assert hold.captured == PARTS * delivered
    assert check_ledger().differences == ()
    if habit.waits:
        assert LateReport.objects.aggregate(sum=Sum("charged"))["sum"] == PARTS * delivered
