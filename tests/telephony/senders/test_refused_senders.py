"""A sender that a carrier does not know fails its own SMS, and never stops the trunk for the SMS of others."""

from __future__ import annotations

import time

import pytest

from telephony.carriers.base import Rejected
from telephony.carriers.http import ApiResponse, Refusal
from telephony.carriers.refusals import MAX_REFUSALS_IN_A_ROW, Meaning
from tests.telephony.http.creating import create, submission
from tests.telephony.smpp.carriers import carrier, sms
from tests.telephony.smpp.test_smsc_failures import answering, scripted_smsc

MANY = 2 * MAX_REFUSALS_IN_A_ROW[Meaning.DOUBTFUL]
UNKNOWN_SENDER = 0x0A  # ESME_RINVSRCADR


def test_smsc_that_does_not_know_one_sender_goes_on_with_others() -> None:
    with scripted_smsc(answering(lambda *_: UNKNOWN_SENDER)) as (port, _), carrier(port) as it:
        answers = it.send(*(sms(key, sender="ACME") for key in range(1, MANY)))
        assert {type(answer) for answer in answers.values()} == {Rejected}
        assert it.carrier._outcomes.seconds_held == 0
        it.send(*(sms(1000 + key, sender=f"ACME{key}") for key in range(MANY)))
        assert it.carrier._outcomes.seconds_held > 0  # many senders: then it is the trunk


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("sparrow", b'{"response_code": 1008, "response": "Invalid sender"}'),
        ("twilio", b'{"code": 21212, "message": "Invalid From"}'),
        ("twilio", b'{"code": 21606, "message": "Not an SMS number"}'),
    ],
)
def test_http_carrier_that_does_not_know_one_sender_goes_on_with_others(name: str, body: bytes) -> None:
    carrier = create(name)

    def refuse(sender: str, number: int) -> object:
        one = submission(sender=sender, to=f"+97798410{number:05}")
        refusal = carrier._classify(one, ApiResponse(status=400, body=body))
        assert isinstance(refusal, Refusal)
        return carrier._refused(one, refusal, sent_at=time.monotonic())

    assert {type(refuse("ACME", number)) for number in range(MANY)} == {Rejected}
    assert carrier._rest.seconds_left(now=time.monotonic()) == 0
    others = [refuse(f"ACME{number}", number) for number in range(MANY)]
    assert carrier._rest.seconds_left(now=time.monotonic()) > 0
    assert {type(one) for one in others} > {Rejected}  # the last ones are sent again later
