"""v0: the opt-out list of an account, as pages and as CSV."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from accounts import apikeys
from accounts.models import Account, AuditEntry
from accounts.people import pseudonyms
from accounts.permissions import Permission
from telephony import optouts
from telephony.models import OptOut, OptOutWay
from telephony.optouts import editing
from tests.factories import client_of, make_account, make_member, opt_out, owner_of
from tests.v0 import Caller, row_counts_and_balances

pytestmark = pytest.mark.django_db

OPTOUTS = "/api/system/optouts/"
FIRST, SECOND = "+9779841000001", "+9779841000002"


@pytest.fixture
def account() -> Account:
    return make_account(email="sita@example.com")


@pytest.fixture
def caller(account: Account) -> Caller:
    return Caller(account)


def listed(caller: Caller, query: str = "") -> list[str | None]:
    return [one["number"] for one in caller.get(OPTOUTS + query)["data"]["optouts"]]


def sheet(text: str) -> SimpleUploadedFile:
    return SimpleUploadedFile("stop.csv", text.encode(), "text/csv")


def test_added_number_is_listed_with_its_evidence(caller: Caller, account: Account) -> None:
    answer = caller.post(
        OPTOUTS, {"number": "984-1000001", "channel": "sms", "reason": "By letter"}, status=201
    )
    assert answer["data"] == {"numbers": 1, "added": 1}
    (one,) = caller.get(OPTOUTS)["data"]["optouts"]
    evidence = one.pop("evidence")
    assert one == {
        "number": FIRST,
        "channel": "sms",
        "way": "person",
        "reason": "By letter",
        "added_at": one["added_at"],
    }
    assert (evidence["by"], evidence["name"]) == ("person", "sita@example.com")
    again = caller.post(OPTOUTS, {"numbers": [FIRST, FIRST, SECOND]}, status=201)
    assert again["data"] == {"numbers": 2, "added": 2}, "the first one is now for both channels"
    assert listed(caller) == [SECOND, FIRST]


def test_key_is_the_evidence_of_what_a_program_adds(account: Account) -> None:
    _, token = apikeys.create(
        account=account, created_by=owner_of(account), name="CRM", scopes=frozenset({Permission.PREPARE})
    )
    caller = Caller(None)
    caller.client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    caller.post(OPTOUTS, {"number": FIRST}, status=201)
    one = OptOut.objects.get()
    assert (one.way, one.evidence["by"], one.evidence["name"]) == (OptOutWay.API, "key", "CRM")


@pytest.mark.parametrize("spelling", ["9841000001", "+9779841000001", "00977 984 1000001"])
def test_number_is_removed_in_any_spelling(caller: Caller, account: Account, spelling: str) -> None:
    opt_out(account.pk, FIRST)
    answer = caller.delete(f"{OPTOUTS}{spelling}/")
    assert answer["data"] == {"number": FIRST}
    caller.fails("DELETE", f"{OPTOUTS}{spelling}/", status=404)
    assert not OptOut.objects.exists()


def test_erased_number_is_shown_without_the_number_and_can_be_removed(
    caller: Caller, account: Account
) -> None:
    opt_out(account.pk, FIRST)
    OptOut.objects.update(number=pseudonyms.pseudonym_of(FIRST, owner_id=account.pk), source="")
    assert listed(caller) == [None]
    assert listed(caller, f"?number={FIRST[1:]}") == [None]
    assert caller.client.get(f"{OPTOUTS}?format=csv").getvalue().decode().count("\n") == 1
    caller.delete(f"{OPTOUTS}{FIRST}/")
    assert not OptOut.objects.exists()


def test_list_is_filtered_by_number_way_and_day(caller: Caller, account: Account) -> None:
    opt_out(account.pk, FIRST)
    caller.post(OPTOUTS, {"number": SECOND}, status=201)
    assert listed(caller, "?way=keyword") == [FIRST]
    assert listed(caller, "?way=person,key") == [SECOND]
    assert listed(caller, "?number=9841000002") == [SECOND]
    assert listed(caller, "?number=nobody") == []
    assert listed(caller, "?from=2020-01-01") == [SECOND, FIRST]
    assert listed(caller, "?to=2020-01-01") == []
    assert listed(caller, "?page_size=1&page=2") == [FIRST]
    for query in ("?way=letter", "?from=soon", "?page=3", "?format=pdf"):
        caller.fails("GET", OPTOUTS + query, status=404 if "page" in query else 400)


def test_csv_can_be_imported_again(caller: Caller, account: Account) -> None:
    caller.post(OPTOUTS, {"number": FIRST, "channel": "call", "reason": "=1+1"}, status=201)
    opt_out(account.pk, SECOND)
    response = caller.client.get(f"{OPTOUTS}?format=csv")
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    text = response.getvalue().decode()
    assert text.splitlines()[0].removeprefix("\ufeff") == "number,channel,way,reason,added_at"
    assert "'=1+1" in text, "a spreadsheet would calculate it"
    other = make_account()
    answer = Caller(other).post(OPTOUTS, {"file": sheet(text)}, status=201, format="multipart")
    assert answer["data"] == {"numbers": 2, "added": 2}
    rows = OptOut.objects.filter(owner=other).order_by("number")
    assert [(row.number, row.channel, row.way) for row in rows] == [
        (FIRST, "call", "import"),
        (SECOND, "", "import"),
    ]
    assert rows[0].evidence["file"] == "stop.csv"


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", "number\n", "phone\n9841000001\n", "number\n9841000001\n123\n", "number,channel\n9841000001,fax\n",
        "number\n" + "9841000001\n" * 10_001, "number,number\n9841000001,9841000002\n", 'number\n"9841000001\n',
    ],
)  # fmt: skip
def test_wrong_file_adds_nothing(caller: Caller, text: str) -> None:
    before = row_counts_and_balances()
    caller.fails("POST", OPTOUTS, {"file": sheet(text)}, status=400, format="multipart")
    assert row_counts_and_balances() == before


@pytest.mark.parametrize(
    "body",
    [
        {}, {"number": ""}, {"number": None}, {"number": "123"}, {"numbers": []}, {"numbers": [FIRST, "123"]},
        {"numbers": [FIRST, {}]}, {"numbers": [FIRST, None]}, {"numbers": {"a": 1}}, {"number": True},
        {"number": FIRST, "channel": "fax"}, {"number": FIRST, "reason": "x" * 201}, {"number": FIRST, "reason": ["x"]},
        {"file": FIRST}, {"number": "+999 1234567890"},
    ],
)  # fmt: skip
def test_wrong_request_adds_nothing(caller: Caller, body: dict[str, Any]) -> None:
    before = row_counts_and_balances()
    caller.fails("POST", OPTOUTS, body, status=400)
    assert row_counts_and_balances() == before


def test_numbers_and_a_file_at_once_are_refused(caller: Caller) -> None:
    for extra in ({"number": FIRST}, {"channel": "sms"}, {"reason": "letter"}):
        body = {"file": sheet("number\n9841000002\n"), **extra}
        caller.fails("POST", OPTOUTS, body, status=400, format="multipart")
    assert not OptOut.objects.exists()


def test_list_belongs_to_its_account(account: Account) -> None:
    opt_out(account.pk, FIRST)
    stranger = Caller(make_account())
    assert listed(stranger) == []
    for number in (FIRST, "123", "nobody", "💥", "%00", "9" * 500):
        stranger.fails("DELETE", f"{OPTOUTS}{number}/", status=404)
    assert OptOut.objects.count() == 1


def test_who_may_read_may_not_change_the_list(account: Account) -> None:
    opt_out(account.pk, FIRST)
    client = client_of(make_member(account, "viewer"))
    assert client.get(OPTOUTS).status_code == 200
    assert client.post(OPTOUTS, {"number": SECOND}).status_code == 403
    author = client_of(make_member(account, "author"))
    assert author.post(OPTOUTS, {"number": SECOND}).status_code == 201
    assert author.delete(f"{OPTOUTS}{FIRST}/").status_code == 403
    assert OptOut.objects.count() == 2


def test_audit_log_says_what_people_did_without_the_number(caller: Caller, account: Account) -> None:
    caller.post(OPTOUTS, {"number": FIRST}, status=201)
    caller.post(OPTOUTS, {"number": FIRST}, status=201)  # changes nothing, so it is not logged
    caller.post(OPTOUTS, {"numbers": [SECOND, "+9779841000003"]}, status=201)
    caller.delete(f"{OPTOUTS}{FIRST}/")
    entries = caller.get("/api/system/audit/?object=opt_out")["data"]["entries"]
    assert [entry["sentence"].partition(" ")[2].partition("added ")[2] or "removed" for entry in entries][
        1:
    ] == [
        "2 numbers to the opt-out list.",
        "…01 to the opt-out list.",
    ]
    assert "removed …01 from the opt-out list" in entries[0]["sentence"]
    assert not AuditEntry.objects.filter(object_name__contains=FIRST).exists()


def test_opt_out_is_found_by_its_number(account: Account) -> None:
    opt_out(account.pk, FIRST, "STOP")
    assert editing.find(account=account, number="9841000001").source == "STOP"
    assert optouts.remove([(account.pk, FIRST)]) == 1
