"""Import lists as offices, schools and hospitals really send them. Nobody is lost without a word in the answer.

Each list goes through the API. The test names who is imported, and what the answer says about the rest.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from campaigns.models import Campaign, Recipient
from tests.campaigns.recipients.clerks_lists import CASES
from tests.factories import make_account
from tests.v0 import Caller

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("name", CASES)
def test_a_list_of_an_office_reaches_everybody_or_says_who_is_left_out(name: str) -> None:
    case = CASES[name]
    caller = Caller(make_account())
    content = case.content if isinstance(case.content, bytes) else case.content.encode()
    fields = {"name": name, "services": "SMS", "send_to_number_file": SimpleUploadedFile(case.file, content)}
    status = 400 if case.refused else 201
    answer: dict[str, Any] = caller.post("/api/system/campaigns/", fields, format="multipart", status=status)
    errors = [(error["row"], error["message"]) for error in answer["errors"] if "row" in error]
    for row, words in case.said:
        assert any(at == row and words in message for at, message in errors), errors
    if case.refused:
        assert case.refused in answer["message"]
        assert not Campaign.objects.exists()
        return
    if case.is_complete:
        assert len(errors) == len(case.said), errors
    recipients = list(Recipient.objects.order_by("pk"))
    assert [recipient.to for recipient in recipients] == [f"+977{number}" for number in case.reached]
    if case.names:
        assert [recipient.tags[case.tag] for recipient in recipients] == list(case.names)
    assert not any(re.search(r"[_A-Z]{6,}|Traceback|None", message) for _, message in errors)
