"""Test binds, responses and endings of sessions with SMSCs that have ways of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from telephony.models import Trunk
from tests.telephony.smpp.scripted import (
    ANSWER,
    DELIVERED,
    SUBMIT,
    Reply,
    Submitted,
    accept,
    pdu,
    receipt,
    refuse,
    text_of_receipt,
    world,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_response_of_the_last_connection_is_not_taken_for_a_new_sms(settings: Any, trunk: Trunk) -> None:
    """The SMSC loses the connection, and sends the response that it owed over the next one."""
    owed: list[Submitted] = []

    def script(one: Submitted) -> Iterable[Reply]:
        if one.name == "1001":
            owed.append(one)
            return []
        return [
            accept(owed[0], "old"),
            accept(one, "new"),
            receipt(owed[0], text_of_receipt("old", "UNDELIV", error="1")),
            receipt(one, text_of_receipt("new")),
        ]

    with world(settings, script, reconnect_seconds=1) as it:
        it.send("1001")
        it.wait(lambda: owed)
        it.smsc.hang_up()
        it.wait(lambda: it.smsc.connections)
        it.send("1002")
        it.wait_ended("1002")
        assert it.outcome("1002") == DELIVERED
        assert it.outcome("1001")[0] == "UNKNOWN"


def test_receipt_before_the_response_to_the_bind_is_kept(settings: Any, trunk: Trunk) -> None:
    with world(settings, lambda one: [accept(one, one.name)], reconnect_seconds=1) as it:
        it.send("1001")
        it.wait_submitted()
        (one,) = it.smsc.submitted
        it.smsc.before_bind = [receipt(one, text_of_receipt("1001"))]
        it.smsc.hang_up()
        it.wait_ended()
        assert it.outcome("1001") == DELIVERED


def test_smsc_that_unbinds_with_responses_outstanding_decides_them_first(settings: Any, trunk: Trunk) -> None:
    """Half of the SMS have their responses when the SMSC unbinds, the others get theirs just before its end."""
    waiting: list[Submitted] = []

    def script(one: Submitted) -> Iterable[Reply]:
        waiting.append(one)
        if len(waiting) < 4:
            return []
        late = waiting[2:]
        return [
            *[accept(early, early.name) for early in waiting[:2]],
            lambda connection: connection.write(pdu(0x06, 5)),
            *[accept(each, each.name) for each in late],
            *[receipt(each, text_of_receipt(each.name)) for each in waiting],
        ]

    with world(settings, script, reconnect_seconds=1) as it:
        it.send("1001", "1002", "1003", "1004")
        it.wait_ended()
        assert {it.outcome(name) for name in it.deliveries} == {DELIVERED}
        it.wait(lambda: (0x06 | ANSWER, 0) in it.smsc.acknowledged)


def test_refusals_beside_acceptances_fail_only_their_own_sms(settings: Any, trunk: Trunk) -> None:
    """Statuses of vendors, also with a message id in the response to a refused SMS."""
    codes = {"3001": 0x0400, "3002": 0x04FF, "3003": 0x07, "3004": 0x0101, "3005": 0xC2}

    def script(one: Submitted) -> Iterable[Reply]:
        if one.name in codes:
            return [
                refuse(one, codes[one.name])
                if one.name != "3002"
                else lambda connection: connection.write(
                    pdu(SUBMIT | ANSWER, one.sequence, status=codes[one.name], body=b"17\0")
                )
            ]
        return [accept(one, one.name), receipt(one, text_of_receipt(one.name))]

    with world(settings, script) as it:
        it.send("1001", *codes, "1002")
        it.wait_ended()
        assert {it.outcome(name)[:2] for name in codes} == {("FAILED", "refused")}
        assert it.outcome("1001") == it.outcome("1002") == DELIVERED
        trunk.refresh_from_db()
        assert trunk.pause_reason == ""
