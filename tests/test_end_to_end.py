"""Test whole campaigns over HTTP with a running web, worker and beat: from the spreadsheet to the ledger."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from tests.factories import make_sheet
from tests.live import LiveIris, live_iris, wait_for
from tests.scale import at_scale

PEOPLE = at_scale(400, 1000)  # the inbox shows at most 1,000 messages at once
NAMES = ["राम", "सीता", "गीता", "हरि", "विष्णु"]


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveIris]:
    home: Path = tmp_path_factory.mktemp("iris")
    with live_iris(
        home,
        IRIS_SANDBOX_SPEED="100",
        IRIS_REPORT_TIMEOUT_SECONDS="300",
        IRIS_LOG_LEVEL="DEBUG",
        IRIS_LOG_FORMAT="json",
    ) as running:
        yield running


@pytest.mark.field
def test_each_recipient_of_a_sheet_receives_their_own_sms(iris: LiveIris) -> None:
    rows: list[tuple[int, str, int]] = [
        (9_841_100_000 + row, f"{NAMES[row % 5]} {row} ", 20 + row % 60) for row in range(PEOPLE)
    ]
    sheet = make_sheet(["numbers", "name", "age"], *rows)
    created = iris.demo.post(
        "/api/system/campaigns/",
        data={"name": "Meeting", "services": "SMS"},
        files={"send_to_number_file": sheet},
    )
    assert created.status_code == 201, created.text
    campaign = created.json()["data"]["details"][0]["id"]
    begun = iris.demo.post(
        f"/api/system/campaigns/{campaign}/begin/",
        json={"message": "नमस्कार, {tags_name}, हजुर {tags_age} वर्षको हुनुहुन्छ |"},
    )
    assert begun.json()["data"] == {"hold amount": f"{PEOPLE} credit on hold for Meeting campaign."}
    iris.wait_until(campaign, "Completed")

    numbers = iris.numbers(campaign)
    assert Counter(number["status"] for number in numbers) == {"completed": PEOPLE}
    assert sum(number["credit_consumed"] for number in numbers) == PEOPLE
    assert Counter((message["to"], message["text"]) for message in iris.inbox(channel="sms")) == Counter(
        (f"+977{number}", f"नमस्कार, {name.strip()}, हजुर {age} वर्षको हुनुहुन्छ |") for number, name, age in rows
    )


def test_each_sandbox_outcome_has_its_status_and_the_hold_is_captured_or_released(iris: LiveIris) -> None:
    expected = {
        9841209901: "unanswered",
        9841209902: "unanswered",
        9841209903: "hungup",
        9841209904: "failed",
        9841209905: "failed",
        9841209906: "completed",
        9841209907: "completed",
        9841209908: "completed",
        9841200000: "completed",
    }
    created = iris.demo.post(
        "/api/system/campaigns/",
        json={"name": "Outcomes", "services": "PHONE", "individual_number": list(expected)},
    )
    campaign = created.json()["data"]["details"][0]["id"]
    iris.demo.post(
        f"/api/system/campaigns/{campaign}/begin/", json={"message": "नमस्कार, बैठक बिहान दश बजे हुनेछ।"}
    )
    iris.wait_until(campaign, "Completed")
    numbers = {number["number"]: number for number in iris.numbers(campaign)}
    assert {number: row["status"] for number, row in numbers.items()} == expected
    assert numbers[9841209903]["playback"] == 50
    charged = ("completed", "hungup")
    assert all((row["credit_consumed"] > 0) == (row["status"] in charged) for row in numbers.values())
    (call,) = iris.inbox(channel="call", to="9841209903")
    audio = iris.demo.get(call["audio_url"], headers={"Authorization": ""})
    assert (audio.status_code, audio.headers["content-type"]) == (200, "audio/mpeg")
    assert Counter(message["to"] for message in iris.inbox(channel="call")).most_common(1)[0][1] == 1


def test_scheduled_campaign_starts_on_time_after_a_restart(iris: LiveIris) -> None:
    created = iris.demo.post(
        "/api/system/campaigns/", json={"name": "Later", "services": "SMS", "individual_number": [9841300001]}
    )
    campaign = created.json()["data"]["details"][0]["id"]
    soon = datetime.now(ZoneInfo("Asia/Kathmandu")) + timedelta(seconds=12)
    begun = iris.demo.post(
        f"/api/system/campaigns/{campaign}/begin/",
        json={"message": "Hello", "schedule_date": soon.strftime("%Y-%m-%dT%H:%M:%S")},
    )
    assert begun.status_code == 200, begun.text
    assert iris.details(campaign)["status"] == "Scheduled"
    iris.stop()
    iris.start()
    iris.wait_until(campaign, "Completed")
    assert len(iris.inbox(to="9841300001")) == 1


def test_otp_is_delivered_by_sms(iris: LiveIris) -> None:
    sent = iris.demo.post(
        "/api/system/send/otp/",
        json={"number": "9841400001", "message": "Your code is {otp}", "sms_send_options": "text"},
    )
    assert sent.status_code == 200, sent.text
    code = sent.json()["data"]["details"]["otp"]
    wait_for(
        lambda: [message["status"] for message in iris.inbox(to="9841400001")] == ["delivered"], seconds=20
    )
    assert code in iris.inbox(to="9841400001")[0]["text"]


def test_no_log_line_at_any_level_has_a_number_a_text_or_a_secret(iris: LiveIris) -> None:
    numbers = [9841500001, 9841509901, 9841509904, 9841509908]
    created = iris.demo.post(
        "/api/system/campaigns/",
        json={"name": "Private", "services": "PHONE", "individual_number": numbers},
    )
    campaign = created.json()["data"]["details"][0]["id"]
    begun = iris.demo.post(
        f"/api/system/campaigns/{campaign}/begin/",
        json={"message": "Confidential words"},
    )
    assert begun.status_code == 200, begun.text
    otp = iris.demo.post(
        "/api/system/send/otp/",
        json={"number": "9841500002", "message": "Confidential {otp}", "sms_send_options": "text"},
    )
    code = otp.json()["data"]["details"]["otp"]
    key = iris.demo.post("/api/system/keys/", json={"name": "logs", "scopes": ["view"]}).json()["data"][
        "key"
    ]["token"]
    credentials = {"email": "demo@example.com", "password": "a-wrong-password"}
    assert iris.demo.post("/api/accounts/login/", json=credentials).status_code in (400, 401)
    iris.demo.get("/api/system/campaigns/number/9841500003")
    iris.demo.post("/api/system/campaigns/", content=b'{"name": "Confidential words", "individual')
    iris.wait_until(campaign, "Completed")
    written = iris.log.read_text()
    requests = [line for line in written.splitlines() if '"request"' in line]
    assert any("api/system/campaigns/number/" in line for line in requests), "requests are logged at DEBUG"
    token = iris.demo.headers["Authorization"].removeprefix("Bearer ")
    for hidden in ("Confidential", "a-wrong-password", key, token, f"code is {code}"):
        assert hidden not in written
    assert not re.search(r"98415\d{5}", written)
