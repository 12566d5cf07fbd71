"""Uploaded recordings: their formats, limits and refusals."""

from __future__ import annotations

import array
import io
import math
import struct
import wave
import zipfile
from pathlib import Path
from typing import Any

import av
import pytest
from av.audio.frame import AudioFrame
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile

from iris.errors import InvalidInput, TooLarge
from telephony.models import Audio
from telephony.speech import audio
from telephony.speech.engine import Pcm
from tests.telephony.speech.recordings import encode_tone, tone

pytestmark = [pytest.mark.django_db, pytest.mark.urls("telephony.media")]


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


def root_mean_square(samples: bytes) -> float:
    values = array.array("h", samples)
    return math.sqrt(sum(value * value for value in values) / len(values))


def count_zero_crossings(samples: bytes) -> int:
    values = array.array("h", samples)
    return sum(1 for before, after in zip(values, values[1:], strict=False) if before < 0 <= after)


FORMATS: dict[str, dict[str, Any]] = {
    "mp3": {"format": "mp3", "codec": "libmp3lame"},
    "stereo mp3": {"format": "mp3", "codec": "libmp3lame", "layout": "stereo", "rate": 48000},
    "wav": {"format": "wav", "codec": "pcm_s16le"},
    "telephone wav": {"format": "wav", "codec": "pcm_mulaw", "rate": 8000},
    "24-bit wav": {"format": "wav", "codec": "pcm_s24le", "rate": 48000, "layout": "stereo"},
    "ogg opus": {"format": "ogg", "codec": "libopus", "rate": 48000},
    "ogg vorbis": {"format": "ogg", "codec": "vorbis", "layout": "stereo"},
    "m4a": {"format": "ipod", "codec": "aac"},
    "m4a for the web": {"format": "ipod", "codec": "aac", "options": {"movflags": "faststart"}},
    "flac": {"format": "flac", "codec": "flac"},
    "aac": {"format": "adts", "codec": "aac"},
    "webm": {"format": "webm", "codec": "libopus", "rate": 48000},
    "aiff": {"format": "aiff", "codec": "pcm_s16be"},
    "3gp": {"format": "3gp", "codec": "aac"},
    "video with sound": {"format": "mp4", "codec": "aac", "picture": True},
}
if "libopencore_amrnb" in av.codecs_available:  # only some builds of FFmpeg can encode it; all can decode it
    FORMATS["amr"] = {"format": "amr", "codec": "libopencore_amrnb", "rate": 8000}


@pytest.mark.parametrize("kind", FORMATS)
def test_recordings_of_all_common_formats_are_stored_as_telephone_audio(tmp_path: Path, kind: str) -> None:
    content = encode_tone(tmp_path / "made", **FORMATS[kind])

    stored = audio.store_upload(SimpleUploadedFile("recording", content))

    with wave.open(io.BytesIO(audio.read_wav(stored))) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (8000, 2, 1)
        assert file.getnframes() / 8000 == pytest.approx(stored.seconds)
        samples = file.readframes(file.getnframes())
    assert stored.seconds == pytest.approx(2, abs=0.1)
    assert stored.voice == ""
    assert count_zero_crossings(samples) / stored.seconds == pytest.approx(440, rel=0.05)


def test_identical_content_is_stored_once_regardless_of_the_file_name(tmp_path: Path, media: Path) -> None:
    content = encode_tone(tmp_path / "made", format="wav", codec="pcm_s16le")

    first = audio.store_upload(SimpleUploadedFile("first.wav", content))
    second = audio.store_upload(SimpleUploadedFile("second.mp3", content, content_type="image/png"))

    assert first == second
    assert Audio.objects.count() == 1
    assert len([path for path in media.rglob("*") if path.is_file()]) == 1


def test_upload_in_a_temporary_file_is_read_from_its_start(tmp_path: Path) -> None:
    with TemporaryUploadedFile("long.wav", "audio/wav", 0, None) as upload:
        upload.write(encode_tone(tmp_path / "made", format="wav", codec="pcm_s16le"))
        assert audio.store_upload(upload).seconds == pytest.approx(2)


def test_resampling_to_8_khz_does_not_alias_higher_frequencies() -> None:
    heard = audio.resample_for_telephone(Pcm(tone(hertz=1000, rate=22050), 22050))
    too_high = audio.resample_for_telephone(Pcm(tone(hertz=5000, rate=22050), 22050))

    assert heard.rate == 8000
    assert heard.seconds == pytest.approx(2, abs=0.001)
    assert root_mean_square(heard.samples) == pytest.approx(16000 / math.sqrt(2), rel=0.02)
    assert root_mean_square(too_high.samples[2000:-2000]) < 5


def test_concatenated_recordings_of_different_formats_are_decoded_completely(tmp_path: Path) -> None:
    first = encode_tone(tmp_path / "1", format="adts", codec="aac", rate=44100)
    second = encode_tone(tmp_path / "2", format="adts", codec="aac", rate=22050, layout="stereo")

    assert audio.decode(io.BytesIO(first + second)).seconds == pytest.approx(4, abs=0.3)


def test_tags_that_are_not_utf_8_are_ignored() -> None:
    title = b"INFOINAM" + struct.pack("<I", 6) + b"\xe9t\xe9 \xff\0"
    content = audio.encode_wav(Pcm(tone(rate=8000), 8000))
    tagged = content[:36] + b"LIST" + struct.pack("<I", len(title)) + title + content[36:]

    assert audio.decode(io.BytesIO(tagged)).seconds == pytest.approx(2, abs=0.1)


def test_sound_after_large_tags_is_decoded(tmp_path: Path) -> None:
    content = encode_tone(tmp_path / "made", format="mp3", codec="libmp3lame", seconds=8)
    tags = b"ID3\4\0\0" + bytes([0, 4, 0, 0]) + bytes(4 << 14)

    assert audio.decode(io.BytesIO(tags + content)).seconds == pytest.approx(8, abs=0.1)
    with pytest.raises(audio.NotAudio, match="only 4 of its 8 seconds"):
        audio.decode(io.BytesIO(tags + content[: len(content) // 2]))


def png_picture() -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="image2pipe") as container:
        stream: Any = container.add_stream("png", rate=1)
        stream.width = stream.height = 32
        stream.pix_fmt = "rgb24"
        container.mux(stream.encode(av.VideoFrame(32, 32, "rgb24")))
        container.mux(stream.encode(None))
    return file.getvalue()


def zip_archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("xl/workbook.xml", "<workbook/>")
    return file.getvalue()


def noise(length: int, seed: int) -> bytes:
    value, out = seed, bytearray()
    for _ in range(length):
        value = (value * 1103515245 + 12345) % 2**31
        out.append(value >> 16 & 0xFF)
    return bytes(out)


NOT_AUDIO = {
    "nothing": b"",
    "one byte": b"\0",
    "JSON": b'{"audio": "audio.mp3"}',
    "a path": b"path/containing/audio.mp3",
    "HTML": b"<!doctype html><html><body>Not found</body></html>" * 50,
    "Nepali text": "नमस्ते, यो सन्देश हो।".encode() * 200,
    "PDF": b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n" * 20,
    "a spreadsheet": zip_archive(),
    "a picture": png_picture(),
    "subtitles": b"1\n00:00:00,000 --> 00:00:05,000\nHello\n\n" * 10,
    "zeros": bytes(100_000),
    "a WAV header": audio.encode_wav(Pcm(b"", 8000)),
    "a twentieth of a second": audio.encode_wav(Pcm(tone(seconds=0.05, rate=8000), 8000)),
    "a WAV of one sample a second": audio.encode_wav(Pcm(tone(seconds=0.1), 1)),
    "half a tag": b"ID3\4\0\0\0\0\x7f\x7f",
    "a playlist": b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    "a list of files": b"ffconcat version 1.0\nfile /etc/passwd\n",
    **{f"noise {seed}": noise(2000 * seed, seed) for seed in range(1, 25)},
}


@pytest.mark.parametrize("content", NOT_AUDIO.values(), ids=NOT_AUDIO.keys())
def test_files_that_are_not_audio_are_rejected_with_an_explanation(content: bytes) -> None:
    with pytest.raises(audio.NotAudio) as caught:
        audio.store_upload(SimpleUploadedFile("audio.mp3", content, content_type="audio/mpeg"))

    assert isinstance(caught.value, InvalidInput)
    assert caught.value.message.endswith(".")
    assert caught.value.code == "not_audio"
    assert not Audio.objects.exists()


def test_video_without_sound_is_rejected(tmp_path: Path) -> None:
    content = encode_tone(tmp_path / "made", format="mp4", codec="", picture=True)

    with pytest.raises(audio.NotAudio, match="no sound"):
        audio.decode(io.BytesIO(content))


@pytest.mark.parametrize("kind", ["mp3", "wav", "m4a", "m4a for the web", "flac", "aiff"])
def test_truncated_file_is_rejected(tmp_path: Path, kind: str) -> None:
    content = encode_tone(tmp_path / "made", **FORMATS[kind], seconds=8)
    assert audio.decode(io.BytesIO(content)).seconds == pytest.approx(8, abs=0.1)

    with pytest.raises(audio.NotAudio):
        audio.decode(io.BytesIO(content[: len(content) // 2]))


def test_wav_with_unknown_size_is_read_to_its_end() -> None:
    content = bytearray(audio.encode_wav(Pcm(tone(rate=8000), 8000)))
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"

    assert audio.decode(io.BytesIO(bytes(content))).seconds == pytest.approx(2)


def test_error_for_a_too_large_upload_names_both_sizes(settings: Any) -> None:
    settings.IRIS_MAX_UPLOAD_BYTES = 2**20

    with pytest.raises(TooLarge, match=r"1\.5 MB.*1\.0 MB"):
        audio.store_upload(io.BytesIO(bytes(3 * 2**19)))


def test_small_file_that_unpacks_to_hours_is_rejected_at_the_limit(settings: Any, tmp_path: Path) -> None:
    settings.IRIS_MAX_AUDIO_SECONDS = 3
    with av.open(str(tmp_path / "silence.flac"), "w") as container:
        stream: Any = container.add_stream("flac", rate=8000, layout="mono")
        for _ in range(600):
            frame = AudioFrame(format="s16", layout="mono", samples=8000)
            frame.planes[0].update(bytes(16000))
            frame.sample_rate = 8000
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    content = (tmp_path / "silence.flac").read_bytes()
    assert len(content) < 200_000

    with pytest.raises(audio.AudioTooLong, match="at most 3 seconds"):
        audio.store_upload(io.BytesIO(content))

    assert not Audio.objects.exists()


def test_recording_with_too_many_channels_is_rejected() -> None:
    header = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        320_036,
        b"WAVE",
        b"fmt ",
        16,
        1,
        16,
        8000,
        256_000,
        32,
        16,
        b"data",
        320_000,
    )

    with pytest.raises(audio.NotAudio, match="16 channels"):
        audio.decode(io.BytesIO(header + bytes(320_000)))


def test_duration_limit_applies_to_all_recordings_of_a_request_together(settings: Any) -> None:
    settings.IRIS_MAX_AUDIO_SECONDS = 3
    content = audio.encode_wav(Pcm(tone(seconds=2, rate=8000), 8000))
    first, second = audio.decode_all(
        [io.BytesIO(content), io.BytesIO(audio.encode_wav(Pcm(tone(seconds=1, rate=8000), 8000)))]
    )
    assert (first.seconds, second.seconds) == (2, 1)

    with pytest.raises(audio.AudioTooLong, match="together"):
        audio.store_uploads([io.BytesIO(content), io.BytesIO(content)])
    assert not Audio.objects.exists()
