"""Voice trials are free but limited: short texts, a daily quota, and recordings that are kept for one day."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone

from accounts.models import Account, RateCounter
from telephony import speech
from telephony.models import Audio
from telephony.speech import trials
from telephony.speech.pruning import PruneResult, prune
from tests.accounts.test_credits_races import at_once, kinds
from tests.factories import make_account, make_campaign
from tests.v0 import Caller
from tests.v1.caller import Caller as CallerOfV1

VOICE = "/api/system/test/voice/"


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


@pytest.fixture
def account(db: None) -> Account:
    return make_account(email="sita@example.com")


def used_quota() -> int:
    return sum(RateCounter.objects.values_list("count", flat=True))


class TestLength:
    def test_text_beyond_the_limit_is_rejected(self, account: Account, settings: Any) -> None:
        settings.IRIS_TRIAL_CHARACTERS = 20
        caller = Caller(account)
        caller.post(VOICE, {"message": "  नमस्ते  " + 50 * " "})
        answer = caller.fails("POST", VOICE, {"message": 21 * "न"}, status=400)
        assert [error["field"] for error in answer["errors"]] == ["message"]
        assert "20 characters" in answer["message"]

    @pytest.mark.parametrize("message", ["{" + 30_000 * " x", 12_000 * "1,11 ", 20_000 * "{ a"])
    def test_huge_text_is_rejected_unread(self, account: Account, message: str) -> None:
        answer = Caller(account).fails("POST", VOICE, {"message": message}, status=400)
        assert "500 characters" in answer["message"]

    def test_campaign_message_is_shortened_to_its_beginning(self, account: Account, settings: Any) -> None:
        settings.IRIS_TRIAL_CHARACTERS = 20
        campaign = make_campaign(owner=account, message="Namaste everybody, the meeting is tomorrow.")
        short = make_campaign(owner=account, message="Namaste everybody,")
        caller = CallerOfV1(account)
        said = [caller.post(f"test-speak/riri/{it.pk}/", {}) for it in (campaign, short)]
        assert said[0] == said[1]
        caller.fails("POST", f"test-speak/riri/{campaign.pk}/", {"message": 21 * "x"}, status=400)

    @pytest.mark.parametrize(
        ("text", "beginning"),
        [
            ("one two", "one two"),
            ("one two three", "one two"),
            ("one two  three", "one two"),
            (12 * "x", 8 * "x"),
        ],
    )
    def test_beginning_consists_of_whole_words(self, settings: Any, text: str, beginning: str) -> None:
        settings.IRIS_TRIAL_CHARACTERS = 8
        assert trials.beginning_of(text) == beginning


class TestQuota:
    def test_only_new_speech_uses_the_quota(self, account: Account, settings: Any) -> None:
        caller = Caller(account)
        for _ in range(3):
            seconds = caller.post(VOICE, {"message": "नमस्ते"})["data"]["duration"]
        assert 1 <= used_quota() <= seconds + 1
        caller.post(VOICE, {"message": "अर्को कुरा"})
        assert used_quota() > seconds

    def test_used_up_quota_blocks_trials_for_a_day(self, account: Account, settings: Any) -> None:
        settings.IRIS_TRIAL_SECONDS_PER_DAY = 5
        caller = Caller(account)
        caller.post(VOICE, {"message": "नमस्ते"})
        response = caller.client.post(VOICE, {"message": "अर्को कुरा"})
        assert response.status_code == 429
        assert 86_000 < int(response["Retry-After"]) <= 86_400
        Caller(make_account()).post(VOICE, {"message": "अर्को कुरा"})
        RateCounter.objects.update(ends_at=F("ends_at") - timedelta(days=1))
        caller.post(VOICE, {"message": "अर्को कुरा"})

    @pytest.mark.parametrize("text", ["9841234567 " * 6, "नमस्ते " * 3])
    def test_quota_is_charged_by_actual_duration_not_by_estimate(
        self, account: Account, monkeypatch: pytest.MonkeyPatch, text: str
    ) -> None:
        monkeypatch.setattr(trials, "SECONDS_PER_CHARACTER", 0.01)
        audio = trials.speak(account=account, text=text)
        assert audio.seconds <= used_quota() < audio.seconds + 1

    def test_unspeakable_text_does_not_use_the_quota(self, account: Account) -> None:
        Caller(account).fails("POST", VOICE, {"message": "!?"}, status=400)
        assert not RateCounter.objects.exists()

    def test_throttle_is_shared_by_both_dialects(self, account: Account, settings: Any) -> None:
        settings.IRIS_TRIAL_THROTTLE = "2/day"
        campaign = make_campaign(owner=account, message="Namaste")
        CallerOfV1(account).post(f"test-speak/riri/{campaign.pk}/", {})
        Caller(account).post(VOICE, {"message": "नमस्ते"})
        Caller(account).fails("POST", VOICE, {"message": "नमस्ते"}, status=429)
        CallerOfV1(account).fails("POST", f"test-speak/riri/{campaign.pk}/", {}, status=429)

    @pytest.mark.django_db(transaction=True)
    def test_concurrent_trials_do_not_exceed_the_quota(self, settings: Any) -> None:
        settings.IRIS_TRIAL_SECONDS_PER_DAY = 5
        account = make_account()
        trial = partial(trials.speak, account=account, text="नमस्ते", voice="np_rija")
        answers = at_once([trial] * 4)
        assert set(kinds(answers)) == {"Audio", "QuotaUsed"}
        assert used_quota() <= 5


@pytest.mark.django_db
class TestPruning:
    def speak_trial(self, text: str = "नमस्ते") -> Audio:
        return trials.speak(account=make_account(), text=text)

    def make_old(self, **age: float) -> None:
        Audio.objects.update(used_at=timezone.now() - timedelta(**age))

    def test_trial_recording_is_removed_after_a_day(self, media: Path) -> None:
        self.speak_trial()
        self.make_old(hours=23)
        assert prune() == PruneResult()
        self.make_old(hours=25)
        assert prune(dry_run=True).recordings == 1
        done = prune()
        assert (done.recordings, done.files) == (1, 1)
        assert not Audio.objects.exists()
        assert not [path for path in media.rglob("*.*") if path.is_file()]

    def test_repeated_trial_keeps_the_recording_for_another_day(self) -> None:
        self.speak_trial()
        self.make_old(hours=23)
        self.speak_trial()
        assert Audio.objects.get().used_at > timezone.now() - timedelta(minutes=1)
        self.make_old(hours=25)
        assert prune().recordings == 1

    def test_existing_speech_does_not_become_a_trial(self) -> None:
        audio = speech.speak(text="नमस्ते")
        assert self.speak_trial() == audio
        self.make_old(days=2)
        assert prune() == PruneResult()
        assert not Audio.objects.get().is_trial

    def test_trial_recording_used_by_a_campaign_is_kept(self) -> None:
        make_campaign(audio=self.speak_trial())
        self.make_old(days=20)
        assert prune() == PruneResult()
