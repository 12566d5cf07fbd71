"""v0 as real clients use it: the same requests, order and encodings, over HTTP to a server."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from django.utils import timezone
from openpyxl import Workbook
from pytest_django.live_server_helper import LiveServer

from tests import engine
from tests.factories import make_account

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def http(live_server: LiveServer) -> Iterator[httpx.Client]:
    make_account(email="sita@example.com", password="secret-password", credits=1000)
    with httpx.Client(base_url=f"{live_server.url}/api", follow_redirects=False, timeout=30) as client:
        yield client


def log_in(http: httpx.Client, **how: Any) -> None:
    answer = http.post("/accounts/login/", **how).json()
    http.headers["Authorization"] = f"Bearer {answer['data']['token']['access']}"


def as_parts(**fields: str) -> dict[str, Any]:
    """Return fields in the form in which httpx sends multipart/form-data, which it otherwise uses for files only."""
    return {"files": {name: (None, text) for name, text in fields.items()}}


def test_a_municipality_tells_members_about_meetings(http: httpx.Client, settings: Any) -> None:
    """The client sends multipart for nearly everything, even PUT, reads `status` and `number_count`, and polls details."""
    settings.IRIS_SANDBOX_SPEED = 1000
    log_in(http, **as_parts(email="sita@example.com", password="secret-password"))

    made = http.post(
        "/system/campaigns/", json={"name": "Meeting", "services": "SMS", "individual_number": [9800000001]}
    )
    assert made.status_code == 201
    campaign = made.json()["data"]["details"][0]
    assert {"id", "name", "services", "status", "description", "number_count"} <= campaign.keys()
    (listed,) = http.get("/system/campaigns/").json()["result"]["campaign-lists"]
    assert (listed["status"], listed["number_count"]) == ("Not Started", 1)

    added = http.post(f"/system/campaigns/number/{campaign['id']}/", **as_parts(number="9800000002")).json()
    number = added["data"]["number-lists"]
    assert (number["number"], number["status"]) == (9800000002, "not started")
    edited = http.put(f"/system/number/{number['id']}/", **as_parts(number="9800000003")).json()
    assert edited["data"]["details"]["number"] == 9800000003
    assert http.get(f"/system/number/{number['id']}/").json()["data"]["number-detail"]["number"] == 9800000003
    third = http.post(f"/system/campaigns/number/{campaign['id']}/", **as_parts(number="9800000004")).json()
    assert (
        http.delete(f"/system/campaigns/number/{third['data']['number-lists']['id']}/delete/").json()[
            "status"
        ]
        == 200
    )

    update = {"name": "Meeting on Friday", "services": "SMS", "description": "Agenda"}
    assert http.put(f"/system/campaigns/{campaign['id']}/update/", json=update).json()["success"] is True

    tomorrow = timezone.localtime(timezone.now() + timedelta(days=1), ZoneInfo("Asia/Kathmandu"))
    later = as_parts(message="भोलि बैठक छ", schedule_date=f"{tomorrow:%Y-%m-%dT%H:%M}")
    assert http.post(f"/system/campaigns/{campaign['id']}/begin/", **later).json()["status"] == 200
    assert details(http, campaign["id"])["status"] == "Scheduled"
    assert http.post(f"/system/campaigns/{campaign['id']}/stop/").status_code == 200

    assert (
        http.post(f"/system/campaigns/{campaign['id']}/begin/", **as_parts(message="बैठक छ")).json()["status"]
        == 200
    )
    assert details(http, campaign["id"])["status"] in {"Running", "Completed"}
    engine.run_to_the_end()
    assert details(http, campaign["id"])["status"] == "Completed"
    for number in http.get(f"/system/campaigns/number/{campaign['id']}").json()["data"]["number-lists"]:
        assert number["status"] == "completed"
        assert {"id", "number", "status", "duration", "playback", "credit_consumed"} <= number.keys()

    assert http.delete(f"/system/campaigns/{campaign['id']}/delete/").status_code == 200
    assert http.get(f"/system/campaigns/{campaign['id']}/details/").status_code == 404


def test_a_municipality_sends_a_sheet(http: httpx.Client) -> None:
    """The sheet has the name of a temporary file and an invented type. The Content-Type of the request says JSON."""
    log_in(http, json={"email": "sita@example.com", "password": "secret-password"})
    book, file = Workbook(), io.BytesIO()
    for row in (("numbers", "name", "age"), (9800000001, "सीता ", 25), (9800000001, "राम", "३१")):
        book.active.append(row)
    book.save(file)
    request = http.build_request(
        "POST",
        "/system/campaigns/",
        data={"name": "bulk", "services": "PHONE"},
        files={"send_to_number_file": ("phpQ7z1Xk", file.getvalue(), "<Content-type header>")},
    )
    request.headers["Content-Type"] = "application/json"
    made = http.send(request)
    assert made.status_code == 201, made.text
    campaign = made.json()["data"]["details"][0]
    assert campaign["number_count"] == 2
    assert details(http, campaign["id"])["usable_tags"] == ["tags_name", "tags_age"]
    begun = http.post(
        f"/system/campaigns/{campaign['id']}/begin",
        **as_parts(message="{tags_name}, हजुर {tags_age} वर्षको हुनुहुन्छ |", voice_input="np_prasanna"),
    )
    assert begun.json()["data"]["hold amount"] == "4 credit on hold for bulk campaign."


def test_a_wildlife_warning_client_calls_and_texts_its_recipients(http: httpx.Client, settings: Any) -> None:
    """The client reruns one campaign, which was created by hand, with another message for every animal."""
    settings.IRIS_SANDBOX_SPEED = 1000
    log_in(http, json={"email": "sita@example.com", "password": "secret-password"})
    sent = {"name": "Village", "services": "SMS", "individual_number": [9800000001, 9800000002]}
    (campaign,) = http.post("/system/campaigns/", json=sent).json()["data"]["details"]
    for animal in ("elephant", "tiger", "rhino"):
        begun = http.post(
            f"/system/campaigns/{campaign['id']}/begin/", json={"message": f"A {animal} is near"}
        )
        assert (begun.status_code, begun.json()["message"]) == (200, "Campaign is running")
        engine.run_to_the_end()


def details(http: httpx.Client, campaign_id: int) -> dict[str, Any]:
    answer = http.get(f"/system/campaigns/{campaign_id}/details/")
    assert answer.status_code == 200
    (shown,) = answer.json()["data"]["details"]
    return dict(shown)
