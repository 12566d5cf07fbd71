"""Recordings in S3: the real django-storages and boto3, with a simulated S3 in this process (moto)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import boto3
import pytest
from django.core.files.storage import default_storage
from django.test import Client
from django.utils import timezone
from moto import mock_aws

from telephony import speech
from telephony.media import recording_path
from telephony.models import Audio
from telephony.speech import audio, store
from telephony.speech.pruning import prune
from tests.telephony.speech.sound import telephone_audio

pytestmark = pytest.mark.django_db

BUCKET = "iris-recordings"


@pytest.fixture(autouse=True)
def bucket(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        client = boto3.client("s3")
        client.create_bucket(Bucket=BUCKET)
        storage = {
            "BACKEND": "storages.backends.s3.S3Storage",
            "OPTIONS": {"bucket_name": BUCKET, "file_overwrite": True},
        }
        settings.STORAGES = {**settings.STORAGES, "default": storage}
        yield client


def keys(bucket: Any) -> list[str]:
    return [found["Key"] for found in bucket.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def test_speech_is_stored_in_the_bucket_and_read_from_it(bucket: Any) -> None:
    recording = speech.speak(text="नमस्ते")
    (joined,) = speech.speak_filled(("नमस्ते ", None), [("राम",)])
    assert joined is not None

    assert store.path_of(recording.name, "wav") in keys(bucket)
    assert len(keys(bucket)) == 3
    assert telephone_audio(recording).seconds == pytest.approx(recording.seconds)
    assert telephone_audio(joined).seconds == pytest.approx(joined.seconds)
    assert speech.speak(text="नमस्ते") == recording


@pytest.mark.urls("telephony.media")
def test_iris_serves_recordings_of_a_private_bucket(client: Client) -> None:
    recording = speech.speak(text="नमस्ते")

    whole = client.get(recording_path(recording.name, "wav"))
    mp3 = client.get(recording_path(recording.name))

    assert b"".join(whole.streaming_content)[44:] == audio.read_pcm(recording.name)  # type: ignore[attr-defined]
    assert mp3.status_code == 200
    assert store.exists(recording.name, "mp3")
    assert client.get(f"/media/audio/{'0' * 40}.wav").status_code == 404


def test_pruning_deletes_from_the_bucket_and_speaking_stores_again(bucket: Any) -> None:
    recording = speech.speak(text="नमस्ते")
    Audio.objects.update(used_at=timezone.now() - timedelta(days=60))

    assert prune(dry_run=True).files == 1
    assert prune().files == 1
    assert keys(bucket) == []
    assert speech.speak(text="नमस्ते").name == recording.name
    assert default_storage.exists(store.path_of(recording.name, "wav"))
