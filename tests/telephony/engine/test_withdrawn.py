"""Opt-outs, blocks and stops take effect on deliveries that were claimed but not submitted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest

from telephony.carriers.base import Result, Submission
from telephony.engine import dispatch
from telephony.engine.withdrawals import FRESH_SECONDS
from telephony.models import BlockedNumber, Cause, Delivery, DeliveryStatus
from tests.factories import make_account, make_delivery, opt_out
from tests.telephony.engine.scripted_carrier import ScriptedCarrier, accept

pytestmark = pytest.mark.django_db(transaction=True)  # a separate thread claims for a paced trunk

TO = "+9779841000001"


def submitted_to(carrier: type[ScriptedCarrier]) -> list[str]:
    return [one.to for batch in carrier.seen for one in batch]


def ended(to: str = TO) -> tuple[Any, ...]:
    return Delivery.objects.values_list("status", "cause", "attempts").get(to=to)


def while_it_is_claimed(carrier: type[ScriptedCarrier], delivery: Delivery, change: Any) -> list[bool]:
    """Make the change while the delivery is claimed and another one is submitted. Then the carrier is busy for a moment.

    Return a list that gets an item when the change is made.
    """
    made: list[bool] = []

    def answer(batch: Sequence[Submission]) -> list[Result]:
        is_claimed = Delivery.objects.filter(pk=delivery.pk, status=DeliveryStatus.SUBMITTING).exists()
        if not made and is_claimed and str(delivery.pk) not in {one.key for one in batch}:
            change()
            made.append(True)
            time.sleep(FRESH_SECONDS)
        return accept(batch)

    carrier.answer = staticmethod(answer)
    return made


@pytest.mark.parametrize("cps", [None, 20])
@pytest.mark.parametrize("how", ["opted out", "blocked", "stopped"])
def test_claimed_delivery_is_not_submitted_after_the_recipient_became_unwilling(
    carrier: type[ScriptedCarrier], settings: Any, monkeypatch: pytest.MonkeyPatch, cps: int | None, how: str
) -> None:
    # Otherwise, on a busy machine, the delivery would return to the queue because of its age.
    monkeypatch.setattr(dispatch, "MAX_CLAIM_AGE", 60.0)
    settings.CARRIERS["sandbox"]["CPS"] = cps
    owner = make_account()
    others = [make_delivery(owner=owner).to for _ in range(8)]
    last = make_delivery(owner=owner, to=TO)

    def change() -> None:
        if how == "opted out":
            opt_out(owner.pk, TO)
        elif how == "blocked":
            BlockedNumber.objects.create(number=TO)
        else:
            Delivery.objects.filter(pk=last.pk).update(stopped=True)

    made = while_it_is_claimed(carrier, last, change)
    dispatch.run("sandbox", budget=5)
    assert made
    assert submitted_to(carrier) == others
    assert (
        ended()
        == {
            "opted out": (DeliveryStatus.FAILED, Cause.OPTED_OUT, 1),
            "blocked": (DeliveryStatus.FAILED, Cause.BLOCKED, 1),
            "stopped": (DeliveryStatus.TERMINATED, Cause.STOPPED, 1),
        }[how]
    )


def test_opt_out_of_another_account_changes_nothing(carrier: type[ScriptedCarrier], settings: Any) -> None:
    settings.CARRIERS["sandbox"]["CPS"] = 20
    numbers = [make_delivery().to for _ in range(8)]
    last = make_delivery(to=TO)
    made = while_it_is_claimed(carrier, last, lambda: opt_out(make_account().pk, TO))
    dispatch.run("sandbox", budget=5)
    assert made
    assert sorted(submitted_to(carrier)) == sorted([*numbers, TO])
