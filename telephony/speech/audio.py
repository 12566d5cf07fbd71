"""Read and write sound files: uploads, 8 kHz WAV for trunks, and MP3 for browsers."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from django.conf import settings
from django.core.files import File
from django.utils import timezone

from iris.errors import InvalidInput, TooLarge
from telephony.models import Audio
from telephony.speech import loudness, store
from telephony.speech.engine import Pcm
from telephony.speech.store import Extension

if TYPE_CHECKING:
    # At run time, the functions that need FFmpeg import it: loading it takes longer than most commands run.
    from av.audio.frame import AudioFrame
    from av.audio.resampler import AudioResampler

Upload = IO[bytes] | File[Any]

RATE = 8000  # samples per second on the telephone network
MIN_SECONDS = 0.1
SILENCE_BEFORE, SILENCE_AFTER = 0.1, 0.3  # seconds of silence kept around an uploaded recording

MP3_RATE = 16000  # the lowest rate of MPEG-2: not every player supports the 8000 of MPEG-2.5
MP3_BITS_PER_SECOND = 32000

# FFmpeg's default filter is shorter and lets some frequencies above 4 kHz alias into the 8 kHz signal.
RESAMPLER_OPTIONS = {"filter_size": "64", "cutoff": "0.95"}

_WAV_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_DECODER = Path(__file__).with_name("decoder.py")
_TOO_MUCH_WORK = (
    "This recording is too expensive to decode. Save it as MP3 or WAV with one channel and at most 48,000 samples per"
    " second, and send that file."
)
_DECODER_ERRORS = {
    "work": _TOO_MUCH_WORK,
    "soundless": "This file contains no sound. Send an audio file such as MP3 or WAV.",
    "unreadable": "This file cannot be read as audio. Send MP3, WAV, OGG, M4A or FLAC.",
    "rate": "A recording with {rate} samples per second cannot be played. Save it with 8,000 to 48,000, and send that file.",
    "channels": "A recording with {channels} channels cannot be played. Save it with one channel, and send that file.",
}


class NotAudio(InvalidInput):
    """The file is not a recording, or it is damaged."""

    default_code = "not_audio"


class AudioTooLong(InvalidInput):
    """The recording plays longer than this server allows."""

    default_code = "audio_too_long"


# Uploads ----------------------------------------------------------------------------------------------------


def store_upload(file: Upload) -> Audio:
    """Store one uploaded recording; see `store_uploads`."""
    return store_uploads([file])[0]


def store_uploads(files: Sequence[Upload]) -> list[Audio]:
    """Store uploaded recordings, each content only once, and return their rows.

    Each recording is brought to the loudness of the voices and loses the silence at its ends. Pass all files
    of a request in one call: together they may last settings.IRIS_MAX_AUDIO_SECONDS.

    Raises NotAudio, AudioTooLong, and TooLarge if a file exceeds settings.IRIS_MAX_UPLOAD_BYTES.
    """
    normalized = [normalize_upload(pcm) for pcm in decode_all(files)]
    return [_store(pcm) for pcm in normalized]  # only once all files are accepted


def _store(pcm: Pcm) -> Audio:
    name = store.keyed_name("upload", hashlib.sha256(pcm.samples).hexdigest())
    store.write(name, "wav", encode_wav(pcm))
    audio, made = Audio.objects.get_or_create(name=name, defaults={"seconds": pcm.seconds})
    if not made:
        Audio.objects.filter(pk=audio.pk).update(used_at=timezone.now(), pruned_at=None)
    return audio


def normalize_upload(pcm: Pcm) -> Pcm:
    """Bring a recording to the target loudness and remove hum and the silence at its ends.

    Raises NotAudio if the recording is silent.
    """
    louder = loudness.bring_to_target(loudness.remove_hum(pcm))
    if louder is None:
        raise NotAudio("This recording is silent. Send a recording in which someone speaks.")
    return loudness.fade_edges(loudness.trim(louder, before=SILENCE_BEFORE, after=SILENCE_AFTER))


def decode(file: Upload) -> Pcm:
    """Return the first audio track of a file as telephone audio. Raises the errors of `decode_all`."""
    (pcm,) = decode_all([file])
    return pcm


def decode_all(files: Sequence[Upload]) -> Iterator[Pcm]:
    """Yield the first audio track of each file as telephone audio (8 kHz, mono).

    FFmpeg runs in a process with limits (`decoder`): on the seconds of sound in all files together, on samples,
    packets, processor time and memory. So a small file that unpacks to hours is stopped at the limit.

    Raises NotAudio, AudioTooLong and TooLarge.
    """
    limit = settings.IRIS_MAX_AUDIO_SECONDS
    with ExitStack() as stack:
        opened = [stack.enter_context(_copied_to_disk(file)) for file in files]
        descriptors = [file.fileno() for file in opened]
        process = stack.enter_context(
            subprocess.Popen(
                # -I: the caller's environment and working directory must not affect imports.
                [sys.executable, "-I", str(_DECODER), str(limit), *map(str, descriptors)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=descriptors,
            )
        )
        stack.callback(process.kill)
        assert process.stdout is not None
        for _ in files:
            try:
                facts: dict[str, Any] = json.loads(process.stdout.readline())
            except ValueError as error:  # the decoder reached a limit or crashed
                raise NotAudio(_TOO_MUCH_WORK) from error
            if problem := facts.get("error"):
                raise _decoder_error(problem, facts, limit=limit, several=len(files) > 1)
            pcm = Pcm(process.stdout.read(facts["size"]), RATE)
            _check_complete(pcm, facts["declared"])
            yield pcm


@contextmanager
def _copied_to_disk(file: Upload) -> Iterator[IO[bytes]]:
    """Yield a local temporary file with the content of an upload.

    Raises NotAudio if the upload is empty, and TooLarge.
    """
    size = file.seek(0, io.SEEK_END) or file.tell()
    file.seek(0)
    if size > settings.IRIS_MAX_UPLOAD_BYTES:
        allowed = settings.IRIS_MAX_UPLOAD_BYTES / 2**20
        raise TooLarge(
            f"The recording has {size / 2**20:.1f} MB; at most {allowed:.1f} MB are allowed. Send a shorter one, or an MP3.",
            code="recording_too_large",
        )
    if size == 0:
        raise NotAudio("The recording is empty. Send an audio file such as MP3 or WAV.")
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(file, copy)
        copy.flush()
        yield copy


def _decoder_error(word: str, facts: Mapping[str, Any], *, limit: int, several: bool) -> InvalidInput:
    if word == "long":
        subject = "The recordings are too long together" if several else "The recording is too long"
        return AudioTooLong(f"{subject}: at most {limit} seconds are allowed. Send a shorter recording.")
    return NotAudio(_DECODER_ERRORS[word].format(**facts))


def _check_complete(pcm: Pcm, declared: float | None) -> None:
    if pcm.seconds < MIN_SECONDS:
        raise NotAudio("This file contains less than a tenth of a second of sound. Send a longer recording.")
    if declared is not None and pcm.seconds < declared - max(1, declared / 20):
        raise NotAudio(
            f"The recording is incomplete: it contains only {pcm.seconds:.0f} of its {declared:.0f} seconds. "
            "Send the whole file."
        )


# Telephone audio --------------------------------------------------------------------------------------------


def resample_for_telephone(pcm: Pcm) -> Pcm:
    """Resample a sound to 8 kHz, filtering the frequencies that would alias."""
    if pcm.rate == RATE:
        return pcm
    resampler = _telephone_resampler()
    frames = resampler.resample(_frame(pcm)) + resampler.resample(None)
    return Pcm(b"".join(bytes(memoryview(frame.planes[0])[: 2 * frame.samples]) for frame in frames), RATE)


def encode_wav(pcm: Pcm) -> bytes:
    """Return a complete WAV file."""
    size = len(pcm.samples)
    header = _WAV_HEADER.pack(
        b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, pcm.rate, 2 * pcm.rate, 2, 16, b"data", size
    )
    return header + pcm.samples


def encode_mp3(pcm: Pcm) -> bytes:
    """Return a complete MP3 file, for browsers."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as container:
        # Level 7 of LAME takes less than half the time of its default, without an audible difference for
        # telephone audio.
        options = {"compression_level": "7"}
        stream = container.add_stream("libmp3lame", rate=MP3_RATE, layout="mono", options=options)
        stream.bit_rate = MP3_BITS_PER_SECOND
        second = 2 * pcm.rate
        for start in range(0, len(pcm.samples), second):
            container.mux(stream.encode(_frame(Pcm(pcm.samples[start : start + second], pcm.rate))))
        container.mux(stream.encode(None))
    return file.getvalue()


def read_pcm(name: str) -> bytes:
    """Return the samples of a recording: 8 kHz, 16-bit signed little-endian, mono.

    Read every recording through this function. A joined recording has no file of its own: it is assembled from its
    fragments here. Raises FileNotFoundError if the recording does not exist or its files were pruned.
    """
    try:
        return _read_samples(name)
    except FileNotFoundError:
        parts = Audio.objects.filter(name=name).values_list("parts", flat=True).first()
        if not parts:
            raise
    return b"".join(map(_read_fragment, parts))


def file_duration(name: str) -> float:
    """Return the duration of a stored WAV file in seconds."""
    return (store.size(name, "wav") - _WAV_HEADER.size) / 2 / RATE


def read_wav(audio: Audio) -> bytes:
    """Return the WAV file of a stored recording: 8 kHz, 16 bit, mono. Raises FileNotFoundError if its files are gone."""
    return encode_wav(Pcm(read_pcm(audio.name), RATE))


def open_file(name: str, extension: Extension) -> tuple[IO[bytes], int] | None:
    """Open the WAV or MP3 file of a recording; return it with its size in bytes, or None if there is no recording.

    An MP3 is created and stored on the first request, because browsers request few of the recordings. The WAV file of a
    joined recording is assembled for each request.
    """
    try:
        if extension == "mp3" and not store.exists(name, "mp3"):
            store.write(name, "mp3", encode_mp3(Pcm(read_pcm(name), RATE)))
        if extension == "mp3" or store.exists(name, "wav"):
            return store.open_file(name, extension), store.size(name, extension)
        content = encode_wav(Pcm(read_pcm(name), RATE))
    except FileNotFoundError:
        return None
    return io.BytesIO(content), len(content)


def _read_samples(name: str) -> bytes:
    with store.open_file(name, "wav") as file:
        return file.read()[_WAV_HEADER.size :]


@lru_cache(maxsize=64)
def _read_fragment(name: str) -> bytes:
    """Return the samples of a fragment. Cached, because every call of a run reads the constant parts."""
    return _read_samples(name)


def _telephone_resampler() -> AudioResampler:
    from av.audio.resampler import AudioResampler

    return AudioResampler(format="s16", layout="mono", rate=RATE, options=RESAMPLER_OPTIONS)


def _frame(pcm: Pcm) -> AudioFrame:
    from av.audio.frame import AudioFrame

    frame = AudioFrame(format="s16", layout="mono", samples=len(pcm.samples) // 2)
    frame.planes[0].update(pcm.samples)
    frame.sample_rate = pcm.rate
    return frame
