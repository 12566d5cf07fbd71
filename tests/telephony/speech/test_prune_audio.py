"""manage.py prune_audio: what is removed, what is kept, and what happens on the next request."""

from __future__ import annotations

import io
import os
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from campaigns.models import Service
from telephony import speech
from telephony.models import Audio, Channel, DeliveryStatus
from telephony.speech import audio
from telephony.speech.pruning import PruneResult, prune
from tests.factories import make_campaign, make_delivery, make_run
from tests.telephony.speech.sound import telephone_audio, tone

pytestmark = pytest.mark.django_db

AGE = timedelta(days=60)


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


def make_old(*recordings: Audio) -> None:
    Audio.objects.filter(pk__in=[one.pk for one in recordings]).update(used_at=timezone.now() - AGE)


def file_names(media: Path) -> set[str]:
    return {path.name for path in media.rglob("*.*") if path.is_file()}


def speak_joined(name: str = "राम") -> Audio:
    (recording,) = speech.speak_filled(("नमस्ते ", None, " जी।"), [(name,)])
    assert recording is not None
    return recording


def store_tone() -> Audio:
    return audio.store_upload(io.BytesIO(audio.encode_wav(tone(hertz=500, seconds=1, amplitude=8000))))


def test_unused_recording_is_removed_with_its_files(media: Path) -> None:
    old, new = speech.speak(text="पुरानो"), speech.speak(text="नयाँ")
    opened = audio.open_file(old.name, "mp3")
    assert opened is not None
    opened[0].close()
    make_old(old)

    done = prune()

    assert (done.recordings, done.files) == (1, 2)
    assert done.bytes > 1000
    assert list(Audio.objects.all()) == [new]
    assert file_names(media) == {f"{new.name}.wav"}
    assert prune() == PruneResult()


def test_dry_run_prints_the_same_and_removes_nothing(media: Path) -> None:
    make_old(speech.speak(text="पुरानो"))
    out = io.StringIO()

    call_command("prune_audio", "--dry-run", stdout=out)
    before = file_names(media), Audio.objects.get().pruned_at
    call_command("prune_audio", stdout=out)

    said, done = out.getvalue().splitlines()
    assert before[0]
    assert before[1] is None
    assert said.replace("Would remove", "Removed") == done
    assert "1 recordings: 1 files" in done
    assert file_names(media) == set()


def test_upload_is_kept_while_a_campaign_or_run_refers_to_it(media: Path) -> None:
    kept = store_tone()
    make_old(kept)
    campaign = make_campaign(service=Service.CALL, audio=kept)
    assert prune() == PruneResult()

    make_run(campaign=campaign, audio=kept)
    campaign.audio = None
    campaign.save()

    assert prune() == PruneResult()
    assert telephone_audio(kept).seconds == pytest.approx(kept.seconds)


@pytest.mark.parametrize(
    ("fields", "stays"),
    [
        ({"status": DeliveryStatus.QUEUED}, True),
        ({"status": DeliveryStatus.ANSWERED}, True),
        ({"status": DeliveryStatus.COMPLETED, "ended_at": timedelta(days=3)}, True),
        ({"status": DeliveryStatus.COMPLETED, "ended_at": timedelta(days=40)}, False),
    ],
)
def test_recording_and_its_parts_are_kept_for_the_configured_days_after_the_last_call(
    media: Path, fields: dict[str, Any], stays: bool
) -> None:
    recording = speak_joined()
    make_old(*Audio.objects.all())
    if "ended_at" in fields:
        fields = {**fields, "ended_at": timezone.now() - fields["ended_at"]}
    make_delivery(channel=Channel.CALL, audio=recording, **fields)

    prune()

    recording.refresh_from_db()  # the row is kept as part of the history
    assert (recording.pruned_at is None) == stays
    assert len(file_names(media)) == (3 if stays else 0)
    assert prune() == PruneResult()


def test_part_is_kept_while_a_needed_recording_contains_it(media: Path) -> None:
    ram, sita = speak_joined("राम"), speak_joined("सीता")
    make_old(*Audio.objects.exclude(pk=sita.pk))

    prune()

    assert not Audio.objects.filter(pk=ram.pk).exists()
    assert telephone_audio(sita).seconds == pytest.approx(sita.seconds)
    assert len(file_names(media)) == 3


@pytest.mark.parametrize("remote", [False, True])
def test_pruned_recording_is_spoken_again_on_request(settings: Any, remote: bool) -> None:
    if remote:
        backend = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
        settings.STORAGES = {**settings.STORAGES, "default": backend}
    recording, whole = speak_joined(), speech.speak(text="नमस्ते")
    for one in (recording, whole):
        make_delivery(
            channel=Channel.CALL,
            audio=one,
            status=DeliveryStatus.COMPLETED,
            ended_at=timezone.now() - AGE,
        )
    make_old(*Audio.objects.all())
    prune()
    with pytest.raises(FileNotFoundError):
        audio.read_pcm(whole.name)
    audio._read_fragment.cache_clear()
    with pytest.raises(FileNotFoundError):
        audio.read_pcm(recording.name)

    assert speak_joined() == recording
    assert speech.speak(text="नमस्ते") == whole
    assert telephone_audio(whole).seconds == pytest.approx(whole.seconds, rel=0.02)
    assert telephone_audio(recording).seconds == pytest.approx(recording.seconds, rel=0.02)
    assert not Audio.objects.exclude(pruned_at=None).exists()


def test_pruned_upload_can_be_uploaded_again() -> None:
    first = store_tone()
    make_old(first)
    prune()

    assert telephone_audio(store_tone()).seconds == pytest.approx(first.seconds)


def test_request_updates_used_at_at_most_once_a_day(django_assert_num_queries: Any) -> None:
    recording = speech.speak(text="नमस्ते")
    with django_assert_num_queries(1):
        speech.speak(text="नमस्ते")
    make_old(recording)

    assert speech.speak(text="नमस्ते").used_at > timezone.now() - timedelta(minutes=1)
    assert prune() == PruneResult()


def test_old_orphan_files_are_removed(media: Path) -> None:
    kept = speech.speak(text="नमस्ते")
    old = time.time() - 2 * 86400
    for name, age in (
        ("a" * 40 + ".wav", old),
        (f"{kept.name}.wav.abc.part", old),
        ("b" * 40 + ".wav", None),
    ):
        path = media / "audio" / name[:2] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"rest")
        if age:
            os.utime(path, (age, age))

    done = prune()

    assert (done.recordings, done.files) == (0, 2)
    assert file_names(media) == {f"{kept.name}.wav", "b" * 40 + ".wav"}


def test_pruning_an_empty_storage_removes_nothing(media: Path) -> None:
    assert prune() == PruneResult()


@pytest.mark.django_db(transaction=True)
def test_request_during_pruning_waits_and_speaks_the_text_again(monkeypatch: pytest.MonkeyPatch) -> None:
    recording = speech.speak(text="नमस्ते")
    make_delivery(
        channel=Channel.CALL,
        audio=recording,
        status=DeliveryStatus.COMPLETED,
        ended_at=timezone.now() - AGE,
    )
    make_old(recording)
    asked: list[Audio] = []

    def ask() -> None:
        asked.append(speech.speak(text="नमस्ते"))
        connection.close()

    thread = threading.Thread(target=ask)
    delete = default_storage.delete

    def delete_slowly(path: str) -> None:
        thread.start()
        time.sleep(0.3)
        delete(path)

    monkeypatch.setattr(default_storage, "delete", delete_slowly)
    prune()
    thread.join(60)

    assert asked == [recording]
    assert telephone_audio(recording).seconds == pytest.approx(recording.seconds, rel=0.02)
    assert Audio.objects.get().pruned_at is None
