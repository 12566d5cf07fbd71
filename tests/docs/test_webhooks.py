"""Test docs/webhooks.md: its examples have the keys of real events, and its function verifies real requests."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone

from accounts import credits, low_credits
from accounts.models import Account
from campaigns import runs
from otp.services import send_otp
from telephony import inbox
from telephony.carriers.base import InboundSms
from telephony.engine import circuit_breaker
from telephony.models import Cause, Channel, DeliveryStatus, OptOutWay, PauseCause
from telephony.models.statuses import END
from telephony.webhook_events import MAX_TEXT_CHARACTERS
from tests.engine import run_to_the_end
from tests.factories import make_account, make_campaign, make_delivery, make_phone_number
from tests.webhooks.making import bodies, make_endpoint
from webhooks import attempts, endpoints, sender, signing
from webhooks.events import MAX_BODY_BYTES, TEST, Event

TEXT = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"<!-- ([\w.]+) -->\n```json\n(.*?)\n```", TEXT, re.DOTALL))


def test_every_event_has_an_example() -> None:
    assert set(EXAMPLES) == {*Event, TEST}
    assert TEXT.count("```json") == len(EXAMPLES)


def kind_of(value: Any) -> str:
    """Return the kind of a JSON value. Amounts are whole or not."""
    return (
        "number" if isinstance(value, int | float) and not isinstance(value, bool) else type(value).__name__
    )


def happen(account: Account) -> None:
    """Let every event happen to this account once or more often."""
    endpoint = make_endpoint(account)
    Account.objects.filter(pk=account.pk).update(low_credit_level=500)
    make_phone_number(number="9800000101", owner=account)
    runs.begin(campaign=make_campaign(owner=account, numbers=[9841000001]), message="Namaste")
    send_otp(account=account, number="9841000001", message="{otp}", channel=Channel.SMS)
    run_to_the_end()
    inbox.receive(
        "sandbox",
        [InboundSms(sender="+9779841000001", to="9800000101", text="STOP", at=timezone.now(), ref="1")],
    )
    make_delivery(owner=account)
    circuit_breaker.fail("sandbox", reason="It is down.", cause=PauseCause.ERRORS)
    credits.charge(account=account, amount=Decimal(600), cause="number:1")
    low_credits.warn()
    endpoints.send_test(account=account, endpoint_id=endpoint.pk)


@pytest.mark.django_db
def test_examples_have_the_keys_and_kinds_of_real_events() -> None:
    account = make_account(credits=1000)
    happen(account)
    real = {body["type"]: body for body in bodies(account)}
    assert set(real) == set(EXAMPLES)
    for event, text in EXAMPLES.items():
        shown = json.loads(text)
        assert list(shown) == list(real[event])
        assert list(shown["data"]) == list(real[event]["data"]), event
        for key, value in real[event]["data"].items():
            if value is not None and shown["data"][key] is not None:
                assert kind_of(value) == kind_of(shown["data"][key]), (event, key)


@pytest.mark.parametrize(
    "word",
    sorted(
        {
            *(status.name.lower() for status in DeliveryStatus if status >= END),
            *(cause for cause in Cause if cause),
            *PauseCause,
            *(way for way in OptOutWay if way),
        }
    ),
)
def test_every_word_of_an_event_is_named(word: str) -> None:
    assert f"`{word}`" in TEXT


def test_limits_are_as_documented() -> None:
    assert f"{MAX_BODY_BYTES:,} bytes" in TEXT
    assert f"{MAX_TEXT_CHARACTERS:,} characters" in TEXT
    assert f"within {sender.TIMEOUT_SECONDS:.0f} seconds" in TEXT
    assert f"more than {attempts.QUICK_SECONDS:.0f} seconds" in TEXT
    assert f"up to {endpoints.MAX_ENDPOINTS} endpoints" in TEXT
    assert f"for {settings.IRIS_KEEP_WEBHOOKS_DAYS} days" in TEXT


def test_documented_function_verifies_requests() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    verify: Callable[[str, dict[str, str], bytes], bool] = namespace["is_from_iris"]
    old, new = signing.new_secret(), signing.new_secret()
    body = '{"text":"नमस्ते"}'
    for now, secrets, expected in (
        (datetime.now(UTC), [new, old], True),
        (datetime.now(UTC), [old], False),
        (datetime.fromtimestamp(time.time() - 400, UTC), [new], False),
    ):
        headers = signing.headers(webhook_id="msg_1", body=body, secrets=secrets, now=now)
        assert verify(new, headers, body.encode()) is expected
        assert not verify(new, headers, body.encode() + b" ")
