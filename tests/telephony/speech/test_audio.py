"""Uploaded recordings, and recordings over HTTP."""

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
from django.test import Client

from iris.errors import InvalidInput, TooLarge
from telephony import speech
from telephony.media import audio_url
from telephony.models import Audio
from telephony.speech import audio, store
from telephony.speech.engine import Pcm

pytestmark = [pytest.mark.django_db, pytest.mark.urls("telephony.media")]


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


def tone(*, hertz: float = 440, seconds: float = 2, rate: int = 44100, loud: int = 16000) -> bytes:
    turn = 2 * math.pi * hertz / rate
    return array.array("h", (int(loud * math.sin(turn * n)) for n in range(int(seconds * rate)))).tobytes()


def encode_tone(
    path: Path,
    *,
    format: str,
    codec: str,
    rate: int = 44100,
    layout: str = "mono",
    picture: bool = False,
    seconds: float = 2,
    options: dict[str, str] | None = None,
) -> bytes:
    """Return a file of that format with a tone, made by FFmpeg."""
    with av.open(str(path), "w", format=format, container_options=options or {}) as container:
        video: Any = container.add_stream("mpeg4", rate=5) if picture else None
        stream: Any = container.add_stream(codec, rate=rate, layout=layout) if codec else None
        if codec == "vorbis":
            stream.codec_context.options = {"strict": "experimental"}
        if picture:
            video.width = video.height = 64
            video.pix_fmt = "yuv420p"
            for _ in range(10):
                container.mux(video.encode(av.VideoFrame(64, 64, "yuv420p")))
        if codec:
            samples = tone(seconds=seconds, rate=rate)
            if layout == "stereo":
                both = array.array("h", bytes(2 * len(samples)))
                both[::2] = both[1::2] = array.array("h", samples)
                samples = both.tobytes()
            step = 1024 * (4 if layout == "stereo" else 2)
            for start in range(0, len(samples), step):
                part = samples[start : start + step]
                frame = AudioFrame(format="s16", layout=layout, samples=len(part) // (step // 1024))
                frame.planes[0].update(part)
                frame.sample_rate = rate
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        if picture:
            container.mux(video.encode(None))
    return path.read_bytes()


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


# Over HTTP


@pytest.fixture
def recording() -> Audio:
    return audio.store_upload(io.BytesIO(audio.encode_wav(Pcm(tone(rate=8000), 8000))))


def body_of(response: Any) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


@pytest.mark.parametrize(("extension", "content_type"), [("wav", "audio/wav"), ("mp3", "audio/mpeg")])
def test_recording_is_downloaded_without_a_token_and_cacheable_forever(
    client: Client, recording: Audio, extension: Any, content_type: str
) -> None:
    response = client.get(audio_url(recording, format=extension).removeprefix("http://127.0.0.1:8000"))

    content = body_of(response)
    assert response.status_code == 200
    assert response["Content-Type"] == content_type
    assert "immutable" in response["Cache-Control"]
    assert response["Accept-Ranges"] == "bytes"
    assert int(response["Content-Length"]) == len(content)
    assert audio.decode(io.BytesIO(content)).seconds == pytest.approx(2, abs=0.15)


def test_mp3_is_created_on_the_first_request(client: Client, recording: Audio, media: Path) -> None:
    assert not list(media.rglob("*.mp3"))

    first = body_of(client.get(f"/media/audio/{recording.name}.mp3"))
    second = body_of(client.get(f"/media/audio/{recording.name}.mp3"))

    assert first == second
    assert len(list(media.rglob("*.mp3"))) == 1
    assert len(first) < len(audio.read_wav(recording)) / 2


def test_head_returns_the_size_without_the_body(client: Client, recording: Audio) -> None:
    response = client.head(f"/media/audio/{recording.name}.wav", headers={"Range": "bytes=0-9"})

    assert response.status_code == 200
    assert response["Content-Length"] == str(44 + 2 * 16000)
    assert body_of(response) == b""


@pytest.mark.parametrize(
    ("asked", "status", "part", "content_range"),
    [
        ("bytes=0-", 206, slice(0, None), "bytes 0-32043/32044"),
        ("bytes=0-1", 206, slice(0, 2), "bytes 0-1/32044"),
        ("bytes=100-199", 206, slice(100, 200), "bytes 100-199/32044"),
        ("bytes=32000-99999", 206, slice(32000, None), "bytes 32000-32043/32044"),
        ("bytes=-100", 206, slice(-100, None), "bytes 31944-32043/32044"),
        ("bytes=-99999", 206, slice(0, None), "bytes 0-32043/32044"),
        ("bytes=32044-", 416, slice(0, 0), "bytes */32044"),
        ("bytes=-0", 416, slice(0, 0), "bytes */32044"),
        # Python refuses to parse integers of more than 4,300 digits.
        pytest.param(f"bytes={'9' * 5000}-", 416, slice(0, 0), "bytes */32044", id="start beyond the end"),
        pytest.param(
            f"bytes=0-{'9' * 5000}", 206, slice(0, None), "bytes 0-32043/32044", id="end beyond the end"
        ),
        pytest.param(
            f"bytes=-{'9' * 5000}",
            206,
            slice(0, None),
            "bytes 0-32043/32044",
            id="suffix longer than the file",
        ),
        pytest.param(f"bytes={'0' * 5000}1-2", 206, slice(1, 3), "bytes 1-2/32044", id="leading zeros"),
        pytest.param(
            f"bytes={'9' * 5000}-5", 200, slice(0, None), None, id="start after the end of the range"
        ),
        ("bytes=5-2", 200, slice(0, None), None),
        ("bytes=-", 200, slice(0, None), None),
        ("bytes=0-1,5-6", 200, slice(0, None), None),
        ("lines=1-2", 200, slice(0, None), None),
        ("bytes=०-१", 200, slice(0, None), None),
    ],
)
def test_range_request_returns_the_requested_bytes(
    client: Client, recording: Audio, asked: str, status: int, part: slice, content_range: str | None
) -> None:
    response = client.get(f"/media/audio/{recording.name}.wav", headers={"Range": asked})

    content = body_of(response)
    assert response.status_code == status
    assert content == audio.read_wav(recording)[part]
    assert response.get("Content-Range") == content_range
    assert response["Content-Length"] == str(len(content))


def test_if_range_with_another_etag_returns_the_whole_file(client: Client, recording: Audio) -> None:
    url = f"/media/audio/{recording.name}.wav"
    etag = client.get(url)["ETag"]

    assert client.get(url, headers={"Range": "bytes=0-9", "If-Range": etag}).status_code == 206
    assert client.get(url, headers={"Range": "bytes=0-9", "If-Range": '"other"'}).status_code == 200


def test_if_none_match_with_the_current_etag_returns_304(client: Client, recording: Audio) -> None:
    url = f"/media/audio/{recording.name}.wav"

    response = client.get(url, headers={"If-None-Match": client.get(url)["ETag"]})

    assert response.status_code == 304
    assert body_of(response) == b""


@pytest.mark.parametrize(
    "path",
    [
        "0" * 40 + ".wav",
        "0" * 40 + ".mp3",
        "../" * 3 + "etc/passwd.wav",
        "..%2f..%2firis.wav",
        "%00.wav",
        "é.wav",
        "RECORDING.wav",
        "NAME.exe",
        "NAME",
        "NAME.wav/",
        "NAME.wav.mp3",
    ],
)
def test_paths_that_name_no_recording_return_404(
    client: Client, recording: Audio, media: Path, path: str
) -> None:
    (media / "secret.wav").write_bytes(b"secret")

    path = path.replace("RECORDING", recording.name.upper().replace("0", "A")).replace("NAME", recording.name)

    assert client.get(f"/media/audio/{path}").status_code == 404


def test_recording_cannot_be_written_over_http(client: Client, recording: Audio) -> None:
    assert client.post(f"/media/audio/{recording.name}.wav").status_code == 405


def test_audio_url_uses_the_requested_host_or_the_public_url(
    settings: Any, rf: Any, recording: Audio
) -> None:
    settings.IRIS_PUBLIC_URL = "https://calls.example.org"
    settings.ALLOWED_HOSTS = ["calls.example.org", "intranet"]
    path = f"/media/audio/{recording.name}.mp3"

    assert audio_url(recording) == f"https://calls.example.org{path}"
    assert audio_url(recording, rf.get("/", headers={"Host": "intranet"})) == f"http://intranet{path}"
    assert audio_url(recording, rf.get("/", headers={"Host": "calls.example.org"})) == (
        f"https://calls.example.org{path}"
    )
    assert audio_url(recording, format="wav").endswith(".wav")


def test_speech_is_downloaded_like_uploads(client: Client) -> None:
    spoken = speech.speak(text="नमस्ते")

    assert client.get(f"/media/audio/{spoken.name}.mp3").status_code == 200
    assert store.exists(spoken.name, "mp3")
