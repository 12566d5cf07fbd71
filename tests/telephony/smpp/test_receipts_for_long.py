"""Test SMSCs that send one receipt for a long SMS, on its first or last part: configured, learned, and not."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from telephony.engine import lifecycle, part_reports
from telephony.models import Delivery, MessagePart, PartReporting, Trunk
from tests.telephony.smpp.scripted import Reply, Submitted, accept, receipt, text_of_receipt, world

pytestmark = pytest.mark.django_db(transaction=True)

LONG = "क" * 150  # three parts


class TestLongSms:
    @pytest.mark.parametrize("place", [1, 3], ids=["first", "last"])
    def test_one_receipt_counts_for_all_parts_if_configured(
        self, settings: Any, trunk: Trunk, place: int
    ) -> None:
        def script(one: Submitted) -> Iterable[Reply]:
            ref = f"{one.name}{one.part}"
            return [accept(one, ref), *([receipt(one, text_of_receipt(ref))] if one.part == place else [])]

        with world(settings, script, receipts_for_long="one") as it:
            it.send("1019", text=LONG, credit_limit=3)
            it.wait_ended()
            assert it.outcome("1019") == ("COMPLETED", "", "DELIVRD", 3)

    def test_each_part_needs_its_receipt_by_default(self, settings: Any, trunk: Trunk) -> None:
        def script(one: Submitted) -> Iterable[Reply]:
            ref = f"{one.name}{one.part}"
            return [accept(one, ref), *([receipt(one, text_of_receipt(ref))] if one.part < 3 else [])]

        with world(settings, script) as it:
            it.send("1019", text=LONG, credit_limit=3)
            it.wait(lambda: MessagePart.objects.filter(delivered=True).count() == 2)
            Delivery.objects.update(expires_at="2020-01-01T00:00:00Z")
            lifecycle.lose_unreported()
            text = "DELIVRD for 2 of 3 parts; no report about the others came in time."
            assert it.outcome("1019") == ("FAILED", "lost", text, 0)

    @pytest.mark.parametrize("place", [1, 3], ids=["first", "last"])
    def test_habit_of_one_receipt_is_learned_and_corrects_the_lost(
        self, settings: Any, trunk: Trunk, place: int
    ) -> None:
        def script(one: Submitted) -> Iterable[Reply]:
            ref = f"{one.name}{one.part}"
            return [accept(one, ref), *([receipt(one, text_of_receipt(ref))] if one.part == place else [])]

        with world(settings, script) as it:
            names = [f"20{n:02d}" for n in range(part_reports.MIN_SMS)]
            it.send(*names, text=LONG)
            it.wait(lambda: MessagePart.objects.filter(delivered=True).count() == len(names))
            look(it.carrier)
            assert {it.outcome(name)[0] for name in names} == {"SUBMITTED"}, "others may still come"
            age_reports(seconds=it.carrier.report_timeout() / 2 + 1)
            Delivery.objects.filter(pk=it.deliveries[names[0]].pk).update(expires_at="2020-01-01T00:00:00Z")
            lifecycle.lose_unreported()
            assert it.outcome(names[0])[1] == "lost"
            look(it.carrier)
            assert {it.outcome(name) for name in names} == {("COMPLETED", "", "DELIVRD", 3)}
            it.carrier._part_reporting._read_at = -100
            it.send("2099", text=LONG)
            it.wait_ended("2099")
            assert "one receipt counts for all parts" in " ".join(it.carrier.advice())

    def test_second_receipt_shows_that_each_part_is_reported(self, settings: Any, trunk: Trunk) -> None:
        def script(one: Submitted) -> Iterable[Reply]:
            ref = f"{one.name}{one.part}"
            told = one.part == 1 or one.name == "2000"
            return [accept(one, ref), *([receipt(one, text_of_receipt(ref))] if told else [])]

        with world(settings, script) as it:
            names = [f"20{n:02d}" for n in range(part_reports.MIN_SMS + 1)]
            it.send(*names, text=LONG)
            it.wait(lambda: MessagePart.objects.filter(delivered=True).count() == len(names) + 2)
            age_reports(seconds=86400)
            look(it.carrier)
            assert {it.outcome(name)[0] for name in names[1:]} == {"SUBMITTED"}
            assert PartReporting.objects.get().one_since is None

    def test_one_id_for_all_parts_completes_the_sms_once(self, settings: Any, trunk: Trunk) -> None:
        def script(one: Submitted) -> Iterable[Reply]:
            return [
                accept(one, one.name),
                *([receipt(one, text_of_receipt(one.name))] if one.part == 3 else []),
            ]

        with world(settings, script) as it:
            it.send("1021", text=LONG)
            it.wait_ended()
            assert it.outcome("1021") == ("COMPLETED", "", "DELIVRD", 3)


def look(carrier: Any) -> None:
    part_reports._looked_at.clear()
    part_reports.learn(carrier)


def age_reports(*, seconds: float) -> None:
    age = timedelta(seconds=seconds)
    MessagePart.objects.filter(delivered=True).update(delivered_at=F("delivered_at") - age)
