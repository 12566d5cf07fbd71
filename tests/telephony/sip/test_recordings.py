"""Test that recordings are read before dialling, and that an unreadable one neither fails a call nor holds up others."""

from __future__ import annotations

import errno
from datetime import timedelta
from pathlib import Path
from typing import IO

import pytest
from django.utils import timezone

from telephony.carriers.base import Later, Pending, Rejected
from telephony.carriers.errors import Unreachable
from telephony.carriers.sip import recordings as sip_recordings
from telephony.carriers.sip.recordings import RecordingGone, Recordings
from telephony.models import Audio, Cause, DeliveryStatus
from telephony.speech import store
from telephony.speech.store import Extension
from tests.live import wait_for
from tests.telephony.sip.far_end import FarEnd
from tests.telephony.sip.line import Line, chirp, submission

NUMBER = "+9779841000001"


class EndpointConnectionError(Exception):
    """An error like that of the S3 client, which is not one of Python's own."""


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EIO, "Input/output error"),
        PermissionError(errno.EACCES, "Permission denied"),
        OSError(errno.EMFILE, "Too many open files"),
        EndpointConnectionError("Could not connect to the endpoint URL"),
    ],
    ids=lambda error: type(error).__name__ + str(getattr(error, "errno", "")),
)
def test_unreadable_recording_delays_only_its_own_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    original = store.open_file

    def open_file(name: str, extension: Extension) -> IO[bytes]:
        if name == "unreadable":
            raise error
        return original(name, extension)

    monkeypatch.setattr(store, "open_file", open_file)
    with FarEnd(tmp_path, "answer", record=False) as far_end, Line(far_end.host) as line:
        results = line.carrier.submit(
            [submission(NUMBER, key="1", said="unreadable"), submission(NUMBER, key="2")]
        )
        assert Later(key="1", seconds=30.0, text="The recording cannot be read at present.") in results
        assert Pending(key="2") in results
        assert line.final("2").status == DeliveryStatus.COMPLETED
        assert len(far_end.log()) == 1
    assert "line: the recordings of 1 calls cannot be read: " + repr(error) in caplog.text


def test_call_is_not_made_if_its_recording_was_read_too_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = store.open_file
    late, in_time = submission(NUMBER, key="1", said=chirp(1.1)[0]), submission(NUMBER, key="2")
    until = timezone.now() + timedelta(seconds=0.3)
    object.__setattr__(late, "valid_until", until)

    def open_file(name: str, extension: Extension) -> IO[bytes]:
        wait_for(lambda: timezone.now() > until, seconds=3)
        return original(name, extension)

    with FarEnd(tmp_path, "answer", record=False) as far_end, Line(far_end.host) as line:
        monkeypatch.setattr(store, "open_file", open_file)
        sip_recordings._read_pcm.cache_clear()
        results = {result.key: result for result in line.carrier.submit([late, in_time])}
        assert results["1"] == Later(key="1", seconds=1.0, text="The submission came after its time limit.")
        assert results["2"] == Pending(key="2")
        assert line.final("2").status == DeliveryStatus.COMPLETED


@pytest.mark.django_db
def test_deleted_recording_is_refused_and_a_missing_file_is_retried(
    tmp_path: Path,
) -> None:
    """A folder that is not mounted has no files, which must not fail a whole campaign."""
    Audio.objects.create(name="pruned", seconds=1.0, pruned_at=timezone.now())
    Audio.objects.create(name="missing", seconds=1.0)
    with FarEnd(tmp_path, "answer", record=False) as far_end, Line(far_end.host) as line:
        batch = [submission(NUMBER, key=name, said=name) for name in ("pruned", "unheard-of", "missing")]
        results = {result.key: result for result in line.carrier.submit(batch)}
    text = "The recording is gone from the storage."
    for name in ("pruned", "unheard-of"):
        assert results[name] == Rejected(key=name, cause=Cause.REFUSED, text=text)
    assert isinstance(results["missing"], Later)


@pytest.mark.django_db
def test_recording_is_gone_if_its_file_stays_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    Audio.objects.create(name="missing", seconds=1.0)
    recordings = Recordings()
    with pytest.raises(FileNotFoundError):
        recordings.pcm_of("missing")
    monkeypatch.setattr(sip_recordings, "MAX_MISSING_SECONDS", 0.0)
    with pytest.raises(RecordingGone):
        recordings.pcm_of("missing")


def test_no_call_is_made_while_the_database_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import OperationalError

    def away(name: str) -> bytes:
        raise OperationalError("the database is starting up")

    monkeypatch.setattr(sip_recordings, "_read_pcm", away)
    with FarEnd(tmp_path, "answer", record=False) as far_end, Line(far_end.host) as line:
        with pytest.raises(Unreachable, match="database"):
            line.call(NUMBER)
        assert far_end.log() == []
