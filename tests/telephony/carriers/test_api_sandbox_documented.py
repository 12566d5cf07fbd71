"""Compare the answers of /sandbox/ with the examples of docs/api-v0.md."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from accounts import twins
from accounts.models import Account
from campaigns.models import Service
from telephony.models import SandboxMessage
from tests.factories import make_account, make_campaign
from tests.golden import assert_answers_as_documented
from tests.telephony.carriers.sandboxing import sent
from tests.telephony.carriers.test_sandbox_of_twins import client_with_key

pytestmark = pytest.mark.django_db


@pytest.fixture
def twin(settings: Any) -> Account:
    settings.IRIS_SANDBOX_SPEED = 0.1  # no call ends during the test
    return twins.open_twin(account=make_account())


def test_examples_of_the_document_are_right(twin: Account) -> None:
    client = client_with_key(twin)
    sms = sent(make_campaign(owner=twin, service=Service.SMS, message="Your code is 471100"))[0]
    SandboxMessage.objects.filter(pk=sms.pk).update(
        to="+9779841000017", caller="31001", end_at=timezone.now()
    )
    assert_answers_as_documented(client, "sandbox_messages")
    assert_answers_as_documented(client, "sandbox_reply", message=sms.pk)
    call = sent(make_campaign(owner=twin, service=Service.CALL, message="Namaste"))[0]
    assert_answers_as_documented(client, "sandbox_press", message=call.pk)
    assert_answers_as_documented(client, "sandbox_faults")
