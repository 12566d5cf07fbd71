"""Opt-outs, blocks and stops take effect on deliveries that were claimed but not submitted."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest

from telephony.carriers.base import Result, Submission
from telephony.engine import dispatch
from telephony.models import BlockedNumber, Cause, Delivery, DeliveryStatus
from tests.factories import make_account, make_delivery, opt_out
from tests.telephony.engine.scripted_carrier import ScriptedCarrier, accept

pytestmark = pytest.mark.django_db(transaction=True)  # a separate thread claims for a paced trunk

TO = "+9779841000001"


def submitted_to(carrier: type[ScriptedCarrier]) -> list[str]:
    return [one.to for batch in carrier.seen for one in batch]


def ended(to: str = TO) -> tuple[Any, ...]:
    return Delivery.objects.values_list("status", "cause", "attempts").get(to=to)


def while_the_first_is_submitted(
    carrier: type[ScriptedCarrier], change: Any, *, seconds: float = 0.25
) -> None:
    """Let the carrier take `seconds` for its first batch, and make the change meanwhile."""

    def answer(batch: Sequence[Submission]) -> list[Result]:
        if len(carrier.seen) == 1:
            change()
            time.sleep(seconds)
        return accept(batch)

    carrier.answer = staticmethod(answer)


@pytest.mark.parametrize("cps", [None, 10])
@pytest.mark.parametrize("how", ["opted out", "blocked", "stopped"])
def test_claimed_delivery_is_not_submitted_after_the_recipient_became_unwilling(
    carrier: type[ScriptedCarrier], settings: Any, monkeypatch: pytest.MonkeyPatch, cps: int | None, how: str
) -> None:
    settings.CARRIERS["sandbox"]["CPS"] = cps
    monkeypatch.setattr(carrier, "batch_size", 1)
    monkeypatch.setattr(carrier, "claim_size", lambda self: 3)
    owner = make_account()
    first, last = (make_delivery(owner=owner, to=to) for to in ("+9779841000009", TO))

    def change() -> None:
        # Both were claimed together, so no claim can refuse the second one.
        if not Delivery.objects.filter(pk=last.pk, status=DeliveryStatus.SUBMITTING).exists():
            pytest.fail("The second delivery was not claimed with the first one.")
        if how == "opted out":
            opt_out(owner.pk, TO)
        elif how == "blocked":
            BlockedNumber.objects.create(number=TO)
        else:
            Delivery.objects.filter(pk=last.pk).update(stopped=True)

    while_the_first_is_submitted(carrier, change)
    dispatch.run("sandbox", budget=2)
    assert submitted_to(carrier) == [first.to]
    assert (
        ended()
        == {
            "opted out": (DeliveryStatus.FAILED, Cause.OPTED_OUT, 1),
            "blocked": (DeliveryStatus.FAILED, Cause.BLOCKED, 1),
            "stopped": (DeliveryStatus.TERMINATED, Cause.STOPPED, 1),
        }[how]
    )


def test_opt_out_of_another_account_changes_nothing(carrier: type[ScriptedCarrier], settings: Any) -> None:
    settings.CARRIERS["sandbox"]["CPS"] = 10
    make_delivery(to="+9779841000009"), make_delivery(to=TO)
    while_the_first_is_submitted(carrier, lambda: opt_out(make_account().pk, TO))
    dispatch.run("sandbox", budget=2)
    assert submitted_to(carrier) == ["+9779841000009", TO]
