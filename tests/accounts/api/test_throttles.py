"""Throttles that count requests, without HTTP."""

import pytest
from django.core.cache import cache
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from accounts.api import throttles
from accounts.api.account import Access
from accounts.counters import parse_rate
from accounts.models import Account, User
from iris.api.views import V0View
from iris.broker_backoff import BackoffTimer
from tests.scale import at_scale


@pytest.mark.parametrize(
    ("rate", "parsed"),
    [
        ("10/min", (10, 60)),
        ("1/s", (1, 1)),
        ("60 / minute", (60, 60)),
        ("5/HOUR", (5, 3600)),
        ("1000/day", (1000, 86400)),
    ],
)
def test_rates_are_parsed(rate: str, parsed: tuple[int, int]) -> None:
    assert parse_rate(rate) == parsed


@pytest.mark.parametrize("rate", ["", "10", "min", "0/min", "-1/min", "10/fortnight", "1.5/s", "10/min/min"])
def test_malformed_rates_are_refused(rate: str, settings: Settings) -> None:
    with pytest.raises(ImproperlyConfigured, match="is not a rate"):
        parse_rate(rate)
    settings.IRIS_OTP_THROTTLE = rate
    assert [problem.id for problem in run_checks() if "IRIS_OTP_THROTTLE" in problem.msg] == ["accounts.E001"]


def ask(
    account: Account, throttle: type[throttles.Throttle] = throttles.OtpThrottle
) -> throttles.Throttle | None:
    """Count a request. Return None if it is allowed, else the throttle that refused it."""
    request = Request(APIRequestFactory().get("/"))
    request.user = User(pk=1)
    request.auth = Access(account=account, granted=frozenset())
    asked = throttle()
    return None if asked.allow_request(request, V0View()) else asked


def test_a_refused_account_passes_again_in_the_next_window(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.IRIS_OTP_THROTTLE = "2/min"
    now = 1_800_000_000.0 + 45
    monkeypatch.setattr("time.time", lambda: now)
    account = Account(pk=1)
    assert ask(account) is None
    assert ask(account) is None
    refused = ask(account)
    assert refused is not None
    assert 0 < refused.wait() <= 60
    assert ask(Account(pk=2)) is None
    now += refused.wait()
    assert ask(account) is None


def test_each_throttle_scope_has_its_own_counter(settings: Settings) -> None:
    settings.IRIS_OTP_THROTTLE = "1/day"
    account = Account(pk=1)
    assert ask(account) is None
    assert ask(account, throttles.UserThrottle) is None
    assert ask(account) is not None


def test_requests_pass_when_the_cache_fails(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: object, **kwargs: object) -> int:
        raise ConnectionError("no Redis")

    settings.IRIS_OTP_THROTTLE = "1/day"
    monkeypatch.setattr(cache, "incr", broken)
    monkeypatch.setattr(throttles, "_unavailable_warned", BackoffTimer())
    assert [ask(Account(pk=1)) for _ in range(3)] == [None, None, None]
    assert caplog.text.count("not throttled") == 1, "once in a few seconds"
    assert "Traceback" not in caplog.text


def test_errors_of_a_cache_that_responds_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*args: object, **kwargs: object) -> int:
        raise TypeError("a bug")

    monkeypatch.setattr(cache, "incr", wrong)
    with pytest.raises(TypeError):
        ask(Account(pk=1))


@pytest.mark.field
def test_clients_that_poll_for_hours_are_never_throttled(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the default limits, a client polls the details and numbers of ten campaigns every ten seconds.

    Real clients forget a campaign when a response about it is not 2xx.
    """
    now = 1_800_000_000.0
    monkeypatch.setattr("time.time", lambda: now)
    account = Account(pk=1)
    for _ in range(at_scale(90, 3 * 360)):
        assert [ask(account, throttles.UserThrottle) for _ in range(2 * 10)] == [None] * 20
        now += 10
