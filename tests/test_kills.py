"""Test that a worker killed at any commit point of a delivery's life causes no repeated, skipped or wrong charge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import LiveIris, live_iris, wait_for
from tests.scale import at_scale

PEOPLE = at_scale(90, 600)  # at least three fillings of the hopper
POINTS = [
    "rendered",
    "filling",
    "filled",
    "claimed",
    "submitted",
    "stored",
    "applying",
    "applied",
    "finishing",
]


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveIris]:
    home: Path = tmp_path_factory.mktemp("iris")
    (home / "failpoints").mkdir()
    with live_iris(
        home,
        IRIS_SANDBOX_SPEED="100",
        IRIS_LEASE_SECONDS="5",
        IRIS_FAILPOINTS=str(home / "failpoints"),
        IRIS_HOPPER_SIZE="30",
    ) as running:
        yield running


@pytest.mark.field
@pytest.mark.parametrize("point", POINTS)
def test_worker_killed_at_a_commit_point_neither_repeats_nor_skips_a_recipient(
    iris: LiveIris, point: str
) -> None:
    first = 9_842_000_000 + POINTS.index(point) * 1000
    created = iris.demo.post(
        "/api/system/campaigns/",
        json={"name": point, "services": "SMS", "individual_number": list(range(first, first + PEOPLE))},
    )
    campaign = created.json()["data"]["details"][0]["id"]
    failpoint = iris.home / "failpoints" / point
    failpoint.touch()
    iris.demo.post(f"/api/system/campaigns/{campaign}/begin/", json={"message": f"Killed at {point}"})
    wait_for(lambda: not failpoint.exists(), seconds=30)
    iris.wait_until(campaign, "Completed", seconds=60)

    assert Counter(number["status"] for number in iris.numbers(campaign)) == {"completed": PEOPLE}
    sent = Counter(message["to"] for message in iris.inbox() if message["text"].endswith(f" {point}"))
    assert set(sent) == {f"+977{number}" for number in range(first, first + PEOPLE)}
    assert set(sent.values()) == {1}


RETRIED = at_scale(12, 60)


@pytest.mark.field
@pytest.mark.parametrize("point", ["claimed", "submitted", "stored", "applying", "applied"])
def test_worker_killed_at_a_commit_point_neither_skips_nor_adds_a_try(iris: LiveIris, point: str) -> None:
    """Call numbers that are always busy three times each."""
    first = 98_000_099_01 + (POINTS.index(point) + 1) * 10**7
    numbers = [first + 10_000 * place for place in range(RETRIED)]
    created = iris.demo.post(
        "/api/system/campaigns/",
        json={"name": point, "services": "PHONE", "individual_number": numbers},
    )
    campaign = created.json()["data"]["details"][0]["id"]
    failpoint = iris.home / "failpoints" / point
    failpoint.touch()
    retry = {"tries": 3, "on": ["busy"], "delay_seconds": 1}
    begun = iris.demo.post(
        f"/api/system/campaigns/{campaign}/begin/", json={"message": "Again", "retry": retry}
    )
    assert begun.status_code == 200, begun.text
    wait_for(lambda: not failpoint.exists(), seconds=30)
    iris.wait_until(campaign, "Completed", seconds=60)

    shown = Counter((number["status"], number["attempts"]) for number in iris.numbers(campaign))
    assert shown == {("unanswered", 3): RETRIED}
    called = {f"+977{number}" for number in numbers}
    assert Counter(one["to"] for one in iris.inbox() if one["to"] in called) == dict.fromkeys(called, 3)


LIMITED = at_scale(10, 100)


@pytest.mark.field
@pytest.mark.parametrize("point", ["rendered", "filling", "filled"])
def test_worker_killed_while_it_fills_keeps_to_duplicates_cap_and_waves(iris: LiveIris, point: str) -> None:
    """A third of the numbers was contacted before, and all are in the campaign twice."""
    first = 9_843_000_000 + POINTS.index(point) * 1000
    numbers = list(range(first, first + 3 * LIMITED))
    before = _sms_campaign(iris, numbers[:LIMITED])
    iris.demo.post(f"/api/system/campaigns/{before}/begin/", json={"message": "Before"})
    iris.wait_until(before, "Completed", seconds=60)

    campaign = _sms_campaign(iris, [*numbers, *numbers])
    failpoint = iris.home / "failpoints" / point
    failpoint.touch()
    rules = {
        "duplicates": "once",
        "frequency_cap": {"contacts": 1, "days": 7},
        "waves": {"sizes": [LIMITED]},
    }
    begun = iris.demo.post(f"/api/system/campaigns/{campaign}/begin/", json={"message": "Limited", **rules})
    assert begun.status_code == 200, begun.text
    wait_for(lambda: not failpoint.exists(), seconds=30)
    wait_for(lambda: iris.details(campaign)["wave"]["state"] == "waiting for go-ahead", seconds=60)
    assert iris.demo.post(f"/api/system/campaigns/{campaign}/next_wave/").status_code == 200
    iris.wait_until(campaign, "Completed", seconds=60)

    reasons = Counter(number.get("left_out", {}).get("code") for number in iris.numbers(campaign))
    assert reasons == {None: 2 * LIMITED, "frequency_cap": LIMITED, "duplicate": 3 * LIMITED}
    sent = Counter(message["to"] for message in iris.inbox() if message["text"] in ("Before", "Limited"))
    ours = {f"+977{number}" for number in numbers}
    assert {to: count for to, count in sent.items() if to in ours} == dict.fromkeys(ours, 1)


def _sms_campaign(iris: LiveIris, numbers: list[int]) -> int:
    created = iris.demo.post(
        "/api/system/campaigns/", json={"name": "Limits", "services": "SMS", "individual_number": numbers}
    )
    campaign: int = created.json()["data"]["details"][0]["id"]
    return campaign
