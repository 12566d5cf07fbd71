"""One day of an account through the real API: every action leaves its entry, with its actor, in plain sentences."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import override_settings
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.models import Account, AuditEntry
from campaigns import tasks
from campaigns.models import Run
from campaigns.recipients import background_imports
from tests import engine
from tests.accounts.signin.pages import Browser, turn_on_totp
from tests.campaigns.surveys.surveying import make_survey
from tests.factories import client_of, make_account, make_member, make_phone_number, owner_of

pytestmark = pytest.mark.django_db


def sentences(account: Account) -> list[str]:
    client = client_of(owner_of(account.parent or account))
    answer = client.get("/api/system/audit/", HTTP_X_ACCOUNT=str(account.pk)).json()
    return [one["sentence"] for one in answer["data"]["entries"][::-1]]


class Day:
    """A person's client, and the sentences that its last request has added to the log."""

    def __init__(self, account: Account, client: APIClient) -> None:
        self.account, self.client = account, client

    def does(
        self, method: str, path: str, body: Any = None, *, status: int | None = None, **options: Any
    ) -> list[str]:
        before = len(sentences(self.account))
        send = getattr(self.client, method.lower())
        answer = send(path, body, **{"format": "json", **options})
        assert answer.status_code == status if status else answer.status_code < 300, answer.content
        self.answer = answer.json() if answer["Content-Type"] == "application/json" else answer.getvalue()
        return sentences(self.account)[before:]

    def uses_pages(self, act: Callable[[], object]) -> list[str]:
        """Return the sentences that something in the pages of the sign-in has added."""
        before = len(sentences(self.account))
        act()
        return sentences(self.account)[before:]


def sheet(*numbers: int) -> SimpleUploadedFile:
    return SimpleUploadedFile("people.csv", "\n".join(["number", *map(str, numbers)]).encode(), "text/csv")


def test_every_action_of_a_day_leaves_its_entry() -> None:
    account = make_account(email="sita@example.com", first_name="Sita", last_name="Rai", credits=1000)
    sita = Day(account, client_of(account))
    hari = Day(account, client_of(make_member(account, "sender", first_name="Hari", last_name="Lama")))
    number = make_phone_number()

    # People, keys, numbers, settings
    does = sita.does
    assert does("POST", "/api/system/members/", {"email": "gita@example.com", "preset": "viewer"}) == [
        "Sita Rai added gita@example.com as a member: view."
    ]
    member = sita.answer["data"]["member"]["id"]
    assert does("PUT", f"/api/system/members/{member}/", {"preset": "author"}) == [
        "Sita Rai changed the permissions of gita@example.com to: view, prepare."
    ]
    assert does("PUT", f"/api/system/members/{member}/", {"preset": "author"}) == []
    assert does("DELETE", f"/api/system/members/{member}/") == [
        "Sita Rai removed the member gita@example.com."
    ]
    assert does("POST", "/api/system/keys/", {"name": "website", "scopes": ["view", "send"]}) == [
        "Sita Rai created the API key “website” with the scopes view, send."
    ]
    key = sita.answer["data"]["key"]["id"]
    assert does("DELETE", f"/api/system/keys/{key}/") == ["Sita Rai revoked the API key “website”."]
    assert does("POST", "/api/system/phone_numbers/", {"phone_sid": number.sid}) == [
        f"Sita Rai bought the phone number {number.number}.",
        f"Sita Rai spent 40.00 credits (Phone number {number.number}).",
    ]
    assert does("DELETE", "/api/system/phone_numbers/", {"phone_sid": number.sid}) == [
        f"Sita Rai released the phone number “{number.number}”."
    ]
    assert does("PUT", "/api/system/settings/", {"approval_above": 4}) == [
        "Sita Rai changed settings: the number of recipients above which runs need approval from off to 4."
    ]

    # Departments and the test twin
    assert does("POST", "/api/system/departments/", {"name": "Ward 5"}) == [
        "Sita Rai created the department “Ward 5”."
    ]
    ward = Account.objects.get(pk=sita.answer["data"]["department"]["id"])
    transfer = f"/api/system/departments/{ward.pk}/transfer/"
    assert does("POST", transfer, {"amount": 100, "direction": "to_department", "note": "July"}) == [
        "Sita Rai moved 100.00 credits to another account (July)."
    ]
    assert does("POST", transfer, {"amount": 40, "direction": "from_department"}) == [
        "Sita Rai moved 40.00 credits here from another account (From Ward 5)."
    ]
    maya = make_member(ward, "sender", first_name="Maya")
    head = Day(ward, client_of(maya))
    assert head.does("PATCH", f"/api/system/departments/{ward.pk}/", {"name": "x"}, status=403) == []
    assert does("PATCH", f"/api/system/departments/{ward.pk}/", {"name": "Ward V"}) == []
    assert sentences(ward)[1:] == [
        "Sita Rai moved 100.00 credits here from another account (July).",
        "Sita Rai moved 40.00 credits to another account (To sita@example.com).",
        f"The server added {maya.email} as a member: prepare, send, view.",
        "Sita Rai changed settings: the name from Ward 5 to Ward V.",
    ]
    assert does("POST", "/api/system/keys/", {"name": "ci", "scopes": ["view", "send"], "test": True}) == [
        "Sita Rai created the test twin “sita@example.com (test)”.",
        "Sita Rai created the test key “ci” with the scopes view, send.",
    ]
    assert does("POST", "/api/system/twin/") == []  # it is full
    assert does("POST", "/api/system/keys/revoke_all/") == ["Sita Rai revoked the test key “ci”."]

    # The sign-in in the browser
    browser = Browser()
    assert sita.uses_pages(lambda: browser.sign_in("sita@example.com")) == ["Sita Rai signed in."]
    assert sita.uses_pages(lambda: turn_on_totp(browser)) == [
        "Sita Rai set up an authenticator app for “sita@example.com”.",
        "Sita Rai made new recovery codes for “sita@example.com”.",
    ]
    other = Browser()
    other.sign_in("sita@example.com")
    code = "/accounts/two-step/authenticate/"
    assert sita.uses_pages(lambda: other.post(code, {"code": "000000"})) == [
        "Somebody who has not signed in failed to sign in as sita@example.com."
    ]
    remove = "/accounts/two-step/app/deactivate/"
    assert sita.uses_pages(lambda: browser.post(remove)) == [
        "Sita Rai removed the authenticator app of “sita@example.com”."
    ]

    # A campaign and its recipients, one by one and in sets
    assert does(
        "POST",
        "/api/system/campaigns/",
        {"name": "Meeting", "services": "SMS", "individual_number": [9841000001, 9841000002]},
    ) == [
        "Sita Rai created the campaign “Meeting”.",
        "Sita Rai added 2 recipients to the campaign “Meeting”.",
    ]
    campaign = AuditEntry.objects.latest("pk").campaign_id
    assert does("PUT", f"/api/system/campaigns/{campaign}/update/", {"name": "Meeting 2"}) == [
        "Sita Rai changed the campaign “Meeting 2”: name."
    ]
    assert does(
        "POST", f"/api/system/campaigns/number/{campaign}/", {"number": 9841000003}, format="json"
    ) == ["Sita Rai added 1 recipient to the campaign “Meeting 2”."]
    recipient = sita.answer["data"]["number-lists"]["id"]
    assert does("PUT", f"/api/system/number/{recipient}/", {"number": 9841000004}) == [
        "Sita Rai changed a recipient of the campaign “Meeting 2”."
    ]
    assert does("PUT", f"/api/system/number/{recipient}/", {"number": 9841000004}) == []
    assert does("DELETE", f"/api/system/campaigns/number/{recipient}/delete/") == [
        "Sita Rai removed 1 recipient from the campaign “Meeting 2”."
    ]
    contacts = {"contacts": [{"number": 9841000010 + n} for n in range(50)]}
    assert does("POST", f"/api/v1/campaign/{campaign}/add-contact/", contacts) == [
        "Sita Rai added 50 recipients to the campaign “Meeting 2”."
    ]
    detail = f"/api/v1/campaign/create/{campaign}/detail/"
    assert does("POST", detail, {"bulk_file": sheet(9841000101, 9841000102)}, format="multipart") == [
        "Sita Rai added 2 recipients to the campaign “Meeting 2”."
    ]
    with override_settings(IRIS_BACKGROUND_IMPORT_BYTES=1):
        assert does(
            "POST", detail, {"bulk_file": sheet(*range(9841000200, 9841000300))}, format="multipart"
        ) == ["Sita Rai uploaded a sheet of recipients for the campaign “Meeting 2”."]
    background_imports.import_all()
    assert sentences(account)[-1:] == [
        "The server added 100 recipients from an uploaded sheet to the campaign “Meeting 2”."
    ]

    # Runs
    begin = f"/api/system/campaigns/{campaign}/begin/"
    assert does("POST", begin, {"message": "Secret words"}) == [
        "Sita Rai changed the campaign “Meeting 2”: message, voice.",
        "Sita Rai asked to begin the campaign “Meeting 2” for 154 recipients, which needs approval.",
    ]
    run = Run.objects.latest("pk").pk
    assert hari.does(
        "POST", f"/api/system/campaigns/{campaign}/reject/", {"run": run, "reason": "Too late"}
    ) == ["Hari Lama rejected the run of the campaign “Meeting 2”: Too late."]
    assert does("POST", begin, {"message": "Secret words"}) == [
        "Sita Rai asked to begin the campaign “Meeting 2” for 154 recipients, which needs approval."
    ]
    assert does("PATCH", f"/api/v1/campaign/{campaign}/", {"sms_message": "Other words"}) == [
        "Sita Rai changed the campaign “Meeting 2”: SMS message.",
        "Sita Rai withdrew the run of the campaign “Meeting 2” that had not started.",
        "Sita Rai asked to begin the campaign “Meeting 2” for 154 recipients, which needs approval.",
    ]
    run = Run.objects.latest("pk").pk
    assert hari.does("POST", f"/api/system/campaigns/{campaign}/approve/", {"run": run}) == [
        "Hari Lama approved the run of the campaign “Meeting 2”."
    ]
    before = len(sentences(account))
    engine.run_all_loops_once()  # no entry for what is sent
    assert len(sentences(account)) == before
    for action, said in (("pause", "paused"), ("resume", "resumed"), ("stop", "stopped")):
        assert hari.does("POST", f"/api/system/campaigns/{campaign}/{action}/") == [
            f"Hari Lama {said} the campaign “Meeting 2”."
        ]
    engine.run_to_the_end()
    individual = {"individual": [Run.objects.get(pk=run).campaign.recipients.earliest("pk").pk]}
    assert does("POST", begin, {"message": "Secret words", **individual})[-1] == (
        "Sita Rai began the campaign “Meeting 2” for 1 recipient."
    )
    engine.run_to_the_end()
    later = f"{timezone.localtime() + timedelta(days=2):%Y-%m-%dT%H:%M}"
    assert does("POST", begin, {"message": "Secret words", **individual, "schedule_date": later})[
        -1
    ].startswith("Sita Rai scheduled the campaign “Meeting 2” for 1 recipient, to start at ")
    assert does("POST", f"/api/system/campaigns/{campaign}/stop/") == [
        "Sita Rai stopped the campaign “Meeting 2”."
    ]
    engine.run_to_the_end()
    assert does("POST", begin, {"message": "Secret words"})[-1].endswith("which needs approval.")
    Run.objects.filter(status="awaiting").update(approve_until=timezone.now())
    tasks._tick()
    assert sentences(account)[-1] == (
        "The server ended the run of the campaign “Meeting 2”, because nobody approved it in time."
    )

    # Surveys, trials, exports, the end
    survey = make_survey(owner=account)
    steps = {
        "steps": [{"order": 0, "content_type": "say", "text_or_url": "Secret?", "response_type": "dtmf"}]
    }
    assert does("POST", f"/api/v1/campaign/create/{survey.pk}/survey/", steps) == [
        f"Sita Rai changed the steps of the survey “{survey.name}”."
    ]
    contact = survey.recipients.earliest("pk").pk
    assert does("POST", f"/api/v1/test-survey/{contact}/") == [
        f"Sita Rai made a trial of the campaign “{survey.name}” for 1 recipient."
    ]
    engine.run_to_the_end()
    assert does("GET", f"/api/v1/download/survey/{survey.survey.pk}/report/") == [
        f"Sita Rai exported the survey responses of the campaign “{survey.name}”."
    ]
    assert does("GET", f"/api/v1/download/report/{campaign}/") == [
        "Sita Rai exported the contacts of the campaign “Meeting 2”."
    ]
    otp = {"number": "9841000001", "message": "Your code is {otp}", "sms_send_options": "text"}
    assert does("POST", "/api/system/send/otp/", otp) == []  # OTPs are in a list of their own
    assert does("DELETE", f"/api/system/campaigns/{campaign}/delete/") == [
        "Sita Rai deleted the campaign “Meeting 2”."
    ]
    assert does("GET", "/api/system/audit/?format=csv") == ["Sita Rai exported the audit log."]

    everything = str(list(AuditEntry.objects.values_list()))
    for secret in ("Secret", "Other words", "98410", "secret-password", owner_of(account).password):
        assert secret not in everything, secret
    assert set(AuditEntry.objects.exclude(request="").values_list("address", flat=True)) <= {"127.0.0.1"}
