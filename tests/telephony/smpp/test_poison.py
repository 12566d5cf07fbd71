"""Test that one refused SMS never stops a trunk, but that refusals of all recipients let it rest."""

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
from telephony.carriers.smpp.message import OutgoingSms
from telephony.carriers.smpp.protocol import STATUSES, meaning_of, name_of
from telephony.carriers.smpp.retries import MAX_BACKOFF_ATTEMPTS
from telephony.engine import dispatch, trunk_worker
from telephony.models import Cause, Delivery, DeliveryStatus, Trunk
from tests.factories import make_account, make_delivery
from tests.live import wait_for
from tests.telephony.smpp.carriers import carrier, sms
from tests.telephony.smpp.processes import DEADLINE
from tests.telephony.smpp.test_smsc_failures import answering, scripted_smsc

S = DeliveryStatus
# Reserved, undefined and vendor-specific statuses, and the highest possible one.
UNKNOWN_CODES = [0x09, 0x70, 0x113, 0x400, 0x405, 0x4FF, 0x500, 0xFFFFFFFF]
# Throttles come last, because they slow down the SMS that follow.
CODES = sorted(
    [*(set(STATUSES) - {0}), *UNKNOWN_CODES], key=lambda code: meaning_of(code) is Meaning.TOO_FAST
)
POISON = "9779849990001"
DOUBTFUL_LIMIT = MAX_REFUSALS_IN_A_ROW[Meaning.DOUBTFUL]


@pytest.fixture(autouse=True)
def _no_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smpp_pace, "HOLD_SECONDS", 0.0)


def test_one_refused_sms_in_fifty_never_stops_the_others() -> None:
    said = [0]
    script = answering(lambda _, body: said[0] if POISON.encode() in body else 0)
    with scripted_smsc(script) as (port, _), carrier(port) as it:
        for number, code in enumerate(CODES):
            said[0] = code
            key = 1000 * (number + 1)
            poison = sms(key, to=f"+{POISON}")
            # Send the refused SMS first of all, and then among others for as long as it is retried.
            answers = it.send(poison, *(sms(key + other) for other in range(1, 50)))
            others = [answer for answered, answer in answers.items() if answered != poison.key]
            assert {type(answer) for answer in others} == {Accepted}, name_of(code)
            tries = 1
            while isinstance(answers[poison.key], Later):
                assert meaning_of(code) in (Meaning.BUSY, Meaning.TRUNK, Meaning.TOO_FAST), name_of(code)
                assert tries < MAX_BACKOFF_ATTEMPTS, name_of(code)
                it.said = []
                answers = it.send(sms(key + 100 + tries), poison)
                tries += 1
                assert isinstance(answers[str(key + 99 + tries)], Accepted)
            cause = Cause.INVALID if code == 0x0B else Cause.REFUSED
            assert answers[poison.key] == Rejected(key=poison.key, cause=cause, text=name_of(code))


def sms_batch(first: int, count: int) -> list[Any]:
    return [sms(key) for key in range(first, first + count)]


@pytest.mark.parametrize("code", [0x01, 0x0A, 0x0B, 0x15, 0x48, 0x51, 0x65, 0x103, 0x405])
def test_status_for_every_sms_rests_the_trunk_and_fails_no_further_sms(code: int) -> None:
    enough = MAX_REFUSALS_IN_A_ROW[meaning_of(code)]
    with scripted_smsc(answering(lambda *_: code)) as (port, _), carrier(port) as it:
        answers = it.send(*sms_batch(1, enough + 20))
        refused = [answer for answer in answers.values() if isinstance(answer, Rejected)]
        assert len(refused) == enough - 1
        assert {type(answer) for answer in answers.values()} == {Rejected, Later}
        counted = answers[str(enough)]
        assert isinstance(counted, Later)
        assert counted.seconds > it.carrier._outcomes.seconds_held, "others go first after the rest"
        sentence = f"{enough} recipients in a row were refused. Delivery {enough}: {name_of(code)}"
        with pytest.raises(Throttled, match=re.escape(sentence)):
            it.carrier.submit(sms_batch(1000, 1))


def test_mixed_recipient_errors_and_a_single_recipient_never_rest_the_trunk() -> None:
    codes = [0x0B, 0x01]
    with scripted_smsc(answering(lambda count, _: codes[count % 2])) as (port, _), carrier(port) as it:
        answers = it.send(*sms_batch(1, 100))
        assert {type(answer) for answer in answers.values()} == {Rejected}
    with scripted_smsc(answering(lambda *_: 0x0A)) as (port, _), carrier(port) as it:
        answers = it.send(*[sms(key, to=f"+{POISON}") for key in range(1, 100)])
        assert {type(answer) for answer in answers.values()} == {Rejected}


def test_trunk_is_tried_with_one_sms_after_a_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "MAX_REST_SECONDS", 0.01)
    works, asked = threading.Event(), threading.Event()

    def decide(count: int, body: bytes) -> int | None:
        if count >= DOUBTFUL_LIMIT:
            asked.set()
            works.wait(DEADLINE)
        return 0 if works.is_set() else 0x0A

    with scripted_smsc(answering(decide)) as (port, _), carrier(port) as it:
        it.send(*sms_batch(1, DOUBTFUL_LIMIT))
        assert it.carrier.claim_size() == 1
        it.wait(lambda: it.carrier._outcomes.seconds_held == 0)
        answers = {answer.key: answer for answer in it.carrier.submit(sms_batch(100, 3))}
        assert [type(answers[key]) for key in ("101", "102")] == [Later, Later]
        asked.wait(DEADLINE)
        with pytest.raises(Throttled, match="ESME_RINVSRCADR"):
            it.carrier.submit(sms_batch(200, 1))
        works.set()
        it.wait(lambda: isinstance(it.results().get("100"), Accepted))
        assert it.carrier.claim_size() > 1
        assert {type(answer) for answer in it.send(*sms_batch(300, 50)).values()} == {Accepted}


def test_trial_without_a_response_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusals, "MAX_REST_SECONDS", 0.01)
    monkeypatch.setattr(smpp_outcomes, "TRIAL_GRACE_SECONDS", 0.0)
    script = answering(
        lambda count, _: 0x0A if count < DOUBTFUL_LIMIT else None if count == DOUBTFUL_LIMIT else 0
    )
    with scripted_smsc(script) as (port, _), carrier(port, answer_seconds=1) as it:
        it.send(*sms_batch(1, DOUBTFUL_LIMIT))
        it.wait(lambda: it.carrier._outcomes.seconds_held == 0)
        it.send(sms(100))
        assert isinstance(it.send(sms(101))["101"], Accepted)


def test_sms_that_cannot_be_encoded_does_not_hold_up_others(monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted_smsc(answering(lambda *_: 0)) as (port, _), carrier(port) as it:
        write = it.carrier._encoder.message

        def fail_once(one: Submission, *, repeats: bool) -> OutgoingSms:
            if one.key == "2":
                raise KeyError("a fault of our own")
            return write(one, repeats=repeats)

        monkeypatch.setattr(it.carrier._encoder, "message", fail_once)
        answers = it.send(*sms_batch(1, 3))
    assert [type(answers[key]) for key in "123"] == [Accepted, Rejected, Accepted]
    assert "a fault of our own" in getattr(answers["2"], "text", "")


@contextmanager
def open_trunk(settings: Any, decide: Callable[[int, bytes], int | None]) -> Iterator[list[Any]]:
    """Open the configured trunk to an SMSC that responds as `decide` says. Yield the PDUs that the SMSC received."""
    with scripted_smsc(answering(decide)) as (port, seen):
        options = settings.CARRIERS["smsc"]["OPTIONS"]
        settings.CARRIERS["smsc"]["OPTIONS"] = {**options, "port": port, "receipts": False, "source": "IRIS"}
        get_carrier.cache_clear()
        try:
            trunk_worker.open_carrier("smsc")
            yield seen
        finally:
            trunk_worker.close_all()
            get_carrier.cache_clear()


def recipients(seen: list[Any]) -> list[str]:
    """Return the recipient of each submission."""
    return [re.findall(rb"97798\d{8}", body)[0].decode() for command, _, _, body in seen if command == 4]


def dispatch_until(condition: Callable[[], bool]) -> None:
    def is_so() -> bool:
        dispatch.run("smsc", budget=0.5)
        return condition()

    wait_for(is_so, seconds=DEADLINE)


def clear_pause() -> None:
    """Clear the pause as an operator does, and make all waiting deliveries due."""
    Trunk.objects.update(pause_reason="", paused_until=None)
    Delivery.objects.filter(status=S.QUEUED, not_before__gt=timezone.now()).update(not_before=timezone.now())


def make_queue(trunk: Trunk, count: int) -> list[Delivery]:
    owner = make_account()
    return [make_delivery(trunk=trunk, owner=owner, to=f"+97798410000{n:02d}") for n in range(count)]


@pytest.mark.django_db(transaction=True)
def test_cleared_trunk_is_tried_with_other_recipients_first(trunk: Trunk, settings: Any) -> None:
    """One of the SMS that paused the trunk is refused for ever. It must not hold up others, and it must end."""
    mended = threading.Event()
    queue = make_queue(trunk, 20)
    poison = queue[0].to[1:]
    settings.IRIS_CLAIM_SIZE = 3

    def decide(_: int, body: bytes) -> int:
        return 0 if mended.is_set() and poison.encode() not in body else 0x0E

    with open_trunk(settings, decide) as seen:
        dispatch_until(lambda: Trunk.objects.get().pause_reason != "")
        paused = Trunk.objects.get()
        assert paused.paused_until is None
        assert re.search(r"Delivery \d+: ESME_RINVPASWD \(0x0E\)", paused.last_error)
        wait_for(lambda: not Delivery.objects.exclude(status=S.QUEUED).exists(), seconds=DEADLINE)
        first_tried = recipients(seen)
        assert first_tried[0] == poison
        mended.set()
        clear_pause()
        dispatch_until(lambda: Delivery.objects.filter(status=S.COMPLETED).count() == 19)
        after = recipients(seen)[len(first_tried) :]
        assert after[0] not in first_tried
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
def test_resting_trunk_recovers_by_itself_with_another_recipient(
    trunk: Trunk, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "MAX_REST_SECONDS", 0.3)
    monkeypatch.setattr(smpp_outcomes, "BUSY_SECONDS", 0.1)
    mended = threading.Event()
    queue = make_queue(trunk, 60)
    settings.IRIS_CLAIM_SIZE = DOUBTFUL_LIMIT
    with open_trunk(settings, lambda *_: 0 if mended.is_set() else 0x0A) as seen:
        dispatch_until(lambda: Trunk.objects.get().pause_reason != "")
        resting = Trunk.objects.get()
        assert resting.paused_until is not None
        # More SMS than the limit may have been on their way when it was reached.
        blamed = re.search(r"Delivery (\d+): ESME_RINVSRCADR \(0x0A\)", resting.last_error)
        assert blamed is not None
        assert int(blamed[1]) in {delivery.pk for delivery in queue[DOUBTFUL_LIMIT - 1 :]}
        refused = Delivery.objects.filter(status=S.FAILED)
        wait_for(lambda: refused.count() == DOUBTFUL_LIMIT - 1, seconds=DEADLINE)
        assert {one.carrier_text for one in refused} == {"ESME_RINVSRCADR (0x0A)"}
        first_tried = recipients(seen)
        mended.set()
        dispatch_until(lambda: Delivery.objects.filter(status=S.COMPLETED).count() == 60 - DOUBTFUL_LIMIT + 1)
        assert recipients(seen)[len(first_tried)] not in first_tried
        assert recipients(seen)[-1] in first_tried
