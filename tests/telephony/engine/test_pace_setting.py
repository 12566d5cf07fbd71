"""Operators pause and resume trunks and change their pace while everything runs."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from iris.errors import InvalidInput, NotFound
from telephony.carriers import get_carrier
from telephony.engine import circuit_breaker, dispatch
from telephony.models import Delivery, DeliveryStatus, Trunk
from tests.factories import make_account, make_delivery, make_trunk
from tests.telephony.engine.scripted_carrier import ScriptedCarrier, accept

pytestmark = pytest.mark.django_db


def test_pace_set_at_run_time_replaces_that_of_the_file(carrier: type[ScriptedCarrier]) -> None:
    owner = make_account()
    for _ in range(5):
        make_delivery(trunk=make_trunk(), owner=owner)
    circuit_breaker.set_pace("sandbox", 2)
    assert dispatch.Dispatcher(get_carrier("sandbox")).cps == 2
    circuit_breaker.set_pace("sandbox", None)
    assert dispatch.Dispatcher(get_carrier("sandbox")).cps is None


def test_dispatcher_ends_when_the_pace_changes_so_that_the_next_one_keeps_it(
    carrier: type[ScriptedCarrier],
) -> None:
    owner = make_account()
    for _ in range(30):
        make_delivery(trunk=make_trunk(), owner=owner)

    def change_pace(batch: Any) -> Any:
        circuit_breaker.set_pace("sandbox", 50)
        return accept(batch)

    carrier.answer = staticmethod(change_pace)
    assert dispatch.run("sandbox", budget=60) is True
    assert Delivery.objects.filter(status=DeliveryStatus.QUEUED).count() == 27
    assert dispatch.Dispatcher(get_carrier("sandbox")).cps == 50


@pytest.mark.parametrize("pace", [0, -1, 10_001, float("nan"), float("inf")])
def test_impossible_pace_is_refused_and_changes_nothing(carrier: type[ScriptedCarrier], pace: float) -> None:
    with pytest.raises(InvalidInput):
        circuit_breaker.set_pace("sandbox", pace)
    assert make_trunk().cps is None


def test_unknown_trunk_is_not_found(carrier: type[ScriptedCarrier]) -> None:
    for change in (circuit_breaker.pause, circuit_breaker.resume):
        with pytest.raises(NotFound, match="Choose one of: sandbox"):
            change("third")


def run_command(*arguments: str) -> str:
    output = StringIO()
    call_command("trunk", *arguments, stdout=output)
    return output.getvalue()


def test_command_pauses_resumes_and_sets_the_pace(carrier: type[ScriptedCarrier]) -> None:
    assert "manage.py trunk resume sandbox" in run_command("pause", "sandbox", "--reason", "maintenance")
    assert Trunk.objects.get().pause_reason == "maintenance"
    assert run_command("resume", "sandbox") == "sandbox is resumed.\n"
    assert run_command("resume", "sandbox") == "sandbox was not paused.\n"
    assert run_command("set-pace", "sandbox", "12.5") == "The pace of sandbox is 12.5 a second.\n"
    assert Trunk.objects.get().cps == 12.5
    assert (
        run_command("set-pace", "sandbox", "default") == "The pace of sandbox is that of the carriers file.\n"
    )
    assert Trunk.objects.get().cps is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("pause", "nowhere"), "There is no trunk nowhere"),
        (("set-pace", "sandbox", "fast"), 'The pace must be a number or "default"'),
        (("set-pace", "sandbox", "0"), "To stop the trunk, pause it."),
        (("set-pace", "sandbox", "nan"), "The pace must be more than 0"),
    ],
)
def test_wrong_arguments_get_a_sentence(
    carrier: type[ScriptedCarrier], arguments: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(CommandError, match=sentence):
        run_command(*arguments)


def test_status_shows_both_paces(carrier: type[ScriptedCarrier]) -> None:
    make_trunk()
    circuit_breaker.set_pace("sandbox", 3)
    output = StringIO()
    call_command("trunk_status", stdout=output)
    assert "3 a second, set at run time (in the carriers file: no limit)" in output.getvalue()
