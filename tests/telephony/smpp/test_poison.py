"""One SMS that the SMSC refuses never stops a trunk, whatever the SMSC says; what it says to everybody does."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.utils import timezone

from telephony.carriers import get_carrier, refusals
from telephony.carriers.base import Accepted, Later, Rejected, Submission
from telephony.carriers.errors import Throttled
from telephony.carriers.refusals import MAX_REFUSALS_IN_A_ROW, Meaning
from telephony.carriers.smpp import outcomes as smpp_outcomes
from telephony.carriers.smpp import pace as smpp_pace
from telephony.carriers.smpp.message import Message
from telephony.carriers.smpp.protocol import STATUSES, meaning_of, name_of
from telephony.carriers.smpp.retries import MAX_QUEUE_FULL_ATTEMPTS
from telephony.engine import dispatch, trunk_worker
from telephony.models import Cause, Delivery, DeliveryStatus, Trunk
from tests.factories import make_delivery, make_user
from tests.live import wait_for
from tests.telephony.smpp.carriers import carrier, sms
from tests.telephony.smpp.processes import DEADLINE
from tests.telephony.smpp.test_smsc_failures import deciding, playing

S = DeliveryStatus
# Reserved, undefined, the SMSC's own, and the greatest that there is.
UNKNOWN = [0x09, 0x70, 0x113, 0x400, 0x405, 0x4FF, 0x500, 0xFFFFFFFF]
# What means the pace comes last: until it has risen again, all others would be sent slowly.
CODES = sorted([*(set(STATUSES) - {0}), *UNKNOWN], key=lambda code: meaning_of(code) is Meaning.TOO_FAST)
POISON = "9779849990001"
DOUBTFUL = MAX_REFUSALS_IN_A_ROW[Meaning.DOUBTFUL]


@pytest.fixture(autouse=True)
def _no_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smpp_pace, "HOLD_SECONDS", 0.0)


def test_whatever_is_said_of_one_sms_in_fifty_the_others_arrive_and_the_trunk_goes_on() -> None:
    said = [0]
    script = deciding(lambda _, body: said[0] if POISON.encode() in body else 0)
    with playing(script) as (port, _), carrier(port) as it:
        for number, code in enumerate(CODES):
            said[0] = code
            key = 1000 * (number + 1)
            poison = sms(key, to=f"+{POISON}")
            # The first of all, and again among others for as long as it is to be tried again.
            answers = it.send(poison, *(sms(key + other) for other in range(1, 50)))
            others = [answer for answered, answer in answers.items() if answered != poison.key]
            assert {type(answer) for answer in others} == {Accepted}, name_of(code)
            tries = 1
            while isinstance(answers[poison.key], Later):
                assert meaning_of(code) in (Meaning.BUSY, Meaning.TRUNK, Meaning.TOO_FAST), name_of(code)
                assert tries < MAX_QUEUE_FULL_ATTEMPTS, name_of(code)
                it.said = []
                answers = it.send(sms(key + 100 + tries), poison)
                tries += 1
                assert isinstance(answers[str(key + 99 + tries)], Accepted)
            cause = Cause.INVALID if code == 0x0B else Cause.REFUSED
            assert answers[poison.key] == Rejected(key=poison.key, cause=cause, text=name_of(code))


def numbered(first: int, count: int) -> list[Any]:
    return [sms(key) for key in range(first, first + count)]


@pytest.mark.parametrize("code", [0x01, 0x0A, 0x0B, 0x15, 0x48, 0x51, 0x65, 0x103, 0x405])
def test_what_is_said_to_everybody_rests_the_trunk_and_costs_the_others_nothing(code: int) -> None:
    enough = MAX_REFUSALS_IN_A_ROW[meaning_of(code)]
    with playing(deciding(lambda *_: code)) as (port, _), carrier(port) as it:
        answers = it.send(*numbered(1, enough + 20))
        refused = [answer for answer in answers.values() if isinstance(answer, Rejected)]
        assert len(refused) == enough - 1
        assert {type(answer) for answer in answers.values()} == {Rejected, Later}
        counted = answers[str(enough)]
        assert isinstance(counted, Later)
        assert counted.seconds > it.carrier._outcomes.hold, "others go first after the rest"
        sentence = f"{enough} recipients in a row were refused. Delivery {enough}: {name_of(code)}"
        with pytest.raises(Throttled, match=re.escape(sentence)):
            it.carrier.submit(numbered(1000, 1))


def test_different_answers_about_recipients_are_no_row_nor_is_one_recipient() -> None:
    codes = [0x0B, 0x01]
    with playing(deciding(lambda count, _: codes[count % 2])) as (port, _), carrier(port) as it:
        answers = it.send(*numbered(1, 100))
        assert {type(answer) for answer in answers.values()} == {Rejected}
    with playing(deciding(lambda *_: 0x0A)) as (port, _), carrier(port) as it:
        answers = it.send(*[sms(key, to=f"+{POISON}") for key in range(1, 100)])
        assert {type(answer) for answer in answers.values()} == {Rejected}


def test_after_a_rest_one_sms_at_a_time_tries_the_trunk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "MAX_REST_SECONDS", 0.01)
    works, asked = threading.Event(), threading.Event()

    def decide(count: int, body: bytes) -> int | None:
        if count >= DOUBTFUL:
            asked.set()
            works.wait(DEADLINE)
        return 0 if works.is_set() else 0x0A

    with playing(deciding(decide)) as (port, _), carrier(port) as it:
        it.send(*numbered(1, DOUBTFUL))
        assert it.carrier.claim_size() == 1
        it.wait(lambda: it.carrier._outcomes.hold == 0)
        answers = {answer.key: answer for answer in it.carrier.submit(numbered(100, 3))}
        assert [type(answers[key]) for key in ("101", "102")] == [Later, Later]
        asked.wait(DEADLINE)
        with pytest.raises(Throttled, match="ESME_RINVSRCADR"):
            it.carrier.submit(numbered(200, 1))
        works.set()
        it.wait(lambda: isinstance(it.results().get("100"), Accepted))
        assert it.carrier.claim_size() > 1
        assert {type(answer) for answer in it.send(*numbered(300, 50)).values()} == {Accepted}


def test_a_trial_without_an_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "MAX_REST_SECONDS", 0.01)
    monkeypatch.setattr(smpp_outcomes, "PROBE_GRACE_SECONDS", 0.0)
    script = deciding(lambda count, _: 0x0A if count < DOUBTFUL else None if count == DOUBTFUL else 0)
    with playing(script) as (port, _), carrier(port, answer_seconds=1) as it:
        it.send(*numbered(1, DOUBTFUL))
        it.wait(lambda: it.carrier._outcomes.hold == 0)
        it.send(sms(100))
        assert isinstance(it.send(sms(101))["101"], Accepted)


def test_one_sms_that_cannot_be_written_as_smpp_keeps_back_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    with playing(deciding(lambda *_: 0)) as (port, _), carrier(port) as it:
        write = it.carrier._encoder.message

        def fail_once(one: Submission, *, repeats: bool) -> Message:
            if one.key == "2":
                raise KeyError("a fault of our own")
            return write(one, repeats=repeats)

        monkeypatch.setattr(it.carrier._encoder, "message", fail_once)
        answers = it.send(*numbered(1, 3))
    assert [type(answers[key]) for key in "123"] == [Accepted, Rejected, Accepted]
    assert "a fault of our own" in getattr(answers["2"], "text", "")


@contextmanager
def trunk_to(settings: Any, decide: Callable[[int, bytes], int | None]) -> Iterator[list[Any]]:
    """The configured trunk, open, to an SMSC that answers so; what that has seen."""
    with playing(deciding(decide)) as (port, seen):
        options = settings.CARRIERS["smsc"]["OPTIONS"]
        settings.CARRIERS["smsc"]["OPTIONS"] = {**options, "port": port, "receipts": False, "source": "IRIS"}
        get_carrier.cache_clear()
        try:
            trunk_worker.carrier("smsc")
            yield seen
        finally:
            trunk_worker.close_all()
            get_carrier.cache_clear()


def recipients(seen: list[Any]) -> list[str]:
    """To whom each submission went."""
    return [re.findall(rb"97798\d{8}", body)[0].decode() for command, _, _, body in seen if command == 4]


def dispatch_until(condition: Callable[[], bool]) -> None:
    def is_so() -> bool:
        dispatch.run("smsc", budget=0.5)
        return condition()

    wait_for(is_so, seconds=DEADLINE)


def clear_pause() -> None:
    """What an operator does; and all that waits for its time is due."""
    Trunk.objects.update(pause_reason="", paused_until=None)
    Delivery.objects.filter(status=S.QUEUED, not_before__gt=timezone.now()).update(not_before=timezone.now())


def make_queue(trunk: Trunk, count: int) -> list[Delivery]:
    owner = make_user()
    return [make_delivery(trunk=trunk, owner=owner, to=f"+97798410000{n:02d}") for n in range(count)]


@pytest.mark.django_db(transaction=True)
def test_after_the_operator_clears_a_pause_the_trunk_is_tried_with_others_first(
    trunk: Trunk, settings: Any
) -> None:
    """One of the SMS that paused the trunk is refused ever after: it holds up nobody, and comes to its end."""
    mended = threading.Event()
    queue = make_queue(trunk, 20)
    poison = queue[0].to[1:]
    settings.IRIS_CLAIM_SIZE = 3

    def decide(_: int, body: bytes) -> int:
        return 0 if mended.is_set() and poison.encode() not in body else 0x0E

    with trunk_to(settings, decide) as seen:
        dispatch_until(lambda: Trunk.objects.get().pause_reason != "")
        paused = Trunk.objects.get()
        assert paused.paused_until is None
        assert re.search(r"Delivery \d+: ESME_RINVPASWD \(0x0E\)", paused.last_error)
        wait_for(lambda: not Delivery.objects.exclude(status=S.QUEUED).exists(), seconds=DEADLINE)
        tried = recipients(seen)
        assert tried[0] == poison
        mended.set()
        clear_pause()
        dispatch_until(lambda: Delivery.objects.filter(status=S.COMPLETED).count() == 19)
        after = recipients(seen)[len(tried) :]
        assert after[0] not in tried
        while Delivery.objects.filter(status=S.QUEUED).exists():
            clear_pause()
            make_delivery(trunk=trunk, owner=queue[0].owner, to="+9779842222222")
            dispatch.run("smsc", budget=0.5)
            wait_for(lambda: not Delivery.objects.filter(status=S.SUBMITTING).exists(), seconds=DEADLINE)
            assert Trunk.objects.get().pause_reason == ""
    ended = Delivery.objects.get(pk=queue[0].pk)
    assert (ended.status, ended.cause, ended.carrier_text) == (
        S.FAILED,
        Cause.REFUSED,
        "ESME_RINVPASWD (0x0E)",
    )
    assert recipients(seen).count(poison) <= 10


@pytest.mark.django_db(transaction=True)
def test_a_trunk_that_refuses_everybody_goes_on_by_itself_with_another(
    trunk: Trunk, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "MAX_REST_SECONDS", 0.3)
    monkeypatch.setattr(smpp_outcomes, "BUSY_SECONDS", 0.1)
    mended = threading.Event()
    queue = make_queue(trunk, 60)
    settings.IRIS_CLAIM_SIZE = DOUBTFUL
    with trunk_to(settings, lambda *_: 0 if mended.is_set() else 0x0A) as seen:
        dispatch_until(lambda: Trunk.objects.get().pause_reason != "")
        resting = Trunk.objects.get()
        assert resting.paused_until is not None
        # More than the limit may have been on their way when it was reached.
        blamed = re.search(r"Delivery (\d+): ESME_RINVSRCADR \(0x0A\)", resting.last_error)
        assert blamed is not None
        assert int(blamed[1]) in {delivery.pk for delivery in queue[DOUBTFUL - 1 :]}
        refused = Delivery.objects.filter(status=S.FAILED)
        wait_for(lambda: refused.count() == DOUBTFUL - 1, seconds=DEADLINE)
        assert {one.carrier_text for one in refused} == {"ESME_RINVSRCADR (0x0A)"}
        tried = recipients(seen)
        mended.set()
        dispatch_until(lambda: Delivery.objects.filter(status=S.COMPLETED).count() == 60 - DOUBTFUL + 1)
        assert recipients(seen)[len(tried)] not in tried
        assert recipients(seen)[-1] in tried
