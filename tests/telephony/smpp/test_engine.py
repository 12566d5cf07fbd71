"""Test a whole iris over SMPP: an SMSC, web, worker, trunk worker and beat, each in its own process."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from telephony.segments import segments_of
from tests.factories import make_sheet
from tests.live import wait_for
from tests.scale import at_scale
from tests.telephony.smpp.processes import DEADLINE, SmppIris, SmscProcess, smpp_iris, smsc

CPS, WINDOW = 500, 50
LONG_MESSAGES = at_scale(400, 2000)
KILLED_WORKER = at_scale(600, 5000)
TIMEOUT_SECONDS = 240  # timeout of a whole campaign on a busy machine
RESEND_AFTER_SECONDS = 8  # without a response or a receipt
NAMES = ["राम", "सीता", "गीता", "हरि", "विष्णु"]
LONG = (
    "नमस्कार, {tags_name} ज्यू। तपाईंको रु {tags_due} बाँकी छ। कृपया असार मसान्तभित्र वडा कार्यालयमा बुझाउनुहोला। "
    "थप जानकारीका लागि कार्यालय समयमा सम्पर्क गर्नुहोस्। धन्यवाद 🙏"
)


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmscProcess]:
    with smsc(tmp_path_factory.mktemp("smsc"), ids="hex-decimal", takes_back="cancel replace") as process:
        yield process


@pytest.fixture(scope="module")
def iris(far: SmscProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmppIris]:
    home: Path = tmp_path_factory.mktemp("iris")
    # All other options have their defaults; only the times are shorter.
    options = f'window = {WINDOW}\nmessage_ids = "hex-decimal"\nrepeat_after_seconds = {RESEND_AFTER_SECONDS}'
    environment = {"IRIS_LEASE_SECONDS": "5", "IRIS_REPORT_TIMEOUT_SECONDS": "600"}
    with smpp_iris(home, far.port, cps=CPS, options=options, **environment) as running:
        yield running


def campaign_of(iris: SmppIris, name: str, numbers: Sequence[int]) -> int:
    created = iris.demo.post(
        "/api/system/campaigns/", json={"name": name, "services": "SMS", "individual_number": list(numbers)}
    )
    assert created.status_code == 201, created.text
    campaign: int = created.json()["data"]["details"][0]["id"]
    return campaign


def begin(iris: SmppIris, campaign: int, **body: object) -> None:
    answer = iris.demo.post(f"/api/system/campaigns/{campaign}/begin/", json=body)
    assert answer.status_code == 200, answer.text


def wait_for_accepted(far: SmscProcess, count: int) -> None:
    wait_for(lambda: len(far.entries) > count, seconds=60)


def arrivals_since(far: SmscProcess, start: int) -> Counter[str]:
    """Count by number the SMS that arrive, now or after the phone is switched on, of those accepted after `start`."""
    return Counter(entry["to"] for entry in far.deliverable() if entry["n"] > start)


@pytest.mark.field
def test_long_nepali_sms_arrive_intact_at_the_right_cost(iris: SmppIris, far: SmscProcess) -> None:
    people = [(9_841_200_000 + row, NAMES[row % 5], 100 * row) for row in range(LONG_MESSAGES)]
    sheet = make_sheet(["numbers", "name", "due"], *people)
    created = iris.demo.post(
        "/api/system/campaigns/",
        data={"name": "Dues", "services": "SMS"},
        files={"send_to_number_file": sheet},
    )
    assert created.status_code == 201, created.text
    campaign = created.json()["data"]["details"][0]["id"]
    iris.manage("topup", "demo@example.com", "20000")
    before = iris.balance()
    begin(iris, campaign, message=LONG)
    iris.wait_until(campaign, "Completed", seconds=TIMEOUT_SECONDS)

    texts = {
        f"977{number}": LONG.replace("{tags_name}", name).replace("{tags_due}", str(due))
        for number, name, due in people
    }
    assert far.octets() == {number: [text.encode("utf-16-be")] for number, text in texts.items()}
    numbers = iris.numbers(campaign)
    assert Counter(number["status"] for number in numbers) == {"completed": LONG_MESSAGES}
    costs = {f"977{number['number']}": number["credit_consumed"] for number in numbers}
    assert costs == {number: segments_of(text) for number, text in texts.items()}
    assert before - iris.balance() == sum(costs.values())


def test_each_sms_arrives_once_if_the_smsc_is_killed_and_restarted(iris: SmppIris, far: SmscProcess) -> None:
    # The SMSC accepts these without a response, but sends receipts.
    unanswered = [9_841_309_921 + 10_000 * n for n in range(5)]
    # The phones of these are off, so no receipt comes. iris cancels what the SMSC accepted, and sends it again.
    off = [9_841_309_925 + 10_000 * n for n in range(5)] + [9_841_309_924]
    numbers = [*unanswered, *off, *range(9_841_300_000, 9_841_301_989)]
    campaign = campaign_of(iris, "Killed", numbers)
    start, before = len(far.entries), iris.balance()
    far.tell(answer_delay=0.05)
    begin(iris, campaign, message="Namaste")
    for taken in (400, 1000):
        wait_for_accepted(far, start + taken)
        far.kill()
        if taken == 400:  # the second time the SMSC is back before iris notices
            wait_for(lambda: iris.session_status("smsc").startswith("not bound"), seconds=30)
        far.start()
    switch_on_after_all_others_ended(far, iris, off, start=start)
    assert_each_arrives_once(iris, far, campaign, numbers, start=start, before=before)
    assert far.shown() == {f"977{number}": 1 for number in off}


def test_each_long_sms_arrives_once_and_complete_if_the_smsc_is_killed(
    iris: SmppIris, far: SmscProcess
) -> None:
    off = [9_841_609_925, 9_841_619_925, 9_841_629_924]
    numbers = [*off, *range(9_841_600_000, 9_841_600_397)]
    campaign = campaign_of(iris, "Long", numbers)
    start, before, shown = len(far.entries), iris.balance(), far.shown()
    far.tell(answer_delay=0.05)
    text = LONG.replace("{tags_name} ", "").replace("{tags_due}", "५०")
    begin(iris, campaign, message=text)
    wait_for_accepted(far, start + 300)
    far.kill()
    far.start()
    switch_on_after_all_others_ended(far, iris, off, start=start)
    iris.wait_until(campaign, "Completed", seconds=TIMEOUT_SECONDS)
    whole = far.octets()
    assert {f"977{number}": [text.encode("utf-16-be")] for number in numbers}.items() <= whole.items()
    assert far.shown() - shown == {f"977{number}": segments_of(text) for number in off}
    assert_completed_and_paid(iris, campaign, numbers, before=before, credits=segments_of(text))


def switch_on_after_all_others_ended(
    far: SmscProcess, iris: SmppIris, numbers: Sequence[int], *, start: int
) -> None:
    """Wait until only these numbers are left and the SMSC has accepted theirs. Then switch their phones on."""
    listed = ", ".join(f"'+977{number}'" for number in numbers)
    left = f"""SELECT count(*) FILTER (WHERE status = 30), count(*) FROM telephony_delivery
                WHERE status < 100 AND "to" IN ({listed})"""
    others = f'SELECT count(*) FROM telephony_delivery WHERE status < 100 AND "to" NOT IN ({listed})'
    wait_for(lambda: iris.rows(left) == [(len(numbers), len(numbers))], seconds=TIMEOUT_SECONDS)
    wait_for(lambda: iris.rows(others) == [(0,)], seconds=TIMEOUT_SECONDS)
    assert set(far.shown()).isdisjoint(f"977{number}" for number in numbers)
    far.tell(switch_on=True)


@pytest.mark.field
def test_each_sms_arrives_once_if_the_trunk_worker_is_killed(iris: SmppIris, far: SmscProcess) -> None:
    numbers = range(9_841_400_000, 9_841_400_000 + KILLED_WORKER)
    campaign = campaign_of(iris, "Worker", numbers)
    start, before = len(far.entries), iris.balance()
    far.tell(answer_delay=0.05)
    begin(iris, campaign, message="Namaste")
    wait_for_accepted(far, start + 300)
    iris.kill_trunk()
    far.tell(answer_delay=0)
    iris.start_trunk()
    assert_each_arrives_once(iris, far, campaign, numbers, start=start, before=before)


def assert_each_arrives_once(
    iris: SmppIris,
    far: SmscProcess,
    campaign: int,
    numbers: Sequence[int],
    *,
    start: int,
    before: Decimal,
) -> None:
    """Check in the SMSC's journal that each number gets one SMS, and that each delivery completed and was charged."""
    iris.wait_until(campaign, "Completed", seconds=TIMEOUT_SECONDS)
    assert arrivals_since(far, start) == {f"977{number}": 1 for number in numbers}
    assert_completed_and_paid(iris, campaign, numbers, before=before, credits=1)


def assert_completed_and_paid(
    iris: SmppIris, campaign: int, numbers: Sequence[int], *, before: Decimal, credits: int
) -> None:
    assert Counter(number["status"] for number in iris.numbers(campaign)) == {"completed": len(numbers)}
    assert before - iris.balance() == len(numbers) * credits


def test_recipient_who_replied_stop_gets_no_further_sms(iris: SmppIris, far: SmscProcess) -> None:
    campaign = campaign_of(iris, "Stop", [9_841_500_001, 9_841_500_002])
    begin(iris, campaign, message="Namaste")
    iris.wait_until(campaign, "Completed", seconds=TIMEOUT_SECONDS)
    far.send("9779841500001", "रोक्नुहोस्".encode("utf-16-be"))
    wait_for(lambda: far.journal_entries("inbound"), seconds=DEADLINE)
    assert far.journal_entries("inbound")[0]["acknowledged"]
    start, before = len(far.entries), iris.balance()
    begin(iris, campaign, message="Namaste")
    iris.wait_until(campaign, "Completed", seconds=TIMEOUT_SECONDS)
    assert {number["number"]: number["status"] for number in iris.numbers(campaign)} == {
        9_841_500_001: "failed",
        9_841_500_002: "completed",
    }
    assert arrivals_since(far, start) == {"9779841500002": 1}
    assert before - iris.balance() == 1


def test_no_queued_sms_reaches_a_recipient_later_than_a_second_after_stop(
    iris: SmppIris, far: SmscProcess
) -> None:
    """The SMSC is slow, so at each moment SMS wait in the queue, with the dispatcher, and for the window."""
    numbers = range(9_841_550_000, 9_841_550_400)
    campaign = campaign_of(iris, "Within a second", numbers)
    start, before = len(far.entries), iris.balance()
    far.tell(answer_delay=2.0)
    begin(iris, campaign, message="Namaste")
    wait_for_accepted(far, start + WINDOW)
    acknowledged: dict[str, float] = {}
    lateness = 0.0
    for step in range(8):
        reached = {entry["to"] for entry in far.entries[start:]}
        waiting = [
            to for to in (f"977{number}" for number in numbers) if to not in reached | set(acknowledged)
        ]
        if len(waiting) <= 20 * step:  # on a busy machine
            break
        sender = waiting[20 * step]  # first the next one in line, then some of those that are still queued
        replies = len(far.journal_entries("inbound"))
        far.send(sender, "STOP".encode("utf-16-be"))
        while len(far.journal_entries("inbound")) == replies:
            begun = time.monotonic()
            time.sleep(0.02)
            lateness = max(lateness, time.monotonic() - begun - 0.02)
        acknowledged[sender] = far.journal_entries("inbound")[-1]["at"]
    far.tell(answer_delay=0.0)
    iris.wait_until(campaign, "Completed", seconds=TIMEOUT_SECONDS)
    sent = {entry["to"]: entry["at"] for entry in far.entries[start:]}
    assert len(acknowledged) >= 2
    late = {to: sent[to] - at for to, at in acknowledged.items() if to in sent}
    # `lateness` is how much longer than asked a process sleeps on this machine.
    assert {to: seconds for to, seconds in late.items() if seconds > 1.0 + 5 * lateness} == {}
    listed = ", ".join(f"'+{to}'" for to in acknowledged)
    ((refused,),) = iris.rows(
        f"""SELECT count(*) FROM telephony_delivery
             WHERE cause = 'opted_out' AND credits = 0 AND "to" IN ({listed})"""
    )
    assert refused == len(set(acknowledged) - set(sent)) > 0
    statuses = Counter(number["status"] for number in iris.numbers(campaign))
    assert statuses == {"completed": len(sent), "failed": refused}
    assert before - iris.balance() == len(sent)


def send_everything_as(twin: httpx.Client, otp: dict[str, str]) -> None:
    """Send SMS, calls, an SMS after a missed call, a second run, OTPs of both dialects and a demo call to the inbox."""

    def post(path: str, body: object = None, *, method: str = "POST") -> Any:
        answer = twin.request(method, path, json=body)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def campaign(services: str, *numbers: int) -> int:
        body = {"name": "Test", "services": services, "individual_number": numbers}
        created: int = post("/api/system/campaigns/", body)["data"]["details"][0]["id"]
        return created

    def wait_until_completed(campaign: int) -> None:
        path = f"/api/system/campaigns/{campaign}/details/"
        wait_for(
            lambda: twin.get(path).json()["data"]["details"][0]["status"] == "Completed",
            seconds=TIMEOUT_SECONDS,
        )

    texts, calls = campaign("SMS", 9_841_600_001), campaign("PHONE", 9_841_600_002, 9_841_609_902)
    missed = {"failover_target": ["unanswered"], "sms_message": "We called you."}
    post(f"/api/v1/campaign/{calls}/", missed, method="PATCH")
    for one in (texts, calls):
        post(f"/api/system/campaigns/{one}/begin/", {"message": "Namaste"})
    for option, to in (("text", "9841600003"), ("voice", "9841600004")):
        post("/api/system/send/otp/", {**otp, "number": to, "sms_send_options": option})
    post("/api/v1/auths/send/otp/", {**otp, "number": "9841600007"})
    for one in (texts, calls):
        wait_until_completed(one)
    post(f"/api/system/campaigns/{texts}/begin/", {"message": "Again", "status": "completed"})
    wait_until_completed(texts)
    contacts = twin.get(f"/api/system/campaigns/number/{calls}/").json()["data"]["number-lists"]
    (answering,) = (one["id"] for one in contacts if one["number"] == 9_841_600_002)
    post(f"/api/v1/demo-call/{answering}/")
    expected = {
        ("+9779841600001", "sms"): 2, ("+9779841600002", "call"): 2,
        ("+9779841609902", "call"): 1, ("+9779841609902", "sms"): 1, ("+9779841600003", "sms"): 1,
        ("+9779841600004", "call"): 1, ("+9779841600007", "sms"): 1,
    }  # fmt: skip

    def inbox() -> Counter[tuple[str, str]]:
        return Counter((row["to"], row["channel"]) for row in twin.get("/sandbox/messages").json())

    wait_for(lambda: inbox().total() >= sum(expected.values()), seconds=TIMEOUT_SECONDS)
    assert inbox() == expected


def test_nothing_that_a_test_key_starts_reaches_the_smsc(iris: SmppIris, far: SmscProcess) -> None:
    """The SMSC is the only route, and there is no route for calls: a test key sends SMS and calls, and none arrives."""
    start, before = len(far.entries), iris.balance()
    created = iris.demo.post(
        "/api/system/keys/", json={"name": "ci", "scopes": ["view", "prepare", "send"], "test": True}
    )
    assert created.status_code == 201, created.text
    key = created.json()["data"]["key"]["token"]
    otp = {"message": "Your code is {otp}", "sms_send_options": "text"}
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=iris.url, headers=headers, timeout=120) as twin:
        send_everything_as(twin, otp)
    # The same with the account's own login arrives at the SMSC, after everything that the twin had sent.
    campaign = campaign_of(iris, "Live", [9_841_600_005])
    begin(iris, campaign, message="Namaste")
    live = iris.demo.post("/api/system/send/otp/", json={**otp, "number": "9841600006"})
    assert live.status_code == 200, live.text
    wait_for(lambda: len(arrivals_since(far, start)) == 2, seconds=TIMEOUT_SECONDS)
    iris.wait_until(campaign, "Completed", seconds=TIMEOUT_SECONDS)
    assert arrivals_since(far, start) == {"9779841600005": 1, "9779841600006": 1}
    assert iris.rows(
        "SELECT DISTINCT t.alias, a.twin_of_id IS NULL FROM telephony_delivery d JOIN telephony_trunk t ON t.id = d.trunk_id"
        " JOIN accounts_account a ON a.id = d.owner_id ORDER BY 1"
    ) == [("smsc", True), ("test_twins", False)]
    wait_for(lambda: before - iris.balance() == 2, seconds=TIMEOUT_SECONDS)
    assert "difference 0" in iris.manage("check_ledger")


def test_throttled_trunk_delivers_everything_and_unbinds_at_the_end(iris: SmppIris, far: SmscProcess) -> None:
    numbers = range(9_841_700_000, 9_841_700_070)
    campaign = campaign_of(iris, "Throttled", numbers)
    start, before = len(far.entries), iris.balance()
    far.tell(room=30)
    begin(iris, campaign, message="Namaste")
    wait_for(lambda: far.journal_entries("throttled"), seconds=60)
    wait_for(lambda: "slowed to about" in iris.session_status("smsc"), seconds=60)
    far.tell(room=None)
    assert_each_arrives_once(iris, far, campaign, numbers, start=start, before=before)
    # Throttled SMS, and those claimed with them, were queued again, so nothing had to be resent.
    assert iris.rows(
        """SELECT count(*) FROM telephony_repetition JOIN telephony_delivery ON id = delivery_id
            WHERE "to" LIKE '+97798417000%'"""
    ) == [(0,)]
    unbound = len(far.journal_entries("unbound"))
    iris.trunk.terminate()
    assert iris.trunk.wait(120) == 0
    wait_for(lambda: len(far.journal_entries("unbound")) > unbound, seconds=DEADLINE)
    assert iris.session_status("smsc") == "stopped"
