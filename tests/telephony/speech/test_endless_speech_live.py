"""A whole system in which one account's texts never finish: other campaigns and OTPs continue, and its run says why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.factories import make_sheet
from tests.live import ROOT, LiveIris, wait_for
from tests.telephony.speech import wild_speech as wild


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveIris]:
    iris = LiveIris(
        tmp_path_factory.mktemp("endless"),
        DJANGO_SETTINGS_MODULE="tests.wild_settings",
        PYTHONPATH=str(ROOT),
        IRIS_SANDBOX_SPEED="1000",
        IRIS_SPEECH_TIMEOUT_SECONDS="2",
    )
    try:
        iris.start(seconds=300)
        yield iris
    finally:
        iris.stop()


def create_campaign(iris: LiveIris, name: str, people: dict[int, str]) -> int:
    sheet = make_sheet(("number", "name"), *people.items())
    created = iris.demo.post(
        "/api/system/campaigns/",
        data={"name": name, "services": "PHONE"},
        files={"send_to_number_file": ("people.xlsx", sheet)},
    )
    assert created.status_code == 201, created.text
    campaign: int = created.json()["data"]["details"][0]["id"]
    return campaign


def begin_campaign(iris: LiveIris, campaign: int, message: str = "नमस्ते {name} जी") -> Any:
    return iris.demo.post(f"/api/system/campaigns/{campaign}/begin/", json={"message": message})


def test_endless_speech_pauses_only_its_own_run_and_names_the_reason(iris: LiveIris) -> None:
    # More campaigns than hopper workers. In each, the endless value is not the longest, so pricing did not see it.
    endless = [
        create_campaign(
            iris,
            f"Endless {at}",
            {9_841_000_100 + at: wild.ENDLESS_RULE, 9_841_000_200 + at: "लामो नाम भएको मानिस"},
        )
        for at in range(3)
    ]
    other = create_campaign(iris, "Others", {9_841_000_300 + at: f"राम {at}" for at in range(3)})
    for campaign in endless:
        assert begin_campaign(iris, campaign).status_code == 200
    assert begin_campaign(iris, other).status_code == 200

    otp = iris.demo.post(
        "/api/system/send/otp/",
        json={"number": "9841000400", "message": "तपाईंको कोड {otp} हो", "sms_send_options": "voice"},
    )
    assert otp.status_code in (200, 201), otp.text
    wait_for(lambda: iris.inbox(to="+9779841000400"), seconds=120)
    iris.wait_until(other, "Completed", seconds=120)

    for campaign in endless:
        wait_for(lambda campaign=campaign: "pause_reason" in iris.details(campaign), seconds=120)  # type: ignore[misc]
        assert wild.ENDLESS_RULE in iris.details(campaign)["pause_reason"]
    refused = begin_campaign(iris, other, f"नमस्ते {wild.ENDLESS_ENGINE}")
    assert refused.status_code == 400
    assert wild.ENDLESS_ENGINE in refused.text
    stopped = iris.demo.post(f"/api/system/campaigns/{endless[0]}/stop/")
    assert stopped.status_code == 200, stopped.text
    iris.wait_until(endless[0], "Terminated", seconds=60)
    assert iris.demo.get("/health").json()["worker"] == "ok"
    iris.check_ledger()
