"""Failed logins are limited per address and per account, and an account's owner is never locked out."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts import addresses, counters, hashing, login_limits, tasks
from accounts.hashing import Busy
from accounts.models import KnownAddress, RateCounter, User
from accounts.services import log_in
from iris.webserver import config
from tests.factories import account_of, client_of, make_campaign, make_user
from tests.v0 import assert_refusal

pytestmark = pytest.mark.django_db

LOGIN = "/api/accounts/login/"
PASSWORD = "secret-password"


@pytest.fixture
def owner() -> User:
    return make_user(email="sita@example.com", password=PASSWORD)


def attempt(email: str, address: str, password: str = "wrong", path: str = LOGIN) -> Any:
    return APIClient().post(path, {"email": email, "password": password}, REMOTE_ADDR=address)


def statuses(*attempts: tuple[str, str]) -> list[int]:
    return [attempt(email, address).status_code for email, address in attempts]


def later(seconds: float) -> None:
    """Let `seconds` pass for all counters."""
    RateCounter.objects.update(ends_at=F("ends_at") - timedelta(seconds=seconds))


class TestFromOneAddress:
    """One address tries one password on each of many accounts."""

    def test_failures_from_one_address_are_limited_across_accounts(
        self, owner: User, settings: Settings
    ) -> None:
        settings.IRIS_LOGIN_ADDRESS_THROTTLE = "4/minute"
        make_user(email="ram@example.com")
        tried = ["sita@example.com", "nobody@example.com", "ram@example.com", "no address at all"]
        assert statuses(*((email, "192.0.2.1") for email in tried)) == [401] * 4

        response = attempt("sita@example.com", "192.0.2.1", PASSWORD)

        assert response.status_code == 429
        answer = json.loads(response.content)
        assert_refusal(answer, 429)
        assert 1 <= int(response["Retry-After"]) <= 60
        assert f"Wait {response['Retry-After']} seconds" in answer["message"]
        assert attempt("sita@example.com", "192.0.2.2", PASSWORD).status_code == 200
        later(61)
        assert attempt("nobody@example.com", "192.0.2.1").status_code == 401

    def test_all_rates_of_a_throttle_setting_apply(self, db: None, settings: Settings) -> None:
        settings.IRIS_LOGIN_ADDRESS_THROTTLE = "2/minute, 3/hour"
        assert statuses(*((f"{n}@example.com", "192.0.2.1") for n in range(3))) == [401, 401, 429]
        later(61)
        assert statuses(*((f"{n}@example.com", "192.0.2.1") for n in range(3, 5))) == [401, 429]

    def test_ipv6_addresses_of_one_64_prefix_share_a_counter(self, db: None, settings: Settings) -> None:
        settings.IRIS_LOGIN_ADDRESS_THROTTLE = "2/minute"
        tried = [
            ("a@x.np", "2001:db8:1:2::1"),
            ("b@x.np", "2001:db8:1:2:ffff::9"),
            ("c@x.np", "2001:db8:1:2::3"),
        ]
        assert statuses(*tried) == [401, 401, 429]
        assert statuses(("c@x.np", "2001:db8:1:3::1")) == [401]

    def test_a_forged_x_forwarded_for_header_does_not_change_the_counted_address(
        self, db: None, settings: Settings
    ) -> None:
        settings.IRIS_LOGIN_ADDRESS_THROTTLE = "2/minute"
        answers = [
            APIClient().post(
                LOGIN, {"email": f"{n}@x.np", "password": "x"}, HTTP_X_FORWARDED_FOR=f"192.0.2.{n}"
            )
            for n in range(3)
        ]
        assert [answer.status_code for answer in answers] == [401, 401, 429]

    def test_logins_of_both_dialects_and_the_browser_share_one_counter(
        self, owner: User, settings: Settings
    ) -> None:
        settings.IRIS_LOGIN_ADDRESS_THROTTLE = "2/minute"
        attempt("a@example.com", "127.0.0.1")
        attempt("b@example.com", "127.0.0.1", path="/api/v1/auths/login/")
        page = APIClient().post(
            "/accounts/login/", {"login": "c@example.com", "password": "x"}, format="multipart"
        )
        assert re.search(r"Too many logins in a short time\. Wait \d+ seconds", page.content.decode())

    def test_successful_logins_are_not_counted_as_failures(self, owner: User, settings: Settings) -> None:
        """A client may log in before each request."""
        settings.IRIS_LOGIN_THROTTLE = settings.IRIS_LOGIN_ADDRESS_THROTTLE = "2/hour"
        settings.IRIS_LOGIN_ACCOUNT_THROTTLE = "2/hour"
        assert [attempt("sita@example.com", "192.0.2.1", PASSWORD).status_code for _ in range(9)] == [200] * 9

    def test_successful_logins_have_a_limit_per_minute(
        self, owner: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(login_limits, "MAX_LOGINS_PER_MINUTE", 3)
        answers = [attempt("sita@example.com", "192.0.2.1", PASSWORD).status_code for _ in range(4)]
        assert answers == [200, 200, 200, 429]


class TestToOneAccount:
    """Many addresses guess the password of one account."""

    def strangers(self, count: int, email: str = "sita@example.com") -> list[int]:
        return statuses(*((email, f"203.0.113.{n}") for n in range(count)))

    @pytest.mark.parametrize("email", ["sita@example.com", "nobody@example.com"])
    def test_unknown_networks_must_wait_beyond_the_account_limit(
        self, owner: User, settings: Settings, email: str
    ) -> None:
        """An unknown e-mail address behaves the same, so that responses do not reveal which accounts exist."""
        settings.IRIS_LOGIN_ACCOUNT_THROTTLE = "3/hour"
        assert self.strangers(5, email) == [401, 401, 401, 429, 429]
        response = attempt(email, "203.0.113.9")
        assert (response.status_code, response["Retry-After"]) == (429, "30")

    def test_a_known_address_can_log_in_during_an_attack(self, owner: User, settings: Settings) -> None:
        settings.IRIS_LOGIN_ACCOUNT_THROTTLE = "3/hour"
        settings.IRIS_LOGIN_ADDRESS_THROTTLE = "2/hour"
        assert attempt("sita@example.com", "192.0.2.1", PASSWORD).status_code == 200
        assert attempt("sita@example.com", "2001:db8::1", PASSWORD).status_code == 200
        assert 429 in self.strangers(9)
        # Another person at the same address tries other accounts.
        assert statuses(*((f"{n}@example.com", "192.0.2.1") for n in range(3)))[-1] == 429

        assert attempt("SITA@example.com", "192.0.2.1", PASSWORD).status_code == 200
        assert attempt("sita@example.com", "2001:db8::77", PASSWORD).status_code == 200

    def test_an_owner_with_a_new_address_can_log_in_after_one_wait(
        self, owner: User, settings: Settings
    ) -> None:
        settings.IRIS_LOGIN_ACCOUNT_THROTTLE = "3/hour"
        self.strangers(9)
        wait = int(attempt("sita@example.com", "192.0.2.1", PASSWORD)["Retry-After"])
        later(wait - 5)
        assert (
            attempt("sita@example.com", "192.0.2.1", PASSWORD).status_code == 429
        )  # does not extend the wait
        later(6)
        self.strangers(9)  # the attack continues
        assert attempt("sita@example.com", "192.0.2.1", PASSWORD).status_code == 200
        assert attempt("sita@example.com", "192.0.2.1", PASSWORD).status_code == 200

    def test_an_unknown_network_has_one_attempt_after_each_wait(
        self, owner: User, settings: Settings
    ) -> None:
        settings.IRIS_LOGIN_ACCOUNT_THROTTLE = "3/hour"
        self.strangers(4)
        later(31)
        assert statuses(*[("sita@example.com", "203.0.113.3")] * 3) == [401, 429, 429]

    def test_the_wait_doubles_with_the_failures_up_to_15_minutes(self) -> None:
        waits = [login_limits._backoff(failed, 20) for failed in (20, 39, 40, 60, 80, 100, 120, 10**9)]
        assert waits == [30, 30, 60, 120, 240, 480, 900, 900]

    def test_failures_after_a_wait_are_counted(self, owner: User, settings: Settings) -> None:
        settings.IRIS_LOGIN_ACCOUNT_THROTTLE = "2/hour"
        self.strangers(5)
        later(31)
        assert self.strangers(5) == [429, 429, 401, 401, 401]  # the first two start their wait only now
        response = attempt("sita@example.com", "198.51.100.1")
        assert int(response["Retry-After"]) >= 60

    def test_known_addresses_are_deleted_after_known_days(self, owner: User, settings: Settings) -> None:
        settings.IRIS_LOGIN_ACCOUNT_THROTTLE = "1/hour"
        attempt("sita@example.com", "192.0.2.1", PASSWORD)
        KnownAddress.objects.update(seen_at=F("seen_at") - timedelta(days=login_limits.KNOWN_DAYS))
        self.strangers(2)
        assert attempt("sita@example.com", "192.0.2.1", PASSWORD).status_code == 429
        tasks.prune()
        assert not KnownAddress.objects.exists()

    def test_a_login_updates_when_its_known_address_was_last_seen(self, owner: User) -> None:
        attempt("sita@example.com", "192.0.2.1", PASSWORD)
        KnownAddress.objects.update(seen_at=F("seen_at") - timedelta(days=80))
        before = KnownAddress.objects.get().seen_at
        attempt("sita@example.com", "192.0.2.1", PASSWORD)
        assert KnownAddress.objects.get().seen_at - before > timedelta(days=79)


@pytest.mark.parametrize("known", ["sita@example.com", "nobody@example.com"])
def test_all_spellings_of_an_e_mail_address_share_one_counter(
    owner: User, settings: Settings, known: str
) -> None:
    settings.IRIS_LOGIN_THROTTLE = "3/hour"
    for email in (known.upper(), f"  {known}", f"{known.title()} \t"):
        assert attempt(email, "192.0.2.1").status_code == 401
    assert attempt(known, "192.0.2.1", PASSWORD).status_code == 429


def test_unicode_variants_of_an_e_mail_address_share_one_counter(db: None, settings: Settings) -> None:
    settings.IRIS_LOGIN_THROTTLE = "3/hour"
    wide = "".join(chr(ord(c) + 0xFEE0) for c in "ram") + "@example.com"
    tried = [wide, "ra\N{ZERO WIDTH SPACE}m@example.com", "RAM@EXAMPLE.COM", "r am@example.com"]
    assert statuses(*((email, "192.0.2.1") for email in tried)) == [401, 401, 401, 429]


def test_failures_of_others_at_the_same_address_do_not_throttle_an_owner(
    owner: User, settings: Settings
) -> None:
    settings.IRIS_LOGIN_THROTTLE = "1/hour"
    assert statuses(("sita@example.com", "192.0.2.1"), ("sita@example.com", "192.0.2.1")) == [401, 429]
    make_user(email="ram@example.com", password=PASSWORD)
    assert attempt("ram@example.com", "192.0.2.1", PASSWORD).status_code == 200


def test_failed_logins_never_throttle_polling_clients(owner: User, settings: Settings) -> None:
    """Several people share one address, and someone there guesses passwords.

    Real clients forget a campaign when a response about it is not 2xx, so their polls must not be throttled.
    """
    settings.IRIS_LOGIN_ADDRESS_THROTTLE = "2/hour"
    people = [owner, make_user(credits=10), make_user(credits=10)]
    polls = [
        (client_of(person), make_campaign(owner=account_of(person)).pk) for person in people for _ in range(2)
    ]
    refresh = attempt("sita@example.com", "127.0.0.1", PASSWORD).json()["data"]["token"]["refresh"]
    assert statuses(*((f"{n}@example.com", "127.0.0.1") for n in range(3)))[-1] == 429
    for _ in range(4):
        for client, campaign in polls:
            assert client.get(f"/api/system/campaigns/{campaign}/details/").status_code == 200
            assert client.get(f"/api/system/campaigns/number/{campaign}").status_code == 200
            assert client.get("/api/system/campaigns/").status_code == 200
        assert APIClient().post("/api/accounts/token/refresh/", {"refresh": refresh}).status_code == 200
    assert attempt("sita@example.com", "127.0.0.1", PASSWORD).status_code == 200


def test_refused_logins_compute_no_hash_and_write_nothing(
    owner: User, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.IRIS_LOGIN_ADDRESS_THROTTLE = "1/hour"
    attempt("sita@example.com", "192.0.2.1")
    before = list(RateCounter.objects.order_by("key").values())
    monkeypatch.setattr("accounts.models.users.check_password", None)
    monkeypatch.setattr("django.contrib.auth.base_user.make_password", None)
    assert statuses(("sita@example.com", "192.0.2.1"), ("nobody@example.com", "192.0.2.1")) == [429, 429]
    assert list(RateCounter.objects.order_by("key").values()) == before


def test_a_login_that_finds_no_hashing_slot_is_not_counted_as_a_failure(
    owner: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashing, "_hashing", 1)
    monkeypatch.setattr(hashing, "_waiting", hashing.MAX_WAITING)
    response = attempt("sita@example.com", "192.0.2.1", PASSWORD)
    assert response.status_code == 429
    assert int(response["Retry-After"]) == hashing.RETRY_SECONDS
    assert set(RateCounter.objects.values_list("count", flat=True)) <= {0, 1}
    with pytest.raises(Busy):
        log_in(email="sita@example.com", password=PASSWORD)


def test_hashing_and_waiting_logins_occupy_at_most_half_of_the_threads(settings: Settings) -> None:
    """A thread that hashes or waits cannot serve /health. The limit is that of the documented web server."""
    assert config.threads / 2 >= settings.IRIS_LOGINS_AT_ONCE + hashing.MAX_WAITING


def test_prune_deletes_expired_counters(owner: User) -> None:
    attempt("sita@example.com", "192.0.2.1")
    kept = RateCounter.objects.count()
    tasks.prune()
    assert RateCounter.objects.count() == kept > 2
    later(86_401)
    tasks.prune()
    assert not RateCounter.objects.exists()


def test_counter_keys_are_hashes(owner: User) -> None:
    attempt("sita@example.com", "192.0.2.1")
    for key in RateCounter.objects.values_list("key", flat=True):
        assert re.fullmatch("[0-9a-f]{32}", key)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1 ", "192.0.2.1"),
        ("192.0.2.1:5060", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2002:c000:201::5", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]:443", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix:", "unix:"),
        ("", ""),
        ("x" * 300, "x" * 300),
    ],
)
def test_addresses_map_to_their_networks(address: str, network: str) -> None:
    assert addresses.network_of(address) == network


def test_a_consumed_event_can_be_given_back(db: None) -> None:
    rules = counters.rules_of("2/hour, 3/day", "test")
    assert counters.consume(rules) == counters.consume(rules) == []
    (refused,) = counters.consume(rules)
    assert (refused.rule.limit, refused.counted) == (2, 2)
    counters.give_back(rules)
    assert counters.consume(rules) == []
