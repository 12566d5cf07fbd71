"""Test how each SMS ends with the receipts that real SMSCs send: in any coding, spelling, order, and number."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from telephony.engine import lifecycle
from telephony.models import Delivery, DeliveryStatus, Trunk, UnmatchedReport
from tests.telephony.smpp.scripted import (
    DATA,
    RECEIVER,
    TRANSMITTER,
    Reply,
    Submitted,
    accept,
    data_body,
    receipt,
    text_of_receipt,
    tlv,
    world,
)

pytestmark = pytest.mark.django_db(transaction=True)

RECEIPTED_ID, STATE, PAYLOAD = 0x1E, 0x427, 0x424
LONG = "क" * 150  # three parts
DELIVERED = ("COMPLETED", "", "DELIVRD", 1)
UUID = "0E999F21-81EF-4B0C-9D11-0123456789AB"


def data_sm(one: Submitted, text: str, **fields: Any) -> Reply:
    body = data_body(one.to, esm_class=4, tlvs=tlv(PAYLOAD, text.encode()), **fields)
    return lambda connection: connection.push(DATA, body)


def packed(text: str) -> bytes:
    bits = sum(ord(character) << 7 * place for place, character in enumerate(text))
    return bits.to_bytes((7 * len(text) + 7) // 8, "little")


def tlvs(ref: str, state: int) -> bytes:
    return tlv(RECEIPTED_ID, ref.encode() + b"\0") + tlv(STATE, bytes([state]))


# By name: what the SMSC answers to the SMS with the id `ref`, and how it ends.
CASES: dict[str, tuple[Callable[[Submitted, str], Iterable[Reply]], tuple[str, str, str, int]]] = {
    # The octets are ASCII, and data_coding is that of the SMS.
    "1002": (lambda one, ref: [accept(one, ref), receipt(one, text_of_receipt(ref), coding=8)], DELIVERED),
    "1003": (
        lambda one, ref: [accept(one, ref), receipt(one, text_of_receipt(ref).encode("utf-16-be"), coding=8)],
        DELIVERED,
    ),
    "1103": (
        lambda one, ref: [accept(one, ref), receipt(one, text_of_receipt(ref).encode("utf-16-le"), coding=8)],
        DELIVERED,
    ),
    "1203": (
        lambda one, ref: [accept(one, ref), receipt(one, text_of_receipt(ref).encode("utf-16"), coding=0)],
        DELIVERED,
    ),
    "1303": (lambda one, ref: [accept(one, ref), receipt(one, packed(text_of_receipt(ref)))], DELIVERED),
    # "_" has another octet in the GSM alphabet.
    "1403": (
        lambda one, ref: [accept(one, f"A_{ref}"), receipt(one, text_of_receipt(f"A\x11{ref}"))],
        DELIVERED,
    ),
    "1004": (
        lambda one, ref: [accept(one, ref), receipt(one, f"id:{ref} stat:delivrd".lower())],
        DELIVERED,
    ),
    "1005": (
        lambda one, ref: [accept(one, ref), receipt(one, f"id:{ref} op:1 Stat:Delivered err:0 x:y text:a")],
        DELIVERED,
    ),
    "1006": (lambda one, ref: [accept(one, ref), receipt(one, "", tlvs=tlvs(ref, 2))], DELIVERED),
    "1007": (lambda one, ref: [receipt(one, text_of_receipt(ref)), accept(one, ref)], DELIVERED),
    "1009": (lambda one, ref: [accept(one, ref), data_sm(one, text_of_receipt(ref))], DELIVERED),
    "1010": (
        lambda one, ref: [
            accept(one, ref),
            receipt(one, text_of_receipt(ref, "ACCEPTD")),
            receipt(one, text_of_receipt(ref)),
        ],
        DELIVERED,
    ),
    "1012": (lambda one, ref: [accept(one, ref), *[receipt(one, text_of_receipt(ref))] * 2], DELIVERED),
    # Ids in other capitals, and with leading zeros.
    "1013": (lambda one, ref: [accept(one, UUID), receipt(one, text_of_receipt(UUID.lower()))], DELIVERED),
    "1113": (
        lambda one, ref: [accept(one, f"ab{ref}"), receipt(one, text_of_receipt(f"000AB{ref}"))],
        DELIVERED,
    ),
    "1213": (
        lambda one, ref: [accept(one, f"msg.{ref}X"), receipt(one, text_of_receipt(f"MSG.{ref}x"))],
        DELIVERED,
    ),
    "1014": (
        lambda one, ref: [accept(one, ref), receipt(one, text_of_receipt(ref, "FAILED", error="34"))],
        ("FAILED", "refused", "UNDELIV, error 34", 0),
    ),
    "1114": (
        lambda one, ref: [accept(one, ref), receipt(one, text_of_receipt(ref, "EXPIRED"))],
        ("FAILED", "expired", "EXPIRED, error 000", 0),
    ),
    "1015": (lambda one, ref: [accept(one, ref), receipt(one, text_of_receipt(ref), esm_class=0)], DELIVERED),
    "1017": (lambda one, ref: [accept(one, ref), receipt(one, text_of_receipt(ref) + "\0")], DELIVERED),
    "1033": (
        lambda one, ref: [accept(one, ref), receipt(one, text_of_receipt(ref), esm_class=0x44)],
        DELIVERED,
    ),
    "1027": (
        lambda one, ref: [
            accept(one, ref),
            receipt(one, text_of_receipt(ref, "UNDELIV", error="11")),
            receipt(one, text_of_receipt(ref)),
        ],
        ("FAILED", "refused", "UNDELIV, error 11", 0),
    ),
    # One digit is the number of a state; what else a word means, only its whole tells.
    "1129": (lambda one, ref: [accept(one, ref), receipt(one, text_of_receipt(ref, "2"))], DELIVERED),
    "1230": (lambda one, ref: [accept(one, ref), receipt(one, text_of_receipt(ref, "OK_SENT"))], DELIVERED),
}
# These decide nothing. By name: the state in the receipt, and the word that stays with the SMS.
UNDECIDED = {
    "1030": ("DND_REJECT", "DND_REJECT, error 044"),
    "1029": ("000", "000, error 044"),
    "1130": ("DELIVERY_FAILED", "DELIVERY_FAILED, error 044"),
    "1026": ("UNKNOWN", "UNKNOWN"),
    "1011": ("ENROUTE", "ENROUTE"),
}


def test_each_sms_ends_as_its_receipt_says(settings: Any, trunk: Trunk) -> None:
    def script(one: Submitted) -> Iterable[Reply]:
        return CASES[one.name][0](one, f"7{one.name}")

    with world(settings, script, states={"OK_SENT": "DELIVRD"}) as it:
        it.send(*CASES)
        it.wait_ended()
        assert {name: it.outcome(name) for name in CASES} == {name: end for name, (_, end) in CASES.items()}
        assert {status for _, status in it.smsc.acknowledged} == {0}


def test_states_that_decide_nothing_are_shown_and_end_as_lost(settings: Any, trunk: Trunk) -> None:
    def script(one: Submitted) -> Iterable[Reply]:
        state, _ = UNDECIDED[one.name]
        return [accept(one, one.name), receipt(one, text_of_receipt(one.name, state, error="044"))]

    with world(settings, script) as it:
        it.send(*UNDECIDED)
        it.wait_acknowledged(len(UNDECIDED))
        it.wait(lambda: all(it.outcome(name)[2] for name in UNDECIDED))
        words = {name: it.outcome(name) for name in UNDECIDED}
        for name, (_, word) in UNDECIDED.items():
            assert words[name][0] == "SUBMITTED"
            assert words[name][2].startswith(f"{word} ("), "the word, and when it came"
        Delivery.objects.update(expires_at="2020-01-01T00:00:00Z")
        lifecycle.lose_unreported()
        for name in UNDECIDED:
            status, cause, text, credits = it.outcome(name)
            assert (status, cause, credits) == ("FAILED", "lost", 0)
            assert text == f"{words[name][2]}; no final report came in time."


def test_sms_without_any_receipt_says_so_when_it_is_lost(settings: Any, trunk: Trunk) -> None:
    with world(settings, lambda one: [accept(one, one.name)]) as it:
        it.send("1011")
        it.wait_submitted()
        Delivery.objects.update(expires_at="2020-01-01T00:00:00Z")
        lifecycle.lose_unreported()
        assert it.outcome("1011") == ("FAILED", "lost", "No report came in time.", 0)


def test_separate_binds_submit_over_one_and_receive_over_the_other(settings: Any, trunk: Trunk) -> None:
    with world(settings, lambda one: [accept(one, one.name)], bind="separate") as it:
        it.send("1001", "1002")
        it.wait_submitted()
        assert len(it.smsc.bound(RECEIVER)) == len(it.smsc.bound(TRANSMITTER)) == 1
        for one in list(it.smsc.submitted):
            it.smsc.do(receipt(one, text_of_receipt(one.name)))
        it.wait_ended()
        assert it.outcome("1001") == it.outcome("1002") == DELIVERED
        assert "transmitter bound to" in it.carrier.status()
        it.smsc.bound(RECEIVER)[0].socket.shutdown(2)
        it.wait(lambda: "receiver not bound" in it.carrier.status() or len(it.smsc.bound(RECEIVER)) == 2)
        it.wait(
            lambda: len(it.smsc.bound(RECEIVER)) == 2 and it.carrier.status().startswith("transmitter bound")
        )


class TestReusedIds:
    def test_restarted_smsc_uses_its_ids_again(self, settings: Any, trunk: Trunk) -> None:
        with world(settings, lambda one: [accept(one, "5"), receipt(one, text_of_receipt("5"))]) as it:
            it.send("1001")
            it.wait_ended()
            it.send("1002")
            it.wait_ended()
            assert it.outcome("1001") == it.outcome("1002") == DELIVERED

    def test_receipt_before_its_response_is_not_taken_for_the_old_sms(
        self, settings: Any, trunk: Trunk
    ) -> None:
        def script(one: Submitted) -> Iterable[Reply]:
            if one.n == 1:
                return [accept(one, "5"), receipt(one, text_of_receipt("5"))]
            return [receipt(one, text_of_receipt("5"))]

        with world(settings, script) as it:
            it.send("1001")
            it.wait_ended()
            first = it.deliveries["1001"]
            it.send("1001")
            it.wait_acknowledged(2)
            it.smsc.do(accept(it.smsc.submitted[1], "5"))
            it.wait_ended()
            assert it.outcome("1001") == DELIVERED
            assert not UnmatchedReport.objects.exists()
            assert Delivery.objects.get(pk=first.pk).status == DeliveryStatus.COMPLETED

    def test_failed_receipt_ends_the_new_sms_and_not_an_old_unfinished_one(
        self, settings: Any, trunk: Trunk
    ) -> None:
        with world(settings, lambda one: [accept(one, "5")]) as it:
            it.send("1001")
            it.wait_submitted()
            it.send("1002")
            it.wait_submitted()
            it.smsc.do(receipt(it.smsc.submitted[1], text_of_receipt("5", "UNDELIV", error="1")))
            it.wait_ended("1002")
            assert it.outcome("1002") == ("FAILED", "refused", "UNDELIV, error 1", 0)
            assert it.outcome("1001")[0] == "SUBMITTED"
            it.smsc.do(receipt(it.smsc.submitted[0], text_of_receipt("5")))
            it.wait_ended()
            assert it.outcome("1001") == DELIVERED
