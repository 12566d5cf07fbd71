"""Reports find their deliveries by id and number, also when an SMSC uses its ids again."""

from __future__ import annotations

import pytest
from django.utils import timezone

from telephony.carriers.base import Accepted, CarrierEvent
from telephony.engine import delivery_reports, lifecycle
from telephony.models import Channel, Delivery, DeliveryStatus
from tests.factories import make_delivery, make_trunk

pytestmark = pytest.mark.django_db

S = DeliveryStatus
EARLIER, LATER = "+9779841000001", "+9779841000002"


def sms(number: str, **fields: object) -> Delivery:
    return make_delivery(channel=Channel.SMS, trunk=make_trunk("sandbox"), to=number, attempts=1, **fields)


def report(number: str, status: DeliveryStatus) -> None:
    delivery_reports.apply_events(
        "sandbox", [CarrierEvent(ref="7", status=status, number=number, at=timezone.now())]
    )


def statuses() -> dict[str, int]:
    return dict(Delivery.objects.values_list("to", "status"))


@pytest.mark.parametrize("ended", [S.COMPLETED, S.FAILED])
def test_a_report_on_a_reused_id_waits_for_the_submit_response_of_its_own_sms(ended: DeliveryStatus) -> None:
    sms(EARLIER, status=ended, ref="7", cause="lost" if ended == S.FAILED else "")
    later = sms(LATER, status=S.SUBMITTING)
    report(LATER, S.COMPLETED)
    assert statuses() == {EARLIER: ended, LATER: S.SUBMITTING}
    lifecycle.apply_results([Accepted(key=str(later.pk), ref="7")], report_timeout=3600)
    delivery_reports.match_again("sandbox")
    assert statuses() == {EARLIER: ended, LATER: S.COMPLETED}


def test_a_repeated_report_on_an_ended_sms_changes_nothing() -> None:
    sms(EARLIER, status=S.COMPLETED, ref="7")
    sms(LATER, status=S.SUBMITTING)
    report(EARLIER, S.FAILED)
    assert statuses() == {EARLIER: S.COMPLETED, LATER: S.SUBMITTING}


def test_logged_reports_show_no_texts_and_no_keys() -> None:
    report = lifecycle.Report(
        id=7, status=DeliveryStatus.COMPLETED, at=None, text="to 9841000001", digits="4711"
    )
    assert "9841000001" not in repr(report)
    assert "4711" not in repr(report)
