"""Each SMS gets the approved sender that fits its account, its trunk and its recipient's operator best."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts import departments, twins
from accounts.models import Account
from telephony.models import Sender, SenderStatus
from telephony.senders.choosing import SenderChoice, no_sender
from tests.factories import make_account
from tests.telephony.senders.making import NCELL, NTC, OTHER, SANDBOX, SMART, make_sender, use_trunks

pytestmark = pytest.mark.django_db


@pytest.fixture
def account() -> Account:
    return make_account()


@pytest.fixture(autouse=True)
def _trunks(settings: Any) -> None:
    use_trunks(settings, strict=True, lenient=False)


def pick(account: Account, to: str, trunk: str = "strict") -> str | None:
    return SenderChoice([account.pk]).pick(account.pk, trunk, to)


def test_sender_of_the_recipients_operator_is_picked(account: Account) -> None:
    for operator, address in (("ntc", "31001"), ("ncell", "ACME"), ("smart", "+9779841000099")):
        make_sender(address, owner=account, operator=operator)
    assert [pick(account, to) for to in (NTC, NCELL, SMART, OTHER)] == [
        "31001",
        "ACME",
        "+9779841000099",
        None,
    ]
    assert pick(account, OTHER, "lenient") == ""


def test_sender_for_every_operator_stands_in_for_missing_ones(account: Account) -> None:
    make_sender("ALL", owner=account)
    make_sender("NCELLONLY", owner=account, operator="ncell")
    assert [pick(account, to) for to in (NTC, NCELL, SMART, OTHER, "+447400123456")] == [
        "ALL", "NCELLONLY", "ALL", "ALL", "ALL",
    ]  # fmt: skip


def test_sender_of_the_trunk_is_preferred(account: Account) -> None:
    make_sender("ANYTRUNK", owner=account, operator="ntc")
    make_sender("STRICT", owner=account, trunk="strict")
    assert (pick(account, NTC), pick(account, NTC, "lenient")) == ("STRICT", "ANYTRUNK")


@pytest.mark.parametrize("status", [SenderStatus.REQUESTED, SenderStatus.REFUSED])
def test_only_approved_senders_are_used(account: Account, status: SenderStatus) -> None:
    make_sender("ACME", owner=account, status=status)
    assert (pick(account, NTC), pick(account, NTC, "lenient")) == (None, "")


def test_senders_of_other_accounts_are_not_used(account: Account) -> None:
    make_sender("OTHER", owner=make_account())
    assert pick(account, NTC) is None


def test_department_prefers_its_own_sender_to_its_parents_and_these_to_everybodys(account: Account) -> None:
    department = departments.create(parent=account, name="Ward 5")
    make_sender("SHARED")
    assert (pick(account, NTC), pick(department, NTC)) == ("SHARED", "SHARED")
    make_sender("PARENT", owner=account, operator="ntc")
    assert (pick(department, NTC), pick(department, NCELL)) == ("PARENT", "SHARED")
    make_sender("WARD5", owner=department)
    assert (pick(department, NTC), pick(account, NTC)) == ("WARD5", "PARENT")


def test_test_twin_shows_the_senders_of_its_account(account: Account, settings: Any) -> None:
    twin = twins.open_twin(account=account)
    make_sender("PARENT", owner=account)
    assert pick(twin, NTC, settings.TWIN_TRUNK) == "PARENT"
    make_sender("TWIN", owner=twin)
    assert pick(twin, NTC, settings.TWIN_TRUNK) == "TWIN"
    assert pick(account, NTC) == "PARENT"


def test_trunk_whose_carrier_takes_no_senders_decides_itself(account: Account, settings: Any) -> None:
    aakash = {"BACKEND": "telephony.carriers.aakash.AakashCarrier", "OPTIONS": {"auth_token": "x" * 20}}
    settings.CARRIERS = {"aakash": {**SANDBOX, **aakash}}
    make_sender("ACME", owner=account)
    assert pick(account, NTC, "aakash") == ""
    assert pick(account, NTC, "gone") == ""


def test_all_senders_of_many_accounts_take_one_query(account: Account) -> None:
    accounts = [account, make_account(), make_account()]
    for one in accounts:
        make_sender(f"OF{one.pk}", owner=one)
    with CaptureQueriesContext(connection) as queries:
        choice = SenderChoice([one.pk for one in accounts])
        picked = [choice.pick(one.pk, "strict", to) for one in accounts for to in (NTC, NCELL, OTHER)]
    assert len(queries) == 1
    assert picked == [f"OF{one.pk}" for one in accounts for _ in range(3)]


def test_error_names_the_operators_and_how_many_numbers_they_have() -> None:
    message = no_sender([NTC, NCELL, OTHER], counts=[1204, 1, 7]).message
    for words in ("Nepal Telecom numbers (1,204)", "Ncell numbers (1)", "no Nepali mobile operator (7)"):
        assert words in message


SENDERS = st.tuples(
    st.sampled_from(["A", "B", "C"]),  # the account, its parent, everybody
    st.sampled_from(["", "strict", "lenient"]),
    st.sampled_from(["", "ntc", "ncell", "smart"]),
    st.sampled_from(list(SenderStatus)),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(SENDERS, max_size=8, unique_by=lambda one: one[:3]))
def test_picked_sender_is_the_best_of_all_that_are_approved(
    rows: list[tuple[str, str, str, SenderStatus]],
) -> None:
    parent = make_account()
    account = departments.create(parent=parent, name="Ward 5")
    owners = {"A": account, "B": parent, "C": None}
    Sender.objects.all().delete()
    for number, (owner, trunk, operator, status) in enumerate(rows):
        make_sender(f"S{number}", owner=owners[owner], trunk=trunk, operator=operator, status=status)
    choice = SenderChoice([account.pk])
    for alias in ("strict", "lenient"):
        for to, operator in ((NTC, "ntc"), (NCELL, "ncell"), (SMART, "smart"), (OTHER, "-")):
            fitting = [
                (owner, trunk == "", its == "", number)
                for number, (owner, trunk, its, status) in enumerate(rows)
                if status == SenderStatus.APPROVED and trunk in ("", alias) and its in ("", operator)
            ]
            none = None if alias == "strict" else ""
            assert choice.pick(account.pk, alias, to) == (f"S{min(fitting)[3]}" if fitting else none)
