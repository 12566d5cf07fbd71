"""The audit log of sign-ins in the browser, and of what people change in their own sign-in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.core.management import call_command
from django.db import connection
from django.test import Client

from accounts.audit_sentences import sentence_of
from accounts.models import Account, AuditEntry, Member, User
from tests.accounts.signin.forged_passkey import FORGED
from tests.accounts.signin.pages import NEW_PASSWORD, PASSWORD, Browser, link_in, mails, turn_on_totp
from tests.accounts.signin.test_links import ask, set_password
from tests.factories import account_of, make_account, make_user

pytestmark = pytest.mark.django_db

ANYBODY = "Somebody who has not signed in"


@pytest.fixture
def sita() -> User:
    return make_user(email="sita@example.com", password=PASSWORD, first_name="Sita", last_name="Rai")


@pytest.fixture
def office(sita: User) -> Account:
    """Return another account of which Sita is a member, which she joined later."""
    office = make_account(name="Water office")
    Member.objects.create(account=office, user=sita, permissions=["view"])
    return office


@pytest.fixture
def browser(sita: User) -> Browser:
    browser = Browser("192.0.2.7")
    browser.sign_in("sita@example.com")
    return browser


class Log:
    """The entries that were added since the last look."""

    def __init__(self) -> None:
        self._seen = AuditEntry.objects.count()

    def new(self, account: Account | None = None) -> list[AuditEntry]:
        rows = list(AuditEntry.objects.order_by("pk"))[self._seen :]
        self._seen += len(rows)
        return [row for row in rows if account is None or row.account_id == account.pk]

    def sentences(self, account: Account | None = None) -> list[str]:
        return [sentence_of(entry) for entry in self.new(account)]


@pytest.fixture
def log(browser: Browser, office: Account) -> Log:
    return Log()


def test_a_sign_in_and_a_sign_out_are_in_the_log_of_the_first_account(sita: User, office: Account) -> None:
    log = Log()
    browser = Browser("192.0.2.7")
    browser.sign_in("sita@EXAMPLE.com")
    (entry,) = log.new()
    assert (entry.action, entry.account_id, entry.user_id) == ("signed_in", account_of(sita).pk, sita.pk)
    assert (entry.address, entry.actor_kind, sentence_of(entry)) == (
        "192.0.2.7",
        "person",
        "Sita Rai signed in.",
    )
    browser.post("/accounts/logout/")
    (entry,) = log.new()
    assert (entry.account_id, sentence_of(entry)) == (account_of(sita).pk, "Sita Rai signed out.")


def test_a_wrong_password_is_in_the_log_of_each_account(sita: User, office: Account) -> None:
    log = Log()
    Browser("192.0.2.9").sign_in("sita@example.com", "Geheim-1234")
    Browser("192.0.2.9").sign_in("nobody@example.com", "Geheim-1234")
    entries = log.new()
    assert {entry.account_id for entry in entries} == {account_of(sita).pk, office.pk}
    assert [sentence_of(entry) for entry in entries] == [
        f"{ANYBODY} failed to sign in as sita@example.com."
    ] * 2
    assert "Geheim" not in str(list(AuditEntry.objects.values_list()))


def test_the_second_step_is_logged_when_it_is_complete(sita: User, browser: Browser, log: Log) -> None:
    secret, codes = turn_on_totp(browser)
    log.new()
    other = Browser("192.0.2.8")
    assert "Second step" in other.sign_in("sita@example.com")
    assert log.sentences() == []
    for code in ("000000", "12345678"):
        other.post("/accounts/two-step/authenticate/", {"code": code})
        assert set(log.sentences()) == {f"{ANYBODY} failed to sign in as sita@example.com."}
    other.post("/accounts/two-step/authenticate/", {"code": codes[0]})
    (entry,) = log.new()
    assert (entry.action, entry.account_id, entry.address) == ("signed_in", account_of(sita).pk, "192.0.2.8")
    everything = str(list(AuditEntry.objects.values_list()))
    assert not [hidden for hidden in (secret, *codes, "000000") if hidden in everything]


def test_wrong_codes_beyond_the_limit_do_not_fill_the_log(
    browser: Browser, office: Account, log: Log
) -> None:
    turn_on_totp(browser)
    log.new()
    other = Browser()
    other.sign_in("sita@example.com")
    pages = [other.post("/accounts/two-step/authenticate/", {"code": "000000"}) for _ in range(8)]
    assert [("Too many wrong codes" in page) for page in pages] == [False] * 5 + [True] * 3
    assert len(log.new(office)) == 5


def test_a_forged_key_is_a_failed_sign_in_and_counts_like_a_wrong_code(
    browser: Browser, office: Account, log: Log
) -> None:
    turn_on_totp(browser)
    log.new()
    other = Browser()
    other.sign_in("sita@example.com")
    for _ in range(7):
        other.post("/accounts/two-step/authenticate/", {"credential": FORGED})
    assert [entry.action for entry in log.new(office)] == ["sign_in_failed"] * 5
    page = other.post("/accounts/two-step/authenticate/", {"code": "000000"})
    assert "Too many wrong codes" in page
    alone = Browser()
    alone.client.get("/accounts/two-step/keys/login/", headers={"Accept": "application/json"})
    alone.post("/accounts/two-step/keys/login/", {"credential": FORGED})
    assert log.new() == []  # nobody knows whose key it should be


def test_a_wrong_code_before_something_important_is_logged(
    browser: Browser, office: Account, log: Log
) -> None:
    secret, codes = turn_on_totp(browser)
    other = Browser()
    other.sign_in("sita@example.com")
    other.post("/accounts/two-step/authenticate/", {"code": codes[0]})
    log.new()
    other.post("/accounts/two-step/reauthenticate/", {"code": "000000"})
    assert log.sentences(office) == ["Sita Rai failed to sign in as sita@example.com."]


def test_changes_of_a_sign_in_are_in_the_log_of_each_account_of_the_person(
    sita: User, browser: Browser, office: Account, log: Log
) -> None:
    of_sita = "“sita@example.com”"
    stranger = make_account()
    log.new()

    def both() -> list[str]:
        """Return the new sentences, which must be the same in both logs."""
        entries = log.new()
        said = {one.pk: [sentence_of(entry) for entry in entries if entry.account_id == one.pk]
                for one in (account_of(sita), office, stranger)}  # fmt: skip
        assert said[office.pk] == said[account_of(sita).pk]
        assert said[stranger.pk] == []
        assert len(entries) == 2 * len(said[office.pk])
        assert {entry.address for entry in entries} == {"192.0.2.7"}
        assert {entry.kind for entry in entries} == {"person"}
        return said[office.pk]

    turn_on_totp(browser)
    assert both() == [
        f"Sita Rai set up an authenticator app for {of_sita}.",
        f"Sita Rai made new recovery codes for {of_sita}.",
    ]
    browser.post("/accounts/two-step/codes/generate/")
    assert both() == [f"Sita Rai made new recovery codes for {of_sita}."]
    key = Authenticator.objects.create(user=sita, type="webauthn", data={"name": "Phone", "credential": {}})
    log.new()
    browser.post(f"/accounts/two-step/keys/{key.pk}/remove/")
    assert both() == [f"Sita Rai removed the passkey “Phone” of {of_sita}."]
    browser.post("/accounts/two-step/app/deactivate/")
    assert both() == [f"Sita Rai removed the authenticator app of {of_sita}."]

    there = Browser("192.0.2.8")
    for one in (there, Browser("192.0.2.8")):
        one.sign_in("sita@example.com")
    log.new()
    browser.post("/accounts/sessions/")
    assert both() == [f"Sita Rai ended 2 other sessions of {of_sita}."]
    assert not there.signed_in
    browser.post("/accounts/sessions/")
    assert log.sentences() == []  # there was no other session

    browser.post("/accounts/email/send/")
    browser.post(link_in(mails()[0].body))
    assert both() == [f"Sita Rai verified the e-mail address {of_sita}."]
    form = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    browser.post("/accounts/password/change/", form)
    assert both() == [f"Sita Rai changed the password of {of_sita}."]


def test_a_password_that_is_set_by_link_is_logged_as_such(sita: User, office: Account) -> None:
    ask("sita@example.com")
    path = link_in(mails()[0].body)
    log = Log()
    assert "too common" in set_password(path, "password")
    assert log.sentences() == []
    set_password(path)
    assert log.sentences(office) == [
        f"{ANYBODY} set a new password of “sita@example.com” with a link that was sent by e-mail.",
        f"{ANYBODY} verified the e-mail address “sita@example.com”.",
    ]
    user = User.objects.get(pk=sita.pk)
    user.set_password("set-by-operator-9")
    user.save()  # in the transaction of this test, too
    assert log.sentences(office) == ["The server changed the password of “sita@example.com”."]


def test_what_the_operator_removes_is_logged(browser: Browser, office: Account, log: Log) -> None:
    turn_on_totp(browser)
    log.new()
    call_command("removesecondfactor", "sita@example.com")
    assert [entry.action for entry in log.new(office)] == ["app_removed", "logins_ended"]
    browser.sign_in("sita@example.com")
    turn_on_totp(browser)
    operator = Client()
    operator.force_login(User.objects.create_superuser("operator@example.com", PASSWORD))
    log.new()
    form = {
        "action": "remove_second_factor",
        "_selected_action": [User.objects.get(email="sita@example.com").pk],
    }
    operator.post("/admin/accounts/user/", form)
    (removed, ended) = log.new(office)
    assert (removed.action, removed.actor_kind, removed.actor_email) == (
        "app_removed",
        "operator",
        "operator@example.com",
    )


def test_a_second_factor_that_another_program_changes_is_logged(sita: User, office: Account) -> None:
    log = Log()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO mfa_authenticator (user_id, type, data, created_at) VALUES (%s, 'webauthn', %s, now())",
            [sita.pk, json.dumps({"name": "x" * 300})],
        )
    (entry,) = log.new(office)
    assert (entry.action, entry.actor_kind, entry.details) == ("passkey_added", "server", {"name": "x" * 100})
    with connection.cursor() as cursor:
        cursor.execute("UPDATE mfa_authenticator SET last_used_at = now()")
    assert log.new() == []


def test_a_person_who_leaves_takes_the_second_factor_along(browser: Browser, sita: User, log: Log) -> None:
    turn_on_totp(browser)
    Member.objects.filter(user=sita).delete()
    log.new()
    sita.delete()
    entries: Any = log.new()
    assert [(entry.action, entry.account_id) for entry in entries] == [("app_removed", None)]
