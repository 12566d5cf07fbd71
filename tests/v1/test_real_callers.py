"""Test v1 with the calls of real client programs, in their order and encodings, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pytest_django.live_server_helper import LiveServer

from accounts import apikeys
from accounts.models import Account
from telephony.models import SandboxMessage
from tests import engine
from tests.factories import make_account, make_phone_number

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def account(live_server: LiveServer, settings: Any) -> Account:
    settings.IRIS_SANDBOX_SPEED = 1000
    account = make_account(email="sita@example.com", password="secret-password", credits=1000)
    make_phone_number(number="9800000101", owner=account)
    return account


@pytest.fixture
def http(account: Account, live_server: LiveServer) -> Iterator[httpx.Client]:
    key = apikeys.generate(account=account)
    with httpx.Client(
        base_url=f"{live_server.url}/api/v1", headers={"Authorization": f"Bearer {key}"}, timeout=30
    ) as client:
        yield client


def ok(answer: httpx.Response) -> Any:
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def shown_by_the_tracker(answer: httpx.Response) -> str:
    """Return what the client shows of an error: the keys that it takes for fields, or else the sentence."""
    body = answer.json()
    fields = [
        f"{name.replace('_', ' ').title()}: {', '.join(value) if isinstance(value, list) else value}"
        for name, value in body.items()
        if name not in ("message", "error", "detail")
    ]
    return "; ".join(fields) or str(body.get("message") or body.get("error") or body.get("detail"))


def test_vehicle_tracker_shows_its_user_the_error_sentence(http: httpx.Client, account: Account) -> None:
    new = {"name": "Renewals", "services": "SMS", "message": "Namaste"}
    campaign = ok(http.post("/campaign/create/", json=new))["id"]
    contact = ok(http.post(f"/campaign/{campaign}/add-contact/", json={"number": "9841000001"}))["id"]
    run = f"/run-campaign/{campaign}/"

    wrong = http.put(f"/campaign/{campaign}/", json={"schedule": "2020-01-01", "name": ["x"]})
    assert shown_by_the_tracker(wrong) == "Name: This must be text.; Schedule: Cannot schedule past dates."

    Account.objects.filter(pk=account.pk).update(balance=0)
    unpaid = http.post(run)
    Account.objects.filter(pk=account.pk).update(balance=1000)
    ok(http.post(run))
    for status, code, refused in (
        (401, "token_not_valid", http.get("/campaign/", headers={"Authorization": "Bearer x"})),
        (402, "insufficient_credits", unpaid),
        (404, "no_such_campaign", http.get("/campaign/0/")),
        (404, "not_found", http.get("/nothing/")),
        (405, "method_not_allowed", http.delete(run)),
        (409, "campaign_live", http.delete(f"/phone-number/delete/{contact}/")),
    ):
        assert (refused.status_code, refused.headers["X-Error-Code"]) == (status, code)
        assert shown_by_the_tracker(refused) == refused.json()["message"]


def test_vehicle_tracker_runs_a_voice_campaign(http: httpx.Client) -> None:
    """The client runs voice campaigns: it uses several HTTP methods, polls pages, and downloads the report."""
    voices = ok(http.get("/voice-models/"))
    numbers = ok(http.get("/phone-number/active/"))
    campaign = ok(
        http.post(
            "/campaign/create/",
            json={
                "name": "Renewals",
                "services": "PHONE",
                "message": "नमस्कार {name}",
                "user_phone": [numbers[0]["id"]],
                "category": "Text",
                "schedule": None,
            },
        )
    )
    message = {"voice": voices[0]["id"], "category": "Text", "message": "नमस्कार {name}, म्याद सकियो"}
    assert ok(http.put(f"/campaign/create/{campaign['id']}/message/", json=message))["voice"] == 1
    ok(
        http.post(
            f"/campaign/{campaign['id']}/add-contact/",
            json={"number": "9841000001", "other_variables": {"name": "राम"}},
        )
    )
    sheet = {"bulk_file": ("contacts.xlsx", b"numbers,name\n9841000002,Sita\n", "application/octet-stream")}
    uploaded = ok(http.post(f"/campaign/create/{campaign['id']}/detail/", files=sheet))
    assert uploaded["total_validated_rows"] == 1
    ok(http.put(f"/campaign/{campaign['id']}/", json={"schedule": None}))
    ok(http.post(f"/run-campaign/{campaign['id']}/"))
    assert http.post(f"/run-campaign/{campaign['id']}/").status_code == 409
    engine.run_to_the_end()
    page = ok(http.get(f"/campaign-detail/{campaign['id']}/", params={"page": 1}))
    assert [row["status"] for row in page["results"]] == ["completed", "completed"]
    assert ok(http.get("/campaign/", params={"page": 1}))["results"][0]["status"] == "Completed"
    report = http.get(f"/download/report/{campaign['id']}/")
    assert report.headers["Content-Type"].startswith("text/csv")
    assert len(report.content.decode().splitlines()) == 3
    assert ok(
        http.post(f"/test-speak/riri/{campaign['id']}/", json={"voice_input": "1", "message": "A\nB | C"})
    )
    ok(http.delete(f"/campaign/{campaign['id']}/"))


def test_government_warning_gets_its_numbers_back_as_sent(http: httpx.Client) -> None:
    """The client sends numbers without a plus, and matches contacts by the numbers in the response."""
    phones = ok(http.get("/active-broker-phone/")) or ok(http.get("/phone-number/active/"))
    new = {
        "name": "Flood",
        "services": "SMS & PHONE",
        "user_phone": [int(phones[0]["id"])],
        "message": "",
        "sms_message": "",
        "description": "",
    }
    campaign = ok(http.post("/campaign/create/", json=new))["id"]
    message = {
        "voice": 3,
        "category": "Text",
        "message": "{name}, नदी बढ्यो",
        "sms_message": "{name}, नदी बढ्यो",
    }
    ok(http.patch(f"/campaign/create/{campaign}/message/", json=message))
    citizens = {"+9779841000001": "Ram", "+9779841009904": "Sita"}
    contacts = [
        {"number": number.removeprefix("+"), "other_variables": {"name": name}}
        for number, name in citizens.items()
    ]
    added = ok(http.post(f"/campaign/{campaign}/add-contact/", json={"contacts": contacts}))
    ids = {row["id"]: "+" + row["number"] for row in added["contacts"]}
    assert set(ids.values()) == set(citizens)
    ok(http.post(f"/run-campaign/{campaign}/", json={}))
    engine.run_to_the_end()
    states = {
        row["id"]: (row["status"], int(row["call_duration"].removesuffix("s")) > 0)
        for row in ok(http.get(f"/campaign-detail/{campaign}/"))["results"]
    }
    assert [states[key] for key in ids] == [("completed", True), ("failed", False)]
    otp = {
        "number": "9841000001",
        "message": "Code {otp}",
        "sms_send_options": "text",
        "otp_options": "personnel",
        "otp": "123456",
        "company_name": "Ward 4",
    }
    assert ok(http.post("/auths/send/otp/", json=otp))["data"]["details"]["message"] == "Ward 4: Code 123456"


def test_php_client_that_labels_every_request_as_json_works(
    http: httpx.Client, live_server: LiveServer
) -> None:
    """The client labels every request as JSON, even uploads and requests without a body."""
    http.headers.update({"Content-Type": "application/json", "Accept": "application/json"})
    logged_in = ok(
        http.post("/auths/login/", json={"email": "sita@example.com", "password": "secret-password"})
    )
    ok(http.post("/auths/login/refresh/", json={"refresh": logged_in["refresh"]}))
    http.headers["Authorization"] = f"Bearer {ok(http.post('/auths/generate-api-keys/'))['token']}"
    http.cookies.clear()
    assert ok(http.get("/auths/user-detail/"))["user"]["email"] == "sita@example.com"
    assert len(ok(http.get("/auths/get-api-keys/"))["token"]) == 64
    campaign = ok(
        http.post("/campaign/create/", json={"name": "News", "services": "SMS", "sms_message": "Hi"})
    )["id"]
    request = http.build_request(
        "POST", f"/campaign/create/{campaign}/detail/", files={"bulk_file": ("contacts.csv", b"9841000001\n")}
    )
    request.headers["Content-Type"] = "application/json"
    assert ok(http.send(request))["total_validated_rows"] == 1
    ok(http.post(f"/campaign/{campaign}/", json={"description": "From PHP"}))
    contact = ok(http.get(f"/campaign-detail/{campaign}/"))["results"][0]["id"]
    assert (
        ok(http.patch(f"/phone-number/update/{contact}/", json={"number": "9841000002"}))["number"]
        == "9841000002"
    )
    assert ok(http.patch(f"/campaign/{contact}/attributes/", json={"name": "Ram"})) == {"name": "Ram"}
    ok(http.post(f"/run-campaign/{campaign}/"))
    engine.run_to_the_end()
    assert SandboxMessage.objects.get().to == "+9779841000002"
    assert http.get(f"/download/report/{campaign}/").status_code == 200
    assert (
        http.post(
            "/auths/send/otp/", json={"number": "9841000001", "message": "{otp}", "sms_send_options": "voice"}
        ).status_code
        == 200
    )
    refused = http.post("/campaign/create/", json={"name": "News"})
    assert isinstance(refused.json()["message"], str)
    ok(http.delete(f"/phone-number/delete/{contact}/"))
