"""Spoken responses are distinguished from silence, kept as long as the response, and shown with their URL."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from array import array
from math import pi, sin
from typing import Any

import pytest
from rest_framework.test import APIClient

from campaigns import runs
from campaigns.models import Answer, Campaign, SurveyAnswer
from telephony import speech
from telephony.media import recording_path
from telephony.models import Audio
from telephony.speech import audio as recordings
from telephony.speech import pruning, voice_activity
from telephony.speech.engine import Pcm
from tests.campaigns.surveys.surveying import asks, make_survey
from tests.engine import run_to_the_end
from tests.v1.caller import Caller

pytestmark = pytest.mark.django_db

RATE = 8000


def samples_of(sound: Any, seconds: float) -> bytes:
    """Return PCM. `sound` returns the sample at each moment, from −1 to 1."""
    return array("h", (int(32_767 * sound(place / RATE)) for place in range(int(seconds * RATE)))).tobytes()


def spoken(text: str = "हाम्रो वडामा पानी छैन।") -> bytes:
    return recordings.read_pcm(speech.speak(text=text).name)


def noise(level: float, seconds: float) -> bytes:
    drawn = random.Random(1)
    return samples_of(lambda _: level * drawn.uniform(-1, 1), seconds)


def mixed(*parts: bytes) -> bytes:
    whole = zip(*(array("h", part) for part in parts), strict=False)
    return array("h", (max(-32_768, min(32_767, sum(row))) for row in whole)).tobytes()


class TestSilence:
    @pytest.mark.parametrize(
        "samples",
        [
            b"",
            bytes(16_000),
            samples_of(lambda t: 8 / 32_768, 3),  # how A-law writes nothing
            noise(0.002, 5),  # a line that hisses
            noise(0.1, 5),  # a machine beside the telephone
            samples_of(lambda t: 0.05 * sin(2 * pi * 50 * t), 3),  # hum
            bytes(16_000) + noise(0.5, 0.1) + bytes(16_000),  # the receiver is put down
        ],
    )
    def test_silence_and_noise_are_not_responses(self, samples: bytes) -> None:
        assert voice_activity.store_spoken_response(samples) is None
        assert not Audio.objects.exists()

    def test_silence_around_a_response_is_cut(self) -> None:
        said = spoken()
        kept = voice_activity.store_spoken_response(bytes(2 * RATE * 2) + said + bytes(2 * RATE * 4))
        assert kept is not None
        assert kept.seconds == pytest.approx(len(said) / 2 / RATE, abs=2 * voice_activity.SILENCE_AROUND)


class TestSpeech:
    def test_speech_is_stored_as_it_was_recorded(self) -> None:
        said = spoken()
        kept = voice_activity.store_spoken_response(said)
        assert kept is not None
        assert recordings.read_pcm(kept.name) in said
        assert re.fullmatch(r"[0-9a-f]{40}", kept.name)

    @pytest.mark.parametrize("level", [0.002, 0.02])
    def test_speech_is_detected_in_background_noise(self, level: float) -> None:
        said = bytes(2 * RATE) + spoken() + bytes(2 * RATE)
        assert voice_activity.contains_speech(Pcm(mixed(said, noise(level, len(said) / 2 / RATE)), RATE))

    def test_short_speech_is_a_response(self) -> None:
        assert (
            voice_activity.store_spoken_response(bytes(2 * RATE * 4) + spoken("छ") + bytes(2 * RATE * 4))
            is not None
        )

    def test_identical_speech_is_stored_once(self) -> None:
        said = spoken()
        assert voice_activity.store_spoken_response(said) == voice_activity.store_spoken_response(said)


@pytest.fixture
def survey(settings: Any) -> Campaign:
    """A survey that asks for a key and for speech. One contact responded, and another was not reached."""
    settings.IRIS_SANDBOX_SPEED = 100_000
    plans = [asks(0, "Are you well?"), asks(1, "What do you need?", answer=Answer.SPEECH, input_name="need")]
    campaign = make_survey(numbers=[9841000012, 9841239902], plans=plans)
    runs.begin(campaign=campaign)
    run_to_the_end()
    return campaign


def url_of(survey: Campaign) -> str:
    answer = SurveyAnswer.objects.select_related("audio").get(run__campaign=survey, audio__isnull=False)
    assert answer.audio is not None
    assert answer.text == answer.audio.name
    return f"http://testserver{recording_path(answer.audio.name)}"


def content_of(survey: Campaign, path: str) -> str:
    answer = Caller(survey.owner).client.get(path)
    assert answer.status_code == 200
    return answer.getvalue().decode()


class TestReports:
    def test_the_json_report_has_the_url_of_the_recording(self, survey: Campaign) -> None:
        report = f"/api/v1/download/survey/{survey.survey.pk}/report/"
        first, second = json.loads(content_of(survey, f"{report}?format=json"))["results"]
        assert first["answers"] == {"field_0": "2", "need": url_of(survey)}
        assert second["answers"] == {"field_0": None, "need": None}

    def test_the_csv_report_has_the_url_of_the_recording(self, survey: Campaign) -> None:
        report = content_of(survey, f"/api/v1/download/survey/{survey.survey.pk}/report/")
        first, second = csv.DictReader(io.StringIO(report.removeprefix("\ufeff")))
        assert (first["field_0"], first["need"]) == ("2", url_of(survey))
        assert (second["field_0"], second["need"]) == ("", "")

    def test_the_list_of_contacts_has_the_url_of_the_recording(self, survey: Campaign) -> None:
        contacts = json.loads(content_of(survey, f"/api/v1/campaign-detail/{survey.pk}/"))["results"]
        shown = {contact["number"]: contact["answers"] for contact in contacts}
        assert shown == {
            "9841000012": {"field_0": "2", "need": url_of(survey)},
            "9841239902": {"field_0": None, "need": None},
        }

    def test_the_url_serves_the_recording(self, survey: Campaign) -> None:
        played = APIClient().get(url_of(survey))
        assert (played.status_code, played["Content-Type"]) == (200, "audio/mpeg")
        assert recordings.decode(io.BytesIO(played.getvalue())).seconds > 1


class TestRecordings:
    def test_recordings_are_kept_as_long_as_their_response(self, survey: Campaign) -> None:
        url = url_of(survey)
        SurveyAnswer.objects.filter(audio=None).delete()
        pruning.prune(days=-1)
        assert APIClient().get(url).status_code == 200
        SurveyAnswer.objects.all().delete()
        pruning.prune(days=-1)
        assert APIClient().get(url).status_code == 404
