"""v0: voice trials."""

from __future__ import annotations

import re

import pytest

from accounts.models import Account
from tests.factories import make_account
from tests.golden import assert_answers_as_documented
from tests.v0 import Caller

VOICE = "/api/system/test/voice/"


@pytest.fixture
def account(db: None) -> Account:
    return make_account(email="sita@example.com")


@pytest.fixture
def caller(account: Account) -> Caller:
    return Caller(account)


def test_trial_returns_the_url_of_a_recording(caller: Caller) -> None:
    assert_answers_as_documented(caller.client, "test_voice")


def test_trial_recording_is_downloaded_without_a_token(caller: Caller) -> None:
    address = caller.post(VOICE, {"message": "नमस्कार"})["data"]["audio_url"]
    assert re.fullmatch(r"http://.+\.mp3", address)
    stranger = Caller(None).client
    response = stranger.get(address)
    assert response.status_code == 200
    assert response["Content-Type"] == "audio/mpeg"
    assert len(response.getvalue()) > 1000


@pytest.mark.parametrize(
    ("asked", "used"),
    [
        (None, "np_rija"),
        ("", "np_rija"),
        ("np_rija", "np_rija"),
        ("np_prasanna", "np_prasanna"),
        ("np_prashanna", "np_prasanna"),
        ("np_binod", "np_binod"),
        (" NP_Binod ", "np_binod"),
    ],
)
@pytest.mark.parametrize("format", ["json", "multipart"])
def test_trial_uses_the_requested_voice(caller: Caller, asked: str | None, used: str, format: str) -> None:
    sent = {"message": "नमस्कार"} | ({} if asked is None else {"voice_input": asked})
    assert caller.post(VOICE, sent, format=format)["data"]["voice_input"] == used


def test_trials_of_one_voice_share_a_recording_and_voices_differ(caller: Caller) -> None:
    def address(voice: str) -> str:
        return caller.post(VOICE, {"message": "नमस्कार", "voice_input": voice})["data"]["audio_url"]

    assert address("np_rija") == address("np_rija") != address("np_binod")


def test_trial_costs_no_credits(caller: Caller, account: Account) -> None:
    caller.post(VOICE, {"message": "नमस्कार"})
    assert not account.credit_entries.exists()


@pytest.mark.parametrize(
    "sent",
    [
        {},
        {"message": ""},
        {"message": "   "},
        {"message": None},
        {"message": [1]},
        {"message": {"a": 1}},
        {"message": True},
        {"message": "!?"},
        {"message": "न" * 1001},
        {"message": "नमस्कार", "voice_input": "robot"},
        {"message": "नमस्कार", "voice_input": ["np_rija"]},
    ],
)
def test_invalid_trial_is_rejected(caller: Caller, sent: dict[str, object]) -> None:
    caller.fails("POST", VOICE, sent, status=400)
