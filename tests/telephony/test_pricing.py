"""telephony.pricing: credits for SMS and calls."""

from decimal import Decimal
from typing import Any

import pytest
from django.test import override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telephony.pricing import call_credits, paid_seconds, sms_credits


@pytest.fixture(autouse=True)
def _rates(settings: Any) -> None:
    settings.IRIS_SMS_CREDITS = Decimal("1")
    settings.IRIS_CALL_CREDITS = Decimal("2")
    settings.IRIS_CALL_PULSE_SECONDS = 60


@pytest.mark.parametrize(("segments", "credits"), [(0, "0.00"), (1, "1.00"), (3, "3.00")])
def test_sms_price_is_per_segment(segments: int, credits: str) -> None:
    assert str(sms_credits(segments)) == credits


@pytest.mark.parametrize(
    ("seconds", "credits"),
    [
        (0, "2.00"),
        (0.2, "2.00"),
        (60, "2.00"),
        (59.9996, "2.00"),
        (60.0002, "2.00"),
        (60.0004, "2.00"),
        (60.000499, "2.00"),
        (60.0005, "2.00"),
        (60.0006, "4.00"),
        (60.001, "4.00"),
        (120, "4.00"),
        (121.5, "6.00"),
        (Decimal("60.5"), "4.00"),
    ],
)
def test_call_price_is_per_started_pulse(seconds: float, credits: str) -> None:
    assert str(call_credits(seconds)) == credits
    assert call_credits(paid_seconds(seconds)) == call_credits(seconds)
    assert paid_seconds(seconds) == 30 * Decimal(credits)


def test_rates_are_settings_and_prices_have_two_decimal_places(settings: Any) -> None:
    settings.IRIS_SMS_CREDITS = Decimal("0.335")
    settings.IRIS_CALL_CREDITS = Decimal("0.5")
    settings.IRIS_CALL_PULSE_SECONDS = 30
    assert str(sms_credits(1)) == "0.34"
    assert str(sms_credits(2)) == "0.67"
    assert str(call_credits(61)) == "1.50"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shorter=st.floats(0, 1e6), longer=st.floats(0, 1e6), rate=st.decimals(0, 100, places=4))
def test_price_never_decreases_with_usage(shorter: float, longer: float, rate: Decimal) -> None:
    shorter, longer = sorted((shorter, longer))
    assert call_credits(shorter) <= call_credits(longer)
    with override_settings(IRIS_SMS_CREDITS=rate):
        assert sms_credits(int(shorter)) <= sms_credits(int(longer))


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_negative_or_infinite_usage_raises_value_error(seconds: float) -> None:
    with pytest.raises(ValueError, match="seconds"):
        call_credits(seconds)
    with pytest.raises(ValueError, match="segments"):
        sms_credits(-1)
