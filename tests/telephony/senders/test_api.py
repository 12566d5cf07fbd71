"""v0: accounts request senders, see their approval, and remove them."""

from __future__ import annotations

from typing import Any

import pytest

from accounts import departments, twins
from accounts.models import Account
from telephony.models import Sender, SenderStatus
from telephony.senders import decisions
from tests.factories import make_account, make_phone_number
from tests.telephony.senders.making import make_sender
from tests.v0 import Caller

pytestmark = pytest.mark.django_db

SENDERS = "/api/system/senders/"


@pytest.fixture
def account() -> Account:
    return make_account(email="sita@example.com")


@pytest.fixture
def caller(account: Account) -> Caller:
    return Caller(account)


def listed(caller: Caller) -> list[tuple[str, str, str]]:
    return [(one["sender"], one["operator"], one["status"]) for one in caller.get(SENDERS)["data"]["senders"]]


def test_requested_sender_is_listed_until_it_is_decided(caller: Caller) -> None:
    answer = caller.post(
        SENDERS, {"sender": " ACME ", "operators": ["ntc", "NCELL"], "note": "Our brand"}, status=201
    )
    (first, second) = answer["data"]["senders"]
    assert first == {
        "id": first["id"], "sender": "ACME", "kind": "name", "operator": "ncell", "status": "requested", "reason": "",
        "note": "Our brand", "own": True, "requested_at": first["requested_at"], "decided_at": None,
    }  # fmt: skip
    decisions.approve([first["id"]])
    decisions.refuse([second["id"]], reason="NTC needs a letter of your company.")
    rows = caller.get(SENDERS)["data"]["senders"]
    assert [(row["operator"], row["status"], row["reason"]) for row in rows] == [
        ("ncell", "approved", ""),
        ("ntc", "refused", "NTC needs a letter of your company."),
    ]
    assert rows[0]["decided_at"]


def test_without_operators_the_sender_is_for_all_of_them(caller: Caller) -> None:
    caller.post(SENDERS, {"sender": 31001}, status=201)
    assert listed(caller) == [("31001", "all", "requested")]


def test_refused_sender_can_be_requested_again(caller: Caller, account: Account) -> None:
    refused = make_sender("ACME", owner=account, status=SenderStatus.REFUSED)
    caller.post(SENDERS, {"sender": "ACME"}, status=201)
    refused.refresh_from_db()
    assert (refused.status, refused.reason, refused.decided_at) == (SenderStatus.REQUESTED, "", None)


@pytest.mark.parametrize("status", [SenderStatus.REQUESTED, SenderStatus.APPROVED])
def test_the_same_request_again_is_a_conflict(caller: Caller, account: Account, status: SenderStatus) -> None:
    make_sender("ACME", owner=account, operator="ntc", status=status)
    answer = caller.fails("POST", SENDERS, {"sender": "ACME", "operators": ["ncell", "ntc"]}, status=409)
    assert status.value in answer["message"]
    assert Sender.objects.count() == 1


@pytest.mark.parametrize(
    "body",
    [
        {}, {"sender": ""}, {"sender": None}, {"sender": "नेपाल"}, {"sender": "TWELVE CHARS"}, {"sender": ["ACME"]},
        {"sender": {"a": 1}}, {"sender": True}, {"sender": "ACME", "operators": ["airtel"]},
        {"sender": "ACME", "operators": []}, {"sender": "ACME", "operators": {"ntc": 1}},
        {"sender": "ACME", "operators": [None]}, {"sender": "ACME", "note": "x" * 301}, {"sender": "ACME\u0000"},
        {"sender": "ACME", "note": "a\u0000"}, {"sender": "x" * 5000}, {"sender": "1e5"}, {"sender": 1.5},
        {"sender": -31001}, {"sender": 10**30}, [],
    ],
)  # fmt: skip
def test_wrong_request_is_refused_with_a_sentence_and_stores_nothing(caller: Caller, body: Any) -> None:
    if body == {"sender": "1e5"}:  # a name with a letter
        caller.post(SENDERS, body, status=201)
        return
    caller.fails("POST", SENDERS, body, status=400)
    assert not Sender.objects.exists()


def test_phone_number_of_somebody_else_cannot_be_requested(caller: Caller, account: Account) -> None:
    make_phone_number(number="9841000077", owner=make_account())
    make_phone_number(number="+9779841000078")
    make_phone_number(number="9841000079", owner=account)
    for number in ("+9779841000077", "9841000078"):
        assert (
            "not your phone number"
            in caller.fails("POST", SENDERS, {"sender": number}, status=400)["message"]
        )
    caller.post(SENDERS, {"sender": "9841000079"}, status=201)


def test_an_account_can_have_only_so_many_senders(
    caller: Caller, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decisions, "MAX_SENDERS", 3)
    caller.post(SENDERS, {"sender": "ACME", "operators": ["ntc", "ncell"]}, status=201)
    caller.fails("POST", SENDERS, {"sender": "OTHER", "operators": ["ntc", "ncell"]}, status=409)
    caller.post(SENDERS, {"sender": "OTHER"}, status=201)
    assert len(listed(caller)) == 3


def test_removed_sender_is_gone_and_only_its_account_removes_it(caller: Caller, account: Account) -> None:
    own, shared = make_sender("ACME", owner=account), make_sender("SHARED")
    others = make_sender("OTHER", owner=make_account())
    for sender in (shared, others):
        caller.fails("DELETE", f"{SENDERS}{sender.pk}/", status=404)
    assert caller.delete(f"{SENDERS}{own.pk}/")["data"]["sender"]["sender"] == "ACME"
    caller.fails("DELETE", f"{SENDERS}{own.pk}/", status=404)
    assert Sender.objects.count() == 2


def test_list_has_the_approved_senders_from_above_without_their_notes(account: Account) -> None:
    department = departments.create(parent=account, name="Ward 5")
    Sender.objects.create(owner=account, address="PARENT", status=SenderStatus.APPROVED, note="secret words")
    make_sender("WAITING", owner=account, status=SenderStatus.REQUESTED)
    make_sender("SHARED")
    make_sender("WARD5", owner=department)
    make_sender("OTHER", owner=make_account())
    rows = decisions.senders_of(department)
    assert [one.address for one in rows] == ["WARD5", "PARENT", "SHARED"]
    caller = Caller(account)
    caller.client.defaults["HTTP_X_ACCOUNT"] = str(department.pk)
    shown = caller.get(SENDERS)["data"]["senders"]
    assert [(one["sender"], one["own"], one["note"]) for one in shown] == [
        ("WARD5", True, ""),
        ("PARENT", False, ""),
        ("SHARED", False, ""),
    ]


def test_sender_of_a_test_twin_is_approved_at_once(account: Account) -> None:
    twin = twins.open_twin(account=account)
    caller = Caller(account)
    caller.client.defaults["HTTP_X_ACCOUNT"] = str(twin.pk)
    caller.post(SENDERS, {"sender": "ACME"}, status=201)
    assert listed(caller) == [("ACME", "all", "approved")]
    assert listed(Caller(account)) == []
