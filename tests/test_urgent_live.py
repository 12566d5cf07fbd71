"""An urgent run at night beside a running campaign, with real processes: it goes first, the other yields, all is logged."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from tests.live import ROOT, LiveIris, live_iris, wait_for
from tests.scale import at_scale

CPS = 20
ORDINARY, URGENT = 600, 40
CARRIERS = f"""
[carriers.sandbox]
BACKEND = "telephony.carriers.sandbox.SandboxCarrier"
CPS = {CPS}
[routes]
call = ["sandbox"]
sms = ["sandbox"]
"""


@pytest.fixture(scope="module")
def iris(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveIris]:
    home: Path = tmp_path_factory.mktemp("iris")
    (home / "carriers.toml").write_text(CARRIERS)
    with live_iris(
        home,
        IRIS_CARRIERS_FILE=str(home / "carriers.toml"),
        IRIS_SANDBOX_SPEED="100",
        PYTHONPATH=str(ROOT),
    ) as running:
        yield running


def create(iris: LiveIris, name: str, first: int, count: int) -> int:
    numbers = list(range(first, first + count))
    created = iris.demo.post(
        "/api/system/campaigns/", json={"name": name, "services": "PHONE", "individual_number": numbers}
    )
    return int(created.json()["data"]["details"][0]["id"])


def begin(iris: LiveIris, campaign: int, **fields: Any) -> None:
    answer = iris.demo.post(f"/api/system/campaigns/{campaign}/begin/", json={"message": "Flood", **fields})
    assert answer.status_code == 200, answer.text


def submissions(iris: LiveIris) -> list[tuple[Any, ...]]:
    """Return when each call was submitted, in order, and whether it is an urgent one."""
    return iris.rows(
        "SELECT submitted_at, priority = 5 FROM telephony_delivery WHERE submitted_at IS NOT NULL ORDER BY 1, 2"
    )


def nightly_hours() -> dict[str, Any]:
    """Return calling hours that are over, or have not begun, for the next hours."""
    later = timezone.localtime() + timedelta(hours=8)
    return {"calls": [{"from": f"{later.hour:02}:00", "to": f"{later.hour:02}:30"}]}


def test_an_urgent_run_at_night_goes_before_a_running_campaign(iris: LiveIris) -> None:
    ordinary = create(iris, "Survey of ward 5", 9_842_002_000, ORDINARY)
    waiting = create(iris, "Daily news", 9_842_004_000, 3)
    alert = create(iris, "Flood", 9_842_005_000, URGENT)
    changed = iris.demo.put("/api/system/settings/", json={"calling_hours": nightly_hours()})
    assert changed.status_code == 200, changed.text
    begin(iris, waiting)
    begin(iris, ordinary, calling_hours="off")
    wait_for(lambda: len(submissions(iris)) >= 2 * CPS, seconds=30)

    begin(iris, alert, urgent={"reason": "The river rises", "heard": True})
    answered = timezone.now()
    wait_for(lambda: any(urgent for _, urgent in submissions(iris)), seconds=10)
    wait_for(lambda: sum(urgent for _, urgent in submissions(iris)) == URGENT, seconds=30)

    order = submissions(iris)
    first = min(at for at, urgent in order if urgent)
    last = max(at for at, urgent in order if urgent)
    # Only calls that were claimed before the urgent ones were queued still leave: those of half a second at most.
    (queued,) = iris.rows(
        "SELECT max(d.created_at) FROM campaigns_run r JOIN telephony_delivery d ON d.batch = r.id"
        f" WHERE r.campaign_id = {alert} AND d.purpose = 'campaign'"
    )[0]
    assert sum(queued < at < last for at, urgent in order if not urgent) <= CPS
    assert any(at > last for at, urgent in order if not urgent) or len(order) < ORDINARY + URGENT
    if at_scale(False, True):  # seconds count only on a machine that does nothing else
        assert (first - answered).total_seconds() <= 2

    iris.wait_until(alert, "Completed", seconds=30)
    counts = iris.demo.get(f"/api/system/campaigns/{alert}/heard/").json()["data"]["counts"]
    assert counts["heard"] == sum(number % 10 == 1 for number in range(URGENT))  # they press the last digit
    assert counts["heard"] + counts["not heard"] == URGENT
    shown = iris.demo.get(f"/api/system/campaigns/{waiting}/why/").json()["data"]["reasons"]
    assert [reason["code"] for reason in shown] == ["outside_hours"]
    assert not iris.rows(
        f"SELECT FROM campaigns_run r JOIN telephony_delivery d ON d.batch = r.id"
        f" WHERE r.campaign_id = {waiting} AND d.purpose = 'campaign'"
    )

    log = iris.demo.get("/api/system/audit/", params={"action": "run_begun"}).json()
    assert "urgently, because: The river rises." in str(log)
    # On a slow machine it has ended by now.
    assert iris.demo.post(f"/api/system/campaigns/{ordinary}/stop/").status_code in (200, 409)
    assert iris.demo.post(f"/api/system/campaigns/{waiting}/stop/").status_code == 200
