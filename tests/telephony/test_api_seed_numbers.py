"""v0: accounts store their seed numbers, list what was sent to them, and say whether it has arrived."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from accounts import twins
from accounts.audit_sentences import sentence_of
from accounts.models import Account, AuditEntry
from telephony.models import Delivery, DeliveryStatus, Purpose, SeedNumber, SeedSms
from tests.factories import client_of, make_account, make_delivery, make_member
from tests.v0 import Caller

pytestmark = pytest.mark.django_db

PATH = "/api/system/seed_numbers/"


@pytest.fixture
def account() -> Account:
    return make_account(email="sita@example.com")


@pytest.fixture
def caller(account: Account) -> Caller:
    return Caller(account)


def stored(caller: Caller) -> list[str]:
    numbers: list[str] = caller.get(PATH)["data"]["seed_numbers"]
    return numbers


def seed_sms(account: Account, **fields: Any) -> Delivery:
    sent = {"status": DeliveryStatus.COMPLETED, "submitted_at": timezone.now()}
    delivery = make_delivery(owner=account, purpose=Purpose.SEED, **{**sent, **fields})
    SeedSms.objects.create(delivery=delivery.pk, owner=account)
    return delivery


def test_numbers_are_stored_in_e164_in_their_order(caller: Caller) -> None:
    assert caller.get(PATH)["data"] == {"seed_numbers": [], "runs_above": 1000}
    answer = caller.put(PATH, {"seed_numbers": ["9801000002", 9841000001, "+977 980-1000002"]})
    assert answer["data"]["seed_numbers"] == ["+9779801000002", "+9779841000001"]
    assert stored(caller) == ["+9779801000002", "+9779841000001"]


def test_a_list_replaces_the_earlier_one_and_may_be_empty(caller: Caller) -> None:
    caller.put(PATH, {"seed_numbers": ["9801000001", "9801000002"]})
    caller.put(PATH, {"seed_numbers": ["9801000002"]})
    assert stored(caller) == ["+9779801000002"]
    caller.put(PATH, {"seed_numbers": []})
    assert stored(caller) == []
    assert not SeedNumber.objects.exists()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "missing"),
        ({"seed_numbers": None}, "missing"),
        ({"seed_numbers": {"a": 1}}, "must be a list"),
        ({"seed_numbers": [f"980100000{digit}" for digit in range(6)]}, "can have 5 seed numbers"),
        ({"seed_numbers": ["9801"] * 101}, "too long"),
        ({"seed_numbers": ["9801000001", "98010"]}, "too short for a phone number"),
        ({"seed_numbers": ["9801000001", True]}, "number"),
        ({"seed_numbers": ["9801000001", "+9779"]}, "number"),
        ({"seed_numbers": ["+999123456789"]}, "not a valid phone number"),
        ({"seed_numbers": [["9801000001"]]}, "number"),
    ],
)
def test_wrong_lists_are_refused_and_change_nothing(caller: Caller, body: dict[str, Any], words: str) -> None:
    caller.put(PATH, {"seed_numbers": ["9801000009"]})
    assert words in str(caller.fails("PUT", PATH, body, status=400))
    assert stored(caller) == ["+9779801000009"]


def test_audit_log_says_how_many_numbers_and_not_which(caller: Caller) -> None:
    caller.put(PATH, {"seed_numbers": ["9801000001", "9801000002"]})
    caller.put(PATH, {"seed_numbers": ["9801000001", "9801000002"]})  # no change
    entry = AuditEntry.objects.get(action="seed_numbers_changed")
    assert sentence_of(entry).endswith("changed the seed numbers: 2 numbers.")
    assert "9801" not in str(entry.details)


def test_results_show_what_the_carrier_reported_and_what_people_saw(caller: Caller, account: Account) -> None:
    first = seed_sms(account, to="+9779801000001", delivered_at=timezone.now())
    second = seed_sms(account, to="+9779801000002", status=DeliveryStatus.SUBMITTED)
    seed_sms(make_account(), to="+9779801000003")
    rows = caller.get(f"{PATH}results/")["data"]["results"]
    assert [(row["id"], row["number"], row["status"], row["arrived"]) for row in rows] == [
        (second.pk, "+9779801000002", "submitted", None),
        (first.pk, "+9779801000001", "completed", None),
    ]
    assert (rows[0]["reported_at"], bool(rows[1]["reported_at"])) == (None, True)
    for word in (False, "yes", True):
        answer = caller.put(f"{PATH}results/{first.pk}/", {"arrived": word})
    assert answer["data"]["result"]["arrived"] is True
    assert answer["data"]["result"]["told_at"]
    assert caller.get(f"{PATH}results/")["data"]["results"][1] == answer["data"]["result"]


def test_results_of_deliveries_that_are_no_longer_kept_are_null(caller: Caller, account: Account) -> None:
    SeedSms.objects.create(delivery=17, owner=account, arrived=True)
    (row,) = caller.get(f"{PATH}results/")["data"]["results"]
    assert (row["id"], row["status"], row["arrived"]) == (17, None, True)


def test_wrong_answers_about_arrival_are_refused(caller: Caller, account: Account) -> None:
    mine, queued = seed_sms(account), seed_sms(account, submitted_at=None, status=DeliveryStatus.QUEUED)
    of_others = seed_sms(make_account())
    for body in ({}, {"arrived": None}, {"arrived": "perhaps"}, {"arrived": 2}, {"arrived": []}):
        caller.fails("PUT", f"{PATH}results/{mine.pk}/", body, status=400)
    sent = {"arrived": True}
    assert "was not sent" in caller.fails("PUT", f"{PATH}results/{queued.pk}/", sent, status=409)["message"]
    for pk in (of_others.pk, make_delivery(owner=account).pk, 10**17):
        caller.fails("PUT", f"{PATH}results/{pk}/", sent, status=404)
    assert not SeedSms.objects.exclude(arrived=None).exists()


def test_viewers_read_and_only_those_who_may_can_change(account: Account) -> None:
    delivery = seed_sms(account)
    viewer, author = (client_of(make_member(account, preset)) for preset in ("viewer", "author"))
    assert viewer.get(PATH).status_code == viewer.get(f"{PATH}results/").status_code == 200
    for client in (viewer, author):
        assert client.put(PATH, {"seed_numbers": []}, format="json").status_code == 403
    told = {"arrived": True}
    assert viewer.put(f"{PATH}results/{delivery.pk}/", told, format="json").status_code == 403
    assert author.put(f"{PATH}results/{delivery.pk}/", told, format="json").status_code == 200


def test_a_test_twin_has_seed_numbers_of_its_own(account: Account, caller: Caller) -> None:
    caller.put(PATH, {"seed_numbers": ["9801000001"]})
    twin = twins.open_twin(account=account)
    assert SeedNumber.objects.filter(owner=twin).count() == 0
