"""Concurrent logins on real transactions and threads never check more passwords than the limits allow."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.db.models.functions import Now
from pytest_django import Settings

from accounts import counters, hashing
from accounts.hashing import Busy
from accounts.models import RateCounter
from accounts.services import log_in
from tests.accounts.test_credits_races import at_once, kinds
from tests.factories import make_user


class CountingHasher(MD5PasswordHasher):
    """Count the hashed passwords, and the maximum number hashed at the same time."""

    lock = threading.Lock()
    hashed = hashing_now = max_concurrent = 0

    def encode(self, password: str, salt: str) -> str:
        kind = CountingHasher
        with kind.lock:
            kind.hashed += 1
            kind.hashing_now += 1
            kind.max_concurrent = max(kind.max_concurrent, kind.hashing_now)
        try:
            return super().encode(password, salt)
        finally:
            with kind.lock:
                kind.hashing_now -= 1


@pytest.fixture
def hasher(settings: Settings) -> type[CountingHasher]:
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    CountingHasher.hashed = CountingHasher.max_concurrent = 0
    return CountingHasher


def guess(email: str, address: str = "192.0.2.1") -> Any:
    return log_in(email=email, password="wrong", address=address)


@pytest.mark.django_db(transaction=True)
class TestConcurrentLogins:
    def test_concurrent_guesses_from_one_address_never_exceed_the_limit(
        self, settings: Settings, hasher: type[CountingHasher]
    ) -> None:
        settings.IRIS_LOGIN_ADDRESS_THROTTLE = "5/minute"
        settings.IRIS_LOGINS_AT_ONCE = 16
        answers = at_once([partial(guess, f"{number}@example.com") for number in range(16)])
        assert kinds(answers) == ["TooManyLogins"] * 11 + ["WrongCredentials"] * 5
        assert hasher.hashed == 5

    def test_concurrent_guesses_at_one_account_never_exceed_the_limit(
        self, settings: Settings, hasher: type[CountingHasher]
    ) -> None:
        settings.IRIS_LOGIN_ACCOUNT_THROTTLE = "5/hour"
        settings.IRIS_LOGINS_AT_ONCE = 16
        make_user(email="sita@example.com")
        hasher.hashed = 0
        answers = at_once([partial(guess, "sita@example.com", f"192.0.2.{n}") for n in range(16)])
        assert kinds(answers) == ["TooManyLogins"] * 11 + ["WrongCredentials"] * 5
        assert hasher.hashed == 5

    def test_one_concurrent_attempt_passes_after_a_wait(self) -> None:
        key = counters.key_of("test")
        assert counters.pass_after_wait(key, wait=30, grace=60) == 30
        RateCounter.objects.update(ends_at=Now() + timedelta(seconds=59))
        passed = at_once([partial(counters.pass_after_wait, key, wait=30, grace=60)] * 8)
        assert passed.count(None) == 1
        assert all(wait is None or 0 < wait <= 30 for wait in passed)

    def test_a_flood_of_logins_hashes_one_password_at_a_time(
        self, settings: Settings, hasher: type[CountingHasher]
    ) -> None:
        settings.IRIS_LOGIN_ADDRESS_THROTTLE = "1000/minute"
        answers = at_once([partial(guess, f"{number}@example.com") for number in range(16)])
        assert set(kinds(answers)) <= {"Busy", "WrongCredentials"}
        assert hasher.max_concurrent == 1
        assert hasher.hashed == kinds(answers).count("WrongCredentials")
        # Logins that found no waiting place are not counted.
        assert (
            sum(RateCounter.objects.filter(count__gt=1).values_list("count", flat=True)) % hasher.hashed == 0
        )

    def test_counting_rules_in_opposite_orders_does_not_deadlock(self) -> None:
        first, second = counters.rules_of("1000/hour", "a"), counters.rules_of("1000/hour", "b")
        rules = [*first, *second]
        calls = [partial(counters.consume, rules[:: 1 - 2 * (n % 2)]) for n in range(8)]
        backs = [partial(counters.give_back, rules[:: 1 - 2 * (n % 2)]) for n in range(8)]
        at_once([call for pair in zip(calls, backs, strict=True) for call in pair])
        assert set(RateCounter.objects.values_list("count", flat=True)) <= set(range(9))


class TestSlots:
    def test_strangers_never_occupy_all_waiting_places(self) -> None:
        release = threading.Event()
        entered = threading.Semaphore(0)

        def hold(*, known: bool) -> str:
            try:
                with hashing.slot(known=known):
                    entered.release()
                    assert release.wait(120)
                    return "hashed"
            except Busy:
                return "busy"

        with ThreadPoolExecutor(8) as pool:
            try:
                running = [pool.submit(hold, known=False)]
                assert entered.acquire(timeout=120)
                for _ in range(hashing.MAX_WAITING_STRANGERS):
                    waiting = hashing._waiting
                    running.append(pool.submit(hold, known=False))
                    until(lambda before=waiting: hashing._waiting > before)
                assert pool.submit(hold, known=False).result(120) == "busy"
                running.append(pool.submit(hold, known=True))
                until(lambda: hashing._waiting == hashing.MAX_WAITING)
                assert pool.submit(hold, known=True).result(120) == "busy"
            finally:
                release.set()
            assert [future.result(120) for future in running] == ["hashed"] * (hashing.MAX_WAITING + 1)
        assert (hashing._hashing, hashing._waiting) == (0, 0)

    def test_waiting_for_a_slot_ends_with_busy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(hashing, "MAX_WAIT_SECONDS", 0.01)
        with hashing.slot(known=True), pytest.raises(Busy), hashing.slot(known=True):
            pass
        assert (hashing._hashing, hashing._waiting) == (0, 0)


def until(condition: Any) -> None:
    """Poll until another thread makes the condition true, for at most 30 seconds."""
    deadline = threading.Event()
    for _ in range(3000):
        if condition():
            return
        deadline.wait(0.01)
    raise AssertionError("The condition did not become true within 30 seconds.")
