"""Links by e-mail: a new password, an invitation, a verified address."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from accounts import links, members
from accounts.models import LinkRequest, OutgoingMail, RateCounter, User
from accounts.permissions import ALL
from tests.accounts.signin.pages import NEW_PASSWORD, PASSWORD, Browser, link_in, mails
from tests.factories import client_of, make_account, make_user, owner_of

pytestmark = pytest.mark.django_db
RESET = "/accounts/password/reset/"
OPERATOR = members.Actor(granted=ALL, is_owner=True)


@pytest.fixture
def sita() -> User:
    return make_user(email="Sita@example.com", password=PASSWORD)


def ask(email: str, *, address: str = "127.0.0.1", status: int = 200) -> str:
    """Ask for a link. Return the answer without the token of its form, which differs each time."""
    page = Browser(address).post(RESET, {"email": email}, status=status)
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", page)


def set_password(path: str, password: str = NEW_PASSWORD) -> str:
    """Open the link of an e-mail and set a password."""
    browser = Browser()
    response = browser.client.get(path)
    assert response.status_code == 302, response.content.decode()
    form = {"password1": password, "password2": password}
    return browser.post(response.headers["Location"], form)


class TestReset:
    def test_person_sets_a_new_password_by_e_mail(self, sita: User) -> None:
        ask("sita@example.com")
        (mail,) = mails()
        assert (mail.to, mail.subject) == ("Sita@example.com", "Set a new password")
        other = Browser()
        other.sign_in("sita@example.com")
        assert "Password saved" in set_password(link_in(mail.body))
        assert not other.signed_in
        sita.refresh_from_db()
        assert sita.is_verified_email
        assert "Your sign-in" in Browser().sign_in("sita@example.com", NEW_PASSWORD)

    def test_answer_is_the_same_for_every_address(self, sita: User) -> None:
        make_user(email="off@example.com", is_active=False)
        pages = {ask(email) for email in ("sita@example.com", "nobody@example.com", "off@example.com")}
        assert len(pages) == 1
        assert LinkRequest.objects.count() == 3  # the request does the same work for each
        assert [mail.to for mail in mails()] == ["Sita@example.com"]

    def test_link_works_once(self, sita: User) -> None:
        ask("sita@example.com")
        path = link_in(mails()[0].body)
        set_password(path)
        assert "This link does not work" in Browser().get(path)

    def test_link_survives_logins_to_the_api(self, sita: User) -> None:
        ask("sita@example.com")
        path = link_in(mails()[0].body)
        login = {"email": "sita@example.com", "password": PASSWORD}
        assert Client().post("/api/accounts/login/", login).status_code == 200
        set_password(path)

    @pytest.mark.parametrize("change", ["password", "email", "inactive", "time"])
    def test_link_ends(self, sita: User, change: str, settings: Settings) -> None:
        ask("sita@example.com")
        path = link_in(mails()[0].body)
        if change == "password":
            sita.set_password("something-else-8")
            sita.save()
        elif change == "email":
            User.objects.update(email="new@example.com")
        elif change == "inactive":
            User.objects.update(is_active=False)
        else:
            settings.PASSWORD_RESET_TIMEOUT = -1
        assert "This link does not work" in Browser().get(path)

    @pytest.mark.parametrize(
        "path",
        ["0-abc/", "zzzzzzzzzzzzz-x/", "1-set-password/", "1-" + "x" * 5000 + "/", "é-1/", "1-%00/"],
    )
    def test_wrong_links_are_explained(self, path: str) -> None:
        response = Client().get(f"{RESET}key/{path}")
        assert response.status_code in (200, 404)

    def test_weak_password_is_refused(self, sita: User) -> None:
        ask("sita@example.com")
        assert "too common" in set_password(link_in(mails()[0].body), "password")
        sita.refresh_from_db()
        assert sita.check_password(PASSWORD)

    def test_inbox_is_not_flooded(self, sita: User) -> None:
        pages = {ask("sita@example.com", address=f"192.0.2.{n}") for n in range(8)}
        assert len(pages) == 1
        assert len(mails()) == 3

    def test_requests_from_one_network_are_limited(self) -> None:
        for n in range(20):
            ask(f"person{n}@example.com", address="192.0.2.1")
        page = ask("another@example.com", address="192.0.2.1")
        assert re.search(r"Too many links were requested from your network\. Wait \d+ seconds", page)
        ask("another@example.com", address="192.0.2.2")

    def test_links_lead_to_the_public_address_whatever_host_was_asked(
        self, sita: User, settings: Settings
    ) -> None:
        settings.IRIS_PUBLIC_URL = "https://iris.example.com"
        Client().post(RESET, {"email": "sita@example.com"}, HTTP_HOST="localhost")
        assert "https://iris.example.com/accounts/password/reset/key/" in mails()[0].body
        assert "localhost" not in mails()[0].body

    def test_server_without_mail_says_so(self, sita: User, settings: Settings) -> None:
        settings.MAIL_TO_LOG = False
        assert "This server sends no e-mails" in Browser().get(RESET)
        ask("sita@example.com")
        assert mails() == []


class TestInvitation:
    def add(self, email: str = "ram@example.com", account: Any = None) -> Any:
        account = account or make_account(name="Water office")
        return members.add(account=account, email=email, permissions=ALL, by=OPERATOR)

    def test_new_member_is_invited_and_sets_a_password(self) -> None:
        assert self.add().invited
        (mail,) = mails()
        assert mail.to == "ram@example.com"
        assert "Water office" in mail.subject
        set_password(link_in(mail.body))
        assert "Water office" in Browser().sign_in("ram@example.com", NEW_PASSWORD)
        assert User.objects.get(email="ram@example.com").is_verified_email

    def test_member_with_a_password_is_not_invited(self, sita: User) -> None:
        assert not self.add("sita@example.com").invited
        assert mails() == []

    def test_first_of_two_invitations_ends_with_the_second(self) -> None:
        for _ in range(2):
            self.add()
        first, second = (link_in(mail.body) for mail in mails())
        set_password(first)
        assert "This link does not work" in Browser().get(second)

    def test_invitation_that_expired_is_replaced_by_a_reset(self) -> None:
        self.add()
        OutgoingMail.objects.all().delete()
        LinkRequest.objects.all().delete()
        ask("ram@example.com")
        set_password(link_in(mails()[0].body))

    def test_account_cannot_flood_inboxes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(links, "PER_ACCOUNT", ((2, links.DAY),))
        account = make_account()
        added = [self.add(f"person{n}@example.org", account).invited for n in range(3)]
        assert added == [True, True, False]

    def test_api_says_that_an_invitation_is_on_its_way(self, settings: Settings) -> None:
        client = client_of(owner_of(make_account()))
        form = {"email": "ram@example.com", "preset": "viewer"}
        answer = client.post("/api/system/members/", form).json()
        assert "an e-mail with a link to set one is on its way" in answer["message"]
        settings.MAIL_TO_LOG = False
        answer = client.post("/api/system/members/", {**form, "email": "gita@example.com"}).json()
        assert "the operator of this server sets it" in answer["message"]

    def test_name_of_an_account_cannot_change_the_header_of_an_e_mail(self) -> None:
        self.add(account=make_account(name="Office\nBcc: victim@example.com"))
        (mail,) = mails()
        assert "\n" not in mail.subject


class TestVerification:
    def test_person_verifies_the_address(self, sita: User) -> None:
        browser = Browser()
        browser.sign_in("sita@example.com")
        assert "on its way" in browser.post("/accounts/email/send/")
        path = link_in(mails()[0].body)
        assert "Yes, verify it" in Browser().get(path)
        sita.refresh_from_db()
        assert not sita.is_verified_email  # only opened, as scanners of e-mails do
        browser.post(path)
        sita.refresh_from_db()
        assert sita.is_verified_email

    def test_link_for_an_earlier_address_verifies_nothing(self, sita: User) -> None:
        path = links.verification_link(sita).removeprefix("http://127.0.0.1:8000")
        User.objects.update(email="new@example.com")
        page = Browser().post(path, status=410)
        assert "no longer yours" in page
        assert not User.objects.get().is_verified_email

    @pytest.mark.parametrize("key", ["x", "a:b:c", "é", "%00", "x" * 3000])
    def test_wrong_key_is_explained(self, key: str) -> None:
        assert "This link is too old" in Browser().get(f"/accounts/email/verify/{key}/", status=410)

    def test_changed_address_is_no_longer_verified(self, sita: User) -> None:
        User.objects.update(is_verified_email=True)
        browser = Browser()
        browser.client.force_login(User.objects.create_superuser("operator@example.com", PASSWORD))
        response = browser.client.get(f"/admin/accounts/user/{sita.pk}/change/")
        form = response.context["adminform"].form
        sent = {name: form[name].value() for name in form.fields if name != "password"}
        sent = {name: value for name, value in sent.items() if value not in (None, False, [])}
        browser.post(f"/admin/accounts/user/{sita.pk}/change/", {**sent, "email": "new@example.com"})
        sita.refresh_from_db()
        assert (sita.email, sita.is_verified_email) == ("new@example.com", False)


def test_counters_contain_no_addresses(sita: User) -> None:
    ask("sita@example.com")
    assert not any("sita" in key for key in RateCounter.objects.values_list("key", flat=True))
