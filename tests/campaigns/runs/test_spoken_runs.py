"""Runs with a different text for each recipient: the amount of speech synthesis, the price, and preparation in time."""

from __future__ import annotations

import hashlib
import wave
from datetime import timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from campaigns import runs, services
from campaigns.models import Campaign, Run, RunStatus, Service
from campaigns.runs import hopper, prerender, run_statuses
from telephony import speech
from telephony.media import recording_path
from telephony.models import Audio, Delivery, SandboxMessage
from telephony.speech import audio
from telephony.speech.spoken_length import samples_of
from tests.engine import run_to_the_end
from tests.factories import make_account, make_sheet
from tests.scale import at_scale
from tests.telephony.speech.sound import record_engine_texts

pytestmark = pytest.mark.django_db

MESSAGE = "नमस्कार {name} जी, तपाईंको खातामा रु. {amount} बाँकी छ।"
NAMES = ["राम", "सीता", "हरि"]
PACE = len(samples_of("ne"))  # texts that show the pace of the voice, to compute the price


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.IRIS_SANDBOX_SPEED = 10_000
    return tmp_path / "media"


@pytest.fixture
def syntheses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    return record_engine_texts(monkeypatch)


def make_spoken_campaign(*, names: int, recipients: int, amounts: int = 1) -> Campaign:
    people = [*NAMES, *(f"राम {number}" for number in range(names))][:names]
    rows = [(9_841_000_000 + n, people[n % names], 500 + n % amounts) for n in range(1, recipients + 1)]
    campaign, errors, _ = services.create_campaign(
        account=make_account(credits=100 * recipients),
        name="Balances",
        service=Service.CALL,
        sheet=make_sheet(("number", "name", "amount"), *rows),
    )
    assert not errors
    return campaign


def test_each_distinct_name_is_synthesized_once(settings: Any, syntheses: list[str], media: Path) -> None:
    settings.IRIS_WHOLE_SENTENCES = 10
    campaign = make_spoken_campaign(names=3, recipients=40, amounts=2)

    runs.begin(campaign=campaign, message=MESSAGE)
    run_to_the_end()

    # The samples of the voice's pace, three constant parts, three names and two amounts.
    assert len(syntheses) == PACE + 3 + 3 + 2
    assert SandboxMessage.objects.values("audio_name").distinct().count() == 6
    assert len(list(media.rglob("*.wav"))) == PACE + 8


def test_a_small_run_synthesizes_whole_sentences(syntheses: list[str]) -> None:
    campaign = make_spoken_campaign(names=3, recipients=12)

    runs.begin(campaign=campaign, message=MESSAGE)
    run_to_the_end()

    assert not Audio.objects.exclude(parts=[]).exists()
    assert len(syntheses) == PACE + 1 + 3  # one more sentence computes the price


def test_a_message_without_tags_is_synthesized_once_for_all_recipients(
    settings: Any, syntheses: list[str]
) -> None:
    settings.IRIS_WHOLE_SENTENCES = 0
    campaign = make_spoken_campaign(names=3, recipients=30)

    runs.begin(campaign=campaign, message="भोलि विद्यालय बन्द रहनेछ।")
    run_to_the_end()

    assert len(syntheses) == 1


def test_the_cost_of_a_call_follows_the_duration_of_its_joined_recording(settings: Any) -> None:
    settings.IRIS_WHOLE_SENTENCES = 0
    settings.IRIS_CALL_PULSE_SECONDS = 1
    settings.IRIS_CALL_CREDITS = Decimal(1)
    campaign = make_spoken_campaign(names=2, recipients=4)
    run = runs.begin(campaign=campaign, message="{name} जी, नमस्ते।")
    hopper.fill(run.pk)

    for delivery in Delivery.objects.select_related("audio"):
        assert delivery.audio is not None
        assert delivery.credit_limit == -(-delivery.audio.seconds // 1)
        assert delivery.audio.seconds == pytest.approx(len(audio.read_pcm(delivery.audio.name)) / 16000)


@pytest.mark.parametrize("whole", [0, 100])
def test_the_hold_covers_amounts_that_are_short_to_write_but_long_to_say(settings: Any, whole: int) -> None:
    settings.IRIS_WHOLE_SENTENCES = whole
    settings.IRIS_CALL_PULSE_SECONDS = 1
    settings.IRIS_CALL_CREDITS = Decimal(1)
    campaign, *_ = services.create_campaign(
        account=make_account(credits=1000),
        name="Balances",
        service=Service.CALL,
        sheet=make_sheet(("number", "amount"), (9_841_000_001, 1_000_000), (9_841_000_002, 987_654)),
    )

    run = runs.begin(campaign=campaign, message="रु. {amount}")
    hopper.fill(run.pk)

    short, long = Delivery.objects.order_by("item").select_related("audio")
    assert long.audio is not None
    assert short.credit_limit < long.credit_limit
    assert long.credit_limit == -(-long.audio.seconds // 1)


@pytest.mark.field
@pytest.mark.urls("iris.urls")
def test_each_recipient_of_a_run_with_many_names_hears_their_own(
    settings: Any, client: Client, syntheses: list[str]
) -> None:
    settings.IRIS_WHOLE_SENTENCES = 100
    settings.IRIS_SANDBOX_INBOX = True
    names = at_scale(250, 2000)
    campaign = make_spoken_campaign(names=names, recipients=names)

    runs.begin(campaign=campaign, message=MESSAGE)
    run_to_the_end(seconds=120)

    heard = list(SandboxMessage.objects.order_by("id"))
    assert len(heard) == len({message.audio_name for message in heard}) == names
    assert len(syntheses) == PACE + names + 4
    constants = speech.speak_filled(
        ("नमस्कार ", None, " जी, तपाईंको खातामा रु. ", None, " बाँकी छ।"), [("राम 1", "500")]
    )
    assert constants[0] is not None
    for message in heard[:: names // 20]:
        recording = Audio.objects.get(name=message.audio_name)
        name = message.text.removeprefix("नमस्कार ").partition(" जी")[0]
        (expected,) = speech.speak_filled(
            ("नमस्कार ", None, " जी, तपाईंको खातामा रु. ", None, " बाँकी छ।"), [(name, "500")]
        )
        assert expected == recording
        assert [*recording.parts[:1], *recording.parts[2:]] == [
            *constants[0].parts[:1],
            *constants[0].parts[2:],
        ]
        parts = b"".join(audio.read_pcm(part) for part in recording.parts)
        response = client.get(recording_path(message.audio_name, "wav"))
        with wave.open(BytesIO(response.getvalue())) as file:
            assert file.getframerate() == 8000
            samples = file.readframes(file.getnframes())
        assert hashlib.sha256(samples).hexdigest() == hashlib.sha256(parts).hexdigest()
        assert len(samples) / 16000 == pytest.approx(message.audio_seconds)


# Before the start time


def scheduled(campaign: Campaign, *, hours: float = 1) -> Run:
    return runs.begin(campaign=campaign, message=MESSAGE, starts_at=timezone.now() + timedelta(hours=hours))


def test_the_speech_of_a_scheduled_run_is_synthesized_before_it_starts(
    settings: Any, syntheses: list[str]
) -> None:
    settings.IRIS_WHOLE_SENTENCES = 10
    run = scheduled(make_spoken_campaign(names=3, recipients=40, amounts=2))

    assert prerender.prepare_all(budget=60) is False
    made = len(syntheses)
    run.refresh_from_db()
    assert run.prepared_at is not None
    assert not Delivery.objects.exists()

    Run.objects.update(starts_at=timezone.now())
    run_statuses.start_due()
    run_to_the_end()

    assert made == PACE + 3 + 3 + 2
    assert len(syntheses) == made
    assert SandboxMessage.objects.count() == 40


def test_preparing_resumes_where_it_was_interrupted(
    settings: Any, syntheses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.IRIS_WHOLE_SENTENCES = 1000
    monkeypatch.setattr(prerender, "CHUNK", 4)
    run = scheduled(make_spoken_campaign(names=100, recipients=10))

    assert prerender.prepare_all(budget=0) is True
    assert prerender.prepare_all(budget=0) is True
    stale = Run.objects.get()
    prerender.prepare(stale)
    made = len(syntheses)
    prerender.prepare(stale)  # again, as a late worker would do

    run.refresh_from_db()
    assert run.prepared_at is not None
    assert len(syntheses) == made == PACE + 1 + 10  # one more computes the price
    assert list(prerender.due()) == []


def test_a_run_that_starts_before_it_is_prepared_synthesizes_speech_as_it_runs(syntheses: list[str]) -> None:
    scheduled(make_spoken_campaign(names=3, recipients=6))
    Run.objects.update(starts_at=timezone.now())
    run_statuses.start_due()

    assert list(prerender.due()) == []
    run_to_the_end()

    assert SandboxMessage.objects.count() == 6


def test_runs_that_start_days_later_or_have_no_speech_are_not_prepared() -> None:
    campaign = make_spoken_campaign(names=3, recipients=3)
    scheduled(campaign, hours=48)
    assert list(prerender.due()) == []

    Run.objects.update(starts_at=timezone.now() + timedelta(hours=23))
    assert [run.campaign for run in prerender.due()] == [campaign]

    Campaign.objects.update(service=Service.SMS)
    assert list(prerender.due()) == []


def test_a_run_with_a_failing_voice_does_not_delay_the_preparation_of_others() -> None:
    run = scheduled(make_spoken_campaign(names=3, recipients=3))
    Run.objects.update(voice="np_nobody")

    assert prerender.prepare_all(budget=60) is False

    run.refresh_from_db()
    assert (run.status, run.prepared_at is None) == (RunStatus.SCHEDULED, False)
