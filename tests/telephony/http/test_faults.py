"""Test what becomes of a submission when the far end or the network fails, and that nothing is ever sent twice."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from django.utils import timezone

from telephony.carriers.base import Accepted, Later, Rejected, Result, Submission, Unknown
from telephony.carriers.errors import CarrierError, Misconfigured, OutOfFunds, Throttled, Unreachable
from telephony.carriers.http import HttpCarrier
from telephony.models import Cause, Channel
from tests.cpu import cpu_at_most
from tests.telephony.http.far_end import OPTIONS, carrier_of
from tests.telephony.http.faults import FAULTS
from tests.telephony.http.processes import FarEnd, far_end

NAMES = list(OPTIONS)
EVERY_CARRIER = pytest.mark.parametrize("name", NAMES)
_keys = count(910_000_001)

TAKEN = [number for number, fault in FAULTS.items() if fault.endswith(" taken")]
SLOW = ["9918", "9919"]  # silent, and one byte every 50 ms
# What is certain about the others: nothing was sent, or the far end refused it.
RAISES: dict[str, type[CarrierError]] = {"9901": Throttled, "9920": Throttled, "9926": Misconfigured}
NOTHING_KNOWN = ["9911", "9914", "9921", "9932", *TAKEN]


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarEnd]:
    with far_end(tmp_path_factory.mktemp("far"), silence=3) as running:
        yield running


@pytest.fixture
def carrier(name: str, far: FarEnd) -> Iterator[HttpCarrier]:
    carrier = carrier_of(name, far)
    yield carrier
    carrier.close()


def sms(to: str, **changes: Any) -> Submission:
    fields: dict[str, Any] = {
        "key": str(next(_keys)),
        "channel": Channel.SMS,
        "to": to,
        "caller": "",
        "text": "Namaste",
        "audio_name": "",
        "audio_seconds": None,
        "attempt": 1,
        "owner_id": 1,
        "valid_until": timezone.now() + timedelta(seconds=60),
    }
    return Submission(**{**fields, **changes})


def number_with(fault: str, far: FarEnd) -> str:
    """Return a number that no earlier test used, with this fault."""
    return f"+97798{next(_keys) % 10_000:04d}{fault}"


def submit(carrier: HttpCarrier, one: Submission) -> Result:
    (result,) = carrier.submit([one])
    assert result.key == one.key
    return result


@EVERY_CARRIER
@pytest.mark.parametrize("fault", [number for number in NOTHING_KNOWN if number not in SLOW])
def test_what_the_carrier_may_have_is_unknown_and_arrives_once(
    carrier: HttpCarrier, far: FarEnd, fault: str
) -> None:
    one = sms(number_with(fault, far))
    result = submit(carrier, one)
    assert isinstance(result, Unknown), result
    assert result.text
    assert Counter(far.received())[one.to] == (1 if fault in TAKEN else 0)


@EVERY_CARRIER
@pytest.mark.parametrize("fault", SLOW)
def test_slow_response_is_unknown_at_the_deadline(name: str, far: FarEnd, fault: str) -> None:
    carrier = carrier_of(name, far, read_seconds=1, request_seconds=1)
    one = sms(number_with(fault, far))
    result = submit(carrier, one)
    assert isinstance(result, Unknown), result
    assert far.received().count(one.to) == 1
    carrier.close()


@EVERY_CARRIER
@pytest.mark.parametrize("fault", list(RAISES))
def test_error_of_the_trunk_is_raised_if_nothing_was_accepted(
    carrier: HttpCarrier, far: FarEnd, fault: str
) -> None:
    one = sms(number_with(fault, far))
    with pytest.raises(RAISES[fault]) as raised:
        carrier.submit([one])
    if isinstance(raised.value, Throttled):
        assert raised.value.retry_after == {"9901": 7, "9920": 9}[fault]
    assert str(raised.value)
    assert one.to not in far.received()


@pytest.mark.parametrize(
    ("name", "error"), [("sparrow", OutOfFunds), ("aakash", OutOfFunds), ("twilio", Misconfigured)]
)
def test_empty_account_pauses_the_trunk(carrier: HttpCarrier, far: FarEnd, error: type[CarrierError]) -> None:
    with pytest.raises(error):
        carrier.submit([sms(number_with("9927", far))])


@EVERY_CARRIER
def test_error_of_the_trunk_queues_only_its_own_submission_again_if_others_were_accepted(
    carrier: HttpCarrier, far: FarEnd
) -> None:
    throttled, invalid, good = (sms(number_with(fault, far)) for fault in ("9901", "9904", "0000"))
    results = {result.key: result for result in carrier.submit([throttled, invalid, good])}
    later, rejected = results[throttled.key], results[invalid.key]
    assert isinstance(later, Later)
    assert later.seconds == 7
    assert isinstance(rejected, Rejected)
    assert rejected.cause == Cause.INVALID
    assert isinstance(results[good.key], Accepted)
    assert Counter(far.received())[good.to] == 1


@EVERY_CARRIER
def test_unknown_error_code_refuses_one_recipient_or_is_unknown(
    carrier: HttpCarrier, far: FarEnd, name: str
) -> None:
    result = submit(carrier, sms(number_with("9928", far)))
    # An unknown text of Aakash is ambiguous; the others have codes, which are refusals.
    assert isinstance(result, Unknown if name == "aakash" else Rejected)
    assert result.text


@EVERY_CARRIER
@pytest.mark.parametrize("fault", ["9922", "9923"])
def test_redirect_and_firewall_stop_the_trunk_only_after_three_recipients(
    carrier: HttpCarrier, far: FarEnd, fault: str
) -> None:
    first, second, third = (sms(number_with(fault, far)) for _ in range(3))
    assert isinstance(submit(carrier, first), Later)
    # The same recipient again is no further evidence; in the end the refusal is believed.
    assert isinstance(submit(carrier, sms(first.to, attempt=5)), Rejected)
    assert isinstance(submit(carrier, second), Later)
    with pytest.raises(Misconfigured):
        carrier.submit([third])
    assert not [path for path in (entry["path"] for entry in far.entries("asked")) if "elsewhere" in path]


@EVERY_CARRIER
def test_unresolvable_name_and_closed_port_are_unreachable(name: str, far: FarEnd) -> None:
    for address in ("http://127.0.0.1:1", "http://no-such-host.invalid"):
        carrier = carrier_of(name, far, base_url=address)
        with pytest.raises(Unreachable):
            carrier.submit([sms("+9779841000000"), sms("+9779841000001")])
        carrier.close()


@EVERY_CARRIER
def test_address_of_a_server_without_http_is_unknown(name: str, far: FarEnd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.listen()
        port = listening.getsockname()[1]
        carrier = carrier_of(name, far, base_url=f"http://127.0.0.1:{port}", request_seconds=0.5)
        assert isinstance(submit(carrier, sms("+9779841000000")), Unknown)
        carrier.close()


@EVERY_CARRIER
def test_many_invalid_recipients_in_a_row_let_the_trunk_rest(carrier: HttpCarrier, far: FarEnd) -> None:
    batch = [sms(number_with("9904", far)) for _ in range(31)]
    results = carrier.submit(batch)
    assert {type(result) for result in results} == {Rejected}
    assert carrier.max_in_flight() == 1
    with pytest.raises(Throttled, match="in a row"):
        carrier.submit([sms("+9779841000002")])


@EVERY_CARRIER
def test_huge_response_costs_little(name: str, far: FarEnd) -> None:
    carrier = carrier_of(name, far)
    with cpu_at_most(1):
        for _ in range(3):
            assert isinstance(submit(carrier, sms(number_with("9915", far))), Unknown)
    carrier.close()


@pytest.mark.parametrize("name", ["sparrow", "aakash"])
@pytest.mark.parametrize("to", ["+15005550006", "+97714123456", "+977984100000", "+97798410000001"])
def test_number_that_the_carrier_cannot_reach_is_refused_unasked(
    carrier: HttpCarrier, far: FarEnd, to: str
) -> None:
    before = len(far.entries("asked"))
    result = submit(carrier, sms(to))
    assert isinstance(result, Rejected)
    assert result.cause == Cause.INVALID
    assert len(far.entries("asked")) == before


@pytest.mark.parametrize("name", ["sparrow", "aakash"])
def test_balance_is_what_the_carrier_says(carrier: HttpCarrier) -> None:
    assert carrier.balance() in ("1234 credits", "987 credits")


@pytest.mark.parametrize("name", ["sparrow", "aakash"])
def test_balance_with_a_wrong_token_is_an_error_without_the_token(name: str, far: FarEnd) -> None:
    option = "token" if name == "sparrow" else "auth_token"
    carrier = carrier_of(name, far, **{option: "wrong-token-123"})
    with pytest.raises(CarrierError) as raised:
        carrier.balance()
    assert "wrong-token-123" not in str(raised.value)
    carrier.close()


def test_version_4_of_aakash_is_read_like_version_3(far: FarEnd) -> None:
    carrier = carrier_of("aakash", far, api="v4")
    good, invalid, unknown = (sms(number_with(fault, far)) for fault in ("0000", "9904", "9928"))
    results = {result.key: result for result in carrier.submit([good, invalid, unknown])}
    assert isinstance(results[good.key], Accepted)
    assert isinstance(results[invalid.key], Rejected)
    assert isinstance(results[unknown.key], Unknown)
    with pytest.raises(OutOfFunds):
        carrier.submit([sms(number_with("9927", far))])
    with pytest.raises(Misconfigured):
        carrier.submit([sms(number_with("9926", far))])
    carrier.close()


def test_hundred_submissions_are_under_way_at_once(tmp_path: Any) -> None:
    with far_end(tmp_path, latency=0.5) as far:
        carrier = carrier_of("sparrow", far)
        batches = [[sms(f"+97798410{start:02d}{place:03d}") for place in range(10)] for start in range(10)]
        futures = [carrier.start(batch) for batch in batches]
        results = [result for future in futures for result in future.result(60)]
        assert {type(result) for result in results} == {Accepted}
        asked = [entry["at"] for entry in far.entries("asked")]
        taken = [entry["at"] for entry in far.entries("taken")]
        # All had arrived before the first was answered.
        assert sum(at < min(taken) for at in asked) > 60
        carrier.close()
