"""The operator area, and operators who look at an account as its members see it."""

from __future__ import annotations

import inspect
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Permission as AdminPermission
from django.test import Client
from django.urls import resolve, reverse
from django.utils import timezone, translation

from accounts.models import Account, AuditEntry, User
from accounts.permissions import Permission
from console import support
from console.words_of_operator import PAUSES, STALLED, STATES, Said, said
from iris import health
from telephony.engine import circuit_breaker
from telephony.engine.routing import get_or_create_trunks
from telephony.engine.stalls import PROBLEMS
from telephony.models import PauseCause, Sender, SenderStatus, Trunk
from tests.console.test_pages import latin_words, methods_of
from tests.console.world import ADDRESSES, World, client_for
from tests.factories import make_account, make_user
from tests.iris.test_headers import check

pytestmark = pytest.mark.django_db
PAGES = ("operator", "operator-carriers", "operator-accounts", "operator-account", "operator-senders")
ACTIONS = (
    "operator-top-up",
    "operator-look",
    "operator-decide-sender",
    "operator-stop-looking",
    "operator-change-trunk",
)


@pytest.fixture
def hari() -> User:
    user = make_user(email="hari@example.com", first_name="Hari", is_staff=True, is_superuser=True)
    user.memberships.all().delete()
    return user


@pytest.fixture
def operator(hari: User, world: World) -> Client:
    get_or_create_trunks()
    return client_for(hari)


@pytest.fixture
def sender(world: World) -> Sender:
    return Sender.objects.create(
        owner=world.account, address="WARD5", operator="ntc", status=SenderStatus.REQUESTED, note="For alerts"
    )


def address(name: str, world: World, sender: Sender | None = None) -> str:
    ids = {"operator-decide-sender": 1 if sender is None else sender.pk}
    wants_id = name in ("operator-account", "operator-top-up", "operator-look", "operator-decide-sender")
    if name == "operator-change-trunk":
        return reverse(f"console:{name}", args=["sandbox"])
    return reverse(f"console:{name}", args=[ids.get(name, world.account.pk)] if wants_id else [])


def get(client: Client, path: str, **query: str) -> str:
    response = client.get(path, query)
    assert response.status_code == 200
    return response.content.decode()


def set_up_second_factor(user: User) -> None:
    Authenticator.objects.create(user=user, type=Authenticator.Type.TOTP, data={"secret": "x"})


def needed(path: str) -> Permission:
    found: Permission = resolve(path).func.needs  # type: ignore[attr-defined]
    return found


def look(client: Client, world: World, reason: str = "They called: a sheet does not arrive") -> Any:
    return client.post(address("operator-look", world), {"reason": reason})


def test_operators_see_the_server_and_its_accounts(operator: Client, world: World, sender: Sender) -> None:
    page = get(operator, address("operator", world))
    assert "2 requests wait for your decision" in page
    assert "sandbox" in page
    for words in ("ward off", str(world.account.pk), world.owner.email):
        assert "Ward office" in get(operator, address("operator-accounts", world), q=words)
    assert "No account is like that" in get(operator, address("operator-accounts", world), q="nothing")
    page = get(operator, address("operator-account", world))
    assert world.owner.email in page
    assert operator.get(reverse("console:operator-account", args=[2**63])).status_code == 404


def test_pages_of_operators_keep_to_their_policy_and_are_in_nepali(
    operator: Client, hari: User, world: World, sender: Sender
) -> None:
    in_nepali = client_for(hari, language="ne")
    for name in PAGES:
        check(operator, address(name, world))
        page = in_nepali.get(address(name, world)).content.decode()
        page = re.sub(r"[\w.]+@example\.com", "", page)
        assert '<html lang="ne">' in page
        assert latin_words(page) <= {"Hari", "WARD", "For", "alerts"}, name


def test_nobody_else_enters_the_operator_area(world: World, sender: Sender) -> None:
    for name in (*PAGES, *ACTIONS):
        path = address(name, world, sender)
        for client in (client_for(world.owner), client_for(make_user())):
            for response in (client.get(path), client.post(path, {"reason": "x", "approve": "yes"})):
                assert response.status_code in (404, 405)
                assert "Ward office" not in response.content.decode().replace("Ward office</a>", "").replace(
                    'chosen">Ward office', ""
                )
        assert Client().get(path).headers["Location"].startswith("/accounts/login/")
    sender.refresh_from_db()
    assert sender.status == SenderStatus.REQUESTED
    assert AuditEntry.objects.filter(action="support_began").count() == 0


def test_an_operator_needs_the_permission_of_the_admin_page(world: World, sender: Sender) -> None:
    user = make_user(is_staff=True)
    client = client_for(user)
    for name in PAGES:
        assert client.get(address(name, world)).status_code == 403, name
    for name in ACTIONS[:3]:
        assert client.post(address(name, world, sender)).status_code == 403, name
    user.user_permissions.add(AdminPermission.objects.get(codename="view_account"))
    assert client.get(address("operator-account", world)).status_code == 200
    assert client.post(address("operator-top-up", world), {"amount": "1"}).status_code == 403


def test_an_operator_without_the_demanded_second_factor_is_not_admitted(
    hari: User, operator: Client, world: World, settings: Any
) -> None:
    settings.IRIS_STAFF_SECOND_FACTOR = True
    assert operator.get(address("operator", world)).status_code == 403
    set_up_second_factor(hari)
    assert operator.get(address("operator", world)).status_code == 200


def test_a_form_that_is_sent_twice_tops_up_once(operator: Client, world: World) -> None:
    page = get(operator, address("operator-account", world))
    found = re.search(r'name="cause" value="([^"]+)"', page)
    assert found is not None
    before = Account.objects.get(pk=world.account.pk).balance
    for _ in range(2):
        operator.post(
            address("operator-top-up", world), {"amount": "250", "note": "Invoice 7", "cause": found[1]}
        )
    assert Account.objects.get(pk=world.account.pk).balance == before + Decimal(250)
    entry = AuditEntry.objects.get(account_id=world.account.pk, action="credits_added", actor_kind="operator")
    assert (entry.actor_name, entry.details["note"]) == ("Hari", "Invoice 7")
    assert "Invoice 7" in get(operator, address("operator-account", world))


@pytest.mark.parametrize("amount", ["0", "-5", "x", "NaN", "9999999999999", "1.234", ""])
def test_a_wrong_amount_is_said(operator: Client, world: World, amount: str) -> None:
    before = Account.objects.get(pk=world.account.pk).balance
    sent = {"amount": amount, "cause": "8b2f3a5e-3f3c-4d0f-9a3e-0a6a0c7f1f11"}
    page = operator.post(address("operator-top-up", world), sent).content.decode()
    assert 'id="id_amount_error"' in page
    assert Account.objects.get(pk=world.account.pk).balance == before


def test_senders_are_approved_and_refused(operator: Client, world: World, sender: Sender) -> None:
    page = get(operator, address("operator-senders", world))
    assert "WARD5" in page
    assert "For alerts" in page
    path = address("operator-decide-sender", world, sender)
    assert operator.post(path, {"refuse": "yes", "reason": " "}).status_code == 400
    operator.post(path, {"refuse": "yes", "reason": "Not registered"})
    sender.refresh_from_db()
    assert (sender.status, sender.reason) == (SenderStatus.REFUSED, "Not registered")
    Sender.objects.filter(pk=sender.pk).update(status=SenderStatus.REQUESTED)
    operator.post(path, {"approve": "yes"})
    sender.refresh_from_db()
    assert sender.status == SenderStatus.APPROVED


def test_a_trunk_is_paused_resumed_and_gets_another_pace(operator: Client, world: World) -> None:
    path = reverse("console:operator-change-trunk", args=["sandbox"])
    operator.post(path, {"pause": "yes"})
    assert get(operator, address("operator", world)).count("An operator has paused it.") == 1
    operator.post(path, {"pause": "yes", "reason": "The carrier tests its line"})
    assert "The carrier tests its line" in get(operator, address("operator", world))
    operator.post(path, {"resume": "yes"})
    assert "The carrier tests its line" not in get(operator, address("operator", world))
    operator.post(path, {"pace": "yes", "cps": "२.५"})
    assert Trunk.objects.get(alias="sandbox").cps == 2.5
    for wrong in ("0", "-1", "x", "nan", "inf", "1e9"):
        assert operator.post(path, {"pace": "yes", "cps": wrong}).status_code == 400
    operator.post(path, {"pace": "yes", "cps": ""})
    assert Trunk.objects.get(alias="sandbox").cps is None
    unknown = reverse("console:operator-change-trunk", args=["nothing"])
    assert operator.post(unknown, {"pause": "yes"}).status_code == 404
    actions = AuditEntry.objects.filter(kind="trunk").values_list("action", "actor_kind")
    assert set(actions) == {(f"trunk_{what}", "operator") for what in ("paused", "resumed", "pace_set")}


def test_a_paused_trunk_says_why(operator: Client, world: World) -> None:
    Trunk.objects.filter(alias="sandbox").update(pause_reason="The account at the carrier is empty.")
    page = get(operator, address("operator", world))
    assert "The account at the carrier is empty." in page
    assert "Paused" in page


@pytest.mark.parametrize("cause", [one for one in PauseCause if one != PauseCause.OPERATOR])
def test_the_cause_of_a_pause_is_in_the_language_of_the_operator(
    operator: Client, hari: User, world: World, cause: PauseCause
) -> None:
    circuit_breaker.fail("sandbox", reason="402 Payment Required", cause=cause)
    page = get(operator, address("operator", world))
    assert str(PAUSES[cause]) in page
    assert "402 Payment Required" in page
    page = get(client_for(hari, language="ne"), address("operator", world))
    assert latin_words(page) <= {"Hari"}
    assert str(PAUSES[cause]) not in page


@pytest.mark.parametrize(
    "state",
    [
        *STATES,
        "not seen for 15 s",
        "No progress for 12 minutes: the calls and SMS of campaigns are not being queued.",
        " ".join(f"No progress for 3 minutes: {problem}." for problem in PROBLEMS.values()),
    ],
)
def test_what_is_wrong_with_the_server_is_said_in_nepali(state: str) -> None:
    with translation.override("en"):
        assert said(state) == Said(state, is_english=True)
    with translation.override("ne"):
        found = said(state)
        assert not found.is_english
        assert set(re.findall(r"[A-Za-z]+", found.text)) <= {"pool", "mode", "session"}
        assert not re.search("[0-9]", found.text)
        assert said("something new") == Said("something new", is_english=True)


def test_the_parts_describe_their_problems_as_the_words_expect() -> None:
    source = inspect.getsource(health)
    for state in STATES:
        assert f'"{state}"' in source
    assert set(STALLED) == set(PROBLEMS)


def test_an_operator_looks_at_an_account_without_changing_it(
    operator: Client, hari: User, world: World
) -> None:
    home = world.address("home")
    assert operator.get(home).status_code == 403
    assert look(operator, world).status_code == 403  # no two-step sign-in
    set_up_second_factor(hari)
    assert look(operator, world, reason="  ").status_code == 400
    assert operator.get(home).status_code == 403
    assert look(operator, world).headers["Location"] == home
    page = get(operator, home)
    assert "You look at this account as its members see it." in page
    assert "New campaign" not in page
    for name in ADDRESSES:
        path = world.address(name)
        methods = methods_of(world, name)
        if "GET" in methods and name not in ("report", "statement-csv"):
            status = operator.get(f"{path}?with=%2B9779841000000").status_code
            if name not in (
                "number-release",
                "team-remove",
            ):  # these check more than the permission of the page
                assert status == (200 if needed(path) == Permission.VIEW else 403), name
        if "POST" in methods:
            assert operator.post(path, {}).status_code == 403, name
    for name in ("report", "statement-csv", "audit-csv", "keys", "team"):
        assert operator.get(world.address(name)).status_code == 403, name


def test_the_account_sees_who_looked_and_why(operator: Client, hari: User, world: World) -> None:
    set_up_second_factor(hari)
    look(operator, world)
    operator.post(address("operator-stop-looking", world))
    page = get(client_for(world.owner), world.address("audit"))
    assert "The operator (Hari) began to look at this account as its members see it." in page
    assert "They called: a sheet does not arrive" in page
    assert "The operator (Hari) stopped looking at this account." in page
    assert operator.get(world.address("home")).status_code == 403


def test_looking_ends_by_itself(
    operator: Client, hari: User, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up_second_factor(hari)
    look(operator, world)
    assert operator.get(world.address("home")).status_code == 200
    later = timezone.now() + timedelta(minutes=support.MINUTES)
    monkeypatch.setattr("console.support.timezone.now", lambda: later)
    assert operator.get(world.address("home")).status_code == 403


def test_looking_ends_with_the_rights_of_the_operator(operator: Client, hari: User, world: World) -> None:
    set_up_second_factor(hari)
    look(operator, world)
    User.objects.filter(pk=hari.pk).update(is_staff=False)
    assert operator.get(world.address("home")).status_code == 403


def test_looking_is_for_one_account(operator: Client, hari: User, world: World) -> None:
    set_up_second_factor(hari)
    look(operator, world)
    other = make_account(name="Other office")
    assert operator.get(world.address("home", account_id=other.pk)).status_code == 403
    assert operator.get("/console/").headers["Location"] == "/accounts/"
