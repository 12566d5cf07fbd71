"""Test what an operator reads about a trunk: the SMSC's own words, whose they are, and which option is wrong."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import F
from django.utils import timezone

from telephony.carriers.base import Unknown
from telephony.carriers.smpp import diagnosis, resends
from telephony.carriers.smpp.network_errors import reason_of
from telephony.engine import circuit_breaker, delivery_reports, lifecycle
from telephony.models import (
    Bind,
    Cause,
    Delivery,
    DeliveryStatus,
    MessagePart,
    PastBind,
    Trunk,
    UnmatchedReport,
)
from tests.factories import make_delivery
from tests.telephony.smpp.scripted import Reply, Submitted, accept, receipt, refuse, text_of_receipt, world

S = DeliveryStatus
LONG = "क" * 150


class TestAdvice:
    pytestmark = pytest.mark.django_db(transaction=True)

    @pytest.mark.parametrize(
        ("response", "written", "options", "advice"),
        [
            ("{0:X}", "{0}", {}, 'message_ids = "hex-decimal"'),
            ("{0}", "{0:x}", {}, 'message_ids = "decimal-hex"'),
            ("{0}", "{0}", {"message_ids": "hex-decimal"}, 'message_ids = "same"'),
            ("{0}", "{0:x}", {"message_ids": "hex-decimal"}, 'message_ids = "decimal-hex"'),
            ("{0}", "x{0}", {}, "for SMS of another system"),
        ],
    )
    def test_receipts_that_match_nothing_name_the_option_to_change(
        self, settings: Any, trunk: Trunk, capsys: Any, response: str, written: str, options: Any, advice: str
    ) -> None:
        def script(one: Submitted) -> Iterable[Reply]:
            n = 6_700_000 + one.n
            return [accept(one, response.format(n)), receipt(one, text_of_receipt(written.format(n)))]

        with world(settings, script, **options) as it:
            it.send("1001", "1002", "1003")
            it.wait_acknowledged(3)
        # The trunk is closed, so its reports have been applied: they match nothing, and wait for a delivery.
        UnmatchedReport.objects.update(created_at=F("created_at") - timedelta(minutes=2))
        assert UnmatchedReport.objects.count() == 3
        call_command("trunk_status")
        shown = capsys.readouterr().out
        assert "WARNING: 3 receipts of the last 24 hours match no SMS" in shown
        assert advice in shown

    def test_receipts_that_match_give_no_advice(self, settings: Any, trunk: Trunk) -> None:
        with world(
            settings, lambda one: [accept(one, one.name), receipt(one, text_of_receipt(one.name))]
        ) as it:
            it.send("1001")
            it.wait_ended()
            assert it.carrier.advice() == []

    def test_long_sms_with_one_receipt_name_the_option(self, settings: Any, trunk: Trunk) -> None:
        def script(one: Submitted) -> Iterable[Reply]:
            ref = f"{one.name}{one.part}"
            return [accept(one, ref), *([receipt(one, text_of_receipt(ref))] if one.part == 3 else [])]

        with world(settings, script) as it:
            it.send("1019", text=LONG)
            it.wait(lambda: MessagePart.objects.filter(delivered=True).exists())
            assert it.carrier.advice() == [], "the others may still come"
            MessagePart.objects.update(delivered_at=F("delivered_at") - timedelta(minutes=6))
            (sentence,) = it.carrier.advice()
            assert 'receipts_for_long = "one"' in sentence

    def test_advice_takes_few_queries_for_any_number_of_receipts(
        self, trunk: Trunk, django_assert_max_num_queries: Any
    ) -> None:
        UnmatchedReport.objects.bulk_create(
            UnmatchedReport(trunk=trunk, ref=str(n), status=S.COMPLETED, at=timezone.now())
            for n in range(300)
        )
        UnmatchedReport.objects.update(created_at=timezone.now() - timedelta(minutes=2))
        options = {
            "message_ids": "same", "tlv_ids_as_text": False, "receipts_for_long": "auto", "concatenation": "udh",
        }  # fmt: skip
        with django_assert_max_num_queries(6):
            (sentence,) = diagnosis.advice("smsc", options)
        assert sentence.startswith("The latest 200 receipts")


@pytest.mark.django_db(transaction=True)
def test_each_refused_sms_has_the_name_of_its_status(settings: Any, trunk: Trunk) -> None:
    codes = {
        "2010": (0x0A, "refused", "ESME_RINVSRCADR (0x0A)"),
        "2011": (0x0B, "invalid", "ESME_RINVDSTADR (0x0B)"),
        "2067": (0x43, "refused", "ESME_RINVESMCLASS (0x43)"),
        "2400": (0x400, "refused", "vendor-specific status (0x400)"),
        "2001": (0x01, "refused", "ESME_RINVMSGLEN (0x01)"),
    }
    later = {"2088": 0x58, "2020": 0x14, "2008": 0x08, "2069": 0x45}

    def script(one: Submitted) -> Iterable[Reply]:
        if one.name in codes:
            return [refuse(one, codes[one.name][0])]
        if one.name in later:
            return [refuse(one, later[one.name])]
        return [accept(one, one.name), receipt(one, text_of_receipt(one.name))]

    with world(settings, script) as it:
        it.send(*codes, "3000", *later)
        it.wait_ended(*codes, "3000")
        for name, (_, cause, text) in codes.items():
            assert it.outcome(name) == ("FAILED", cause, text, 0)
        assert it.outcome("3000") == ("COMPLETED", "", "DELIVRD", 1)
        it.wait(lambda: {it.outcome(name)[0] for name in later} == {"QUEUED"})
        assert "ESME_RTHROTTLED (0x58)" in it.outcome("2088")[2]
        trunk.refresh_from_db()
        assert trunk.pause_reason == "", "a refused SMS never stops the trunk"


@pytest.mark.django_db
class TestWords:
    def test_text_of_an_earlier_attempt_does_not_stay(self, trunk: Trunk) -> None:
        delivery = make_delivery(trunk=trunk, carrier_text="It was not sent yet. The window was full.")
        lifecycle.claim(trunk_id=trunk.pk, limit=1, call_limit=None, last_owner=0)
        delivery.refresh_from_db()
        assert delivery.carrier_text == ""
        Delivery.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        lifecycle.expire_leases()
        Delivery.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
        lifecycle.lose_unreported()
        delivery.refresh_from_db()
        assert delivery.cause == Cause.LOST
        assert "its worker ended" in delivery.carrier_text
        assert delivery.carrier_text.endswith("no final report came in time.")

    def test_last_error_says_whether_the_trunk_works_since(self, trunk: Trunk, capsys: Any) -> None:
        circuit_breaker.rest("smsc", reason="Delivery 4711: ESME_RSYSERR (0x08)", seconds=0)
        call_command("trunk_status")
        assert "ESME_RSYSERR (0x08) (0 s ago; it has accepted nothing since)" in capsys.readouterr().out
        Trunk.objects.filter(pk=trunk.pk).update(last_error_at=timezone.now() - timedelta(minutes=3))
        make_delivery(trunk=trunk, status=S.COMPLETED, submitted_at=timezone.now())
        make_delivery(trunk=trunk, status=S.FAILED, cause=Cause.REFUSED, submitted_at=timezone.now())
        call_command("trunk_status")
        assert "(3 min ago; it has accepted 1 since)" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("error", "words"),
        [
            (OSError(errno.ECONNREFUSED, "x"), "nothing accepts connections"),
            (OSError(errno.ECONNRESET, "x"), "reset the connection"),
            (OSError(errno.EPIPE, "x"), "reset the connection"),
            (OSError(errno.ETIMEDOUT, "x"), "did not respond"),
            (OSError(errno.EHOSTUNREACH, "x"), "No route to host"),
            (socket.gaierror(-2, "Name or service not known"), "cannot be resolved"),
            (
                OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 1), [Errno 111] …"),
                "nothing accepts",
            ),
            (TimeoutError("the bind was not answered within 10 s"), "the bind was not answered within 10 s"),
        ],
    )
    def test_errors_of_connections_are_sentences(self, error: Exception, words: str) -> None:
        assert words in reason_of(error)
        assert "rrno" not in reason_of(error)


@pytest.mark.django_db
class TestManyBinds:
    """An SMSC that resets the connection often. Silence counts over all binds."""

    def unanswered(self, trunk: Trunk, *, seconds: float) -> Delivery:
        delivery = make_delivery(trunk=trunk, status=S.SUBMITTING, attempts=1)
        lifecycle.apply_results([Unknown(key=str(delivery.pk))], report_timeout=3600)
        Delivery.objects.filter(pk=delivery.pk).update(claimed_at=timezone.now() - timedelta(seconds=seconds))
        return delivery

    def binds(self, count: int, *, after_refusal: int | None = None) -> None:
        """Note binds of 10 s with 2 s between them; the last one lasts until now."""
        for place in reversed(range(count)):
            resends.note_bound(
                "smsc", at=time.monotonic() - 12 * place, seconds=10, after_refusal=place == after_refusal
            )
        Bind.objects.update(tells_numbers=True)

    def test_sms_is_resent_after_enough_short_binds(self, trunk: Trunk) -> None:
        delivery = self.unanswered(trunk, seconds=1000)
        self.binds(11)
        delivery_reports.look_up_unknown("smsc")
        assert Delivery.objects.get(pk=delivery.pk).status == S.UNKNOWN, "120 s of silence are not over"
        PastBind.objects.all().delete()
        self.binds(14)
        delivery_reports.look_up_unknown("smsc")
        assert Delivery.objects.get(pk=delivery.pk).status == S.QUEUED

    def test_time_before_the_submission_does_not_count(self, trunk: Trunk) -> None:
        delivery = self.unanswered(trunk, seconds=100)
        self.binds(14)
        delivery_reports.look_up_unknown("smsc")
        assert Delivery.objects.get(pk=delivery.pk).status == S.UNKNOWN

    def test_time_before_a_refused_receipt_does_not_count(self, trunk: Trunk) -> None:
        delivery = self.unanswered(trunk, seconds=1000)
        self.binds(14, after_refusal=5)
        delivery_reports.look_up_unknown("smsc")
        assert Delivery.objects.get(pk=delivery.pk).status == S.UNKNOWN
