"""Sound files: what people upload, what trunks play (8 kHz WAV), and what people listen to (MP3)."""

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
from typing import IO, Any

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from django.conf import settings
from django.core.files import File
from django.utils import timezone

from iris.errors import InvalidInput, TooLarge
from telephony.models import Audio
from telephony.speech import loudness, store
from telephony.speech.engine import Pcm
from telephony.speech.store import Extension

Upload = IO[bytes] | File[Any]

RATE = 8000  # samples a second on the telephone network
SHORTEST_SECONDS = 0.1
KEPT_BEFORE, KEPT_AFTER = 0.1, 0.3  # seconds of the silence around an uploaded recording

MP3_RATE = 16000  # the lowest rate of MPEG-2; players need not know MPEG-2.5, which goes down to 8000
MP3_BITS_PER_SECOND = 32000

# A longer filter than FFmpeg's default, which lets through a little of what an 8 kHz signal cannot hold.
RESAMPLING = {"filter_size": "64", "cutoff": "0.95"}

_WAV_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_DECODER = Path(__file__).with_name("decoder.py")
_TOO_MUCH_WORK = (
    "This recording takes too much work to read. Save it as MP3 or WAV, with one channel and at most 48,000 samples a"
    " second, and send that."
)
_FAULTS = {
    "work": _TOO_MUCH_WORK,
    "soundless": "There is no sound in this file. Send an audio file such as MP3 or WAV.",
    "unreadable": "This file cannot be read as audio. Send MP3, WAV, OGG, M4A or FLAC.",
    "rate": "A recording with {rate} samples a second cannot be played. Save it with 8,000 to 48,000, and send that.",
    "channels": "A recording with {channels} channels cannot be played. Save it with one channel, and send that.",
}


class NotAudio(InvalidInput):
    """The file is no recording, or a broken one."""

    default_code = "not_audio"


class AudioTooLong(InvalidInput):
    """The recording plays longer than this server allows."""

    default_code = "audio_too_long"


# What is uploaded -------------------------------------------------------------------------------------------


def store_upload(file: Upload) -> Audio:
    """Keep one uploaded recording; see `store_uploads`."""
    return store_uploads([file])[0]


def store_uploads(files: Sequence[Upload]) -> list[Audio]:
    """Keep uploaded recordings, each once for its content however often it is sent.

    They are made as loud as the voices are, and lose the silence at their ends. All files of one request belong into
    one call: together they may last settings.IRIS_MAX_AUDIO_SECONDS. Raises NotAudio, AudioTooLong, and TooLarge when
    one has more than settings.IRIS_MAX_UPLOAD_BYTES.
    """
    heard = [as_loud_as_speech(pcm) for pcm in decode_all(files)]
    return [_kept(pcm) for pcm in heard]  # all or none


def _kept(pcm: Pcm) -> Audio:
    name = store.keyed_name("upload", hashlib.sha256(pcm.samples).hexdigest())
    store.write(name, "wav", wav(pcm))
    audio, made = Audio.objects.get_or_create(name=name, defaults={"seconds": pcm.seconds})
    if not made:
        Audio.objects.filter(pk=audio.pk).update(used_at=timezone.now(), pruned_at=None)
    return audio


def as_loud_as_speech(pcm: Pcm) -> Pcm:
    """A recording at the target loudness, without hum and without silence at its ends. Raises NotAudio when there is
    nothing to be heard.
    """
    louder = loudness.at_target(loudness.without_hum(pcm))
    if louder is None:
        raise NotAudio("Nothing can be heard in this recording. Send one with somebody speaking in it.")
    return loudness.faded(loudness.trimmed(louder, before=KEPT_BEFORE, after=KEPT_AFTER))


def decode(file: Upload) -> Pcm:
    """The first audio track of a file of any common format, as the telephone plays it. Raises as `decode_all`."""
    (pcm,) = decode_all([file])
    return pcm


def decode_all(files: Sequence[Upload]) -> Iterator[Pcm]:
    """The first audio track of each of these files, as the telephone plays it.

    FFmpeg works in a process with limits (`decoder`): on seconds of sound in all files together, whatever small files
    would unpack to, on samples and packets, processor time and memory. Raises NotAudio, AudioTooLong, TooLarge.
    """
    limit = settings.IRIS_MAX_AUDIO_SECONDS
    with ExitStack() as stack:
        opened = [stack.enter_context(_on_disk(file)) for file in files]
        descriptors = [file.fileno() for file in opened]
        process = stack.enter_context(
            subprocess.Popen(
                # -I: nothing of the caller's environment or folder decides what is imported.
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
            except ValueError as error:  # it was ended by a limit, or has crashed
                raise NotAudio(_TOO_MUCH_WORK) from error
            if fault := facts.get("fault"):
                raise _fault(fault, facts, limit=limit, several=len(files) > 1)
            pcm = Pcm(process.stdout.read(facts["size"]), RATE)
            _refuse_fragments(pcm, facts["declared"])
            yield pcm


@contextmanager
def _on_disk(file: Upload) -> Iterator[IO[bytes]]:
    """The content of an upload as a file of this machine's. Raises NotAudio when it is empty, TooLarge."""
    size = file.seek(0, io.SEEK_END) or file.tell()
    file.seek(0)
    if size > settings.IRIS_MAX_UPLOAD_BYTES:
        allowed = settings.IRIS_MAX_UPLOAD_BYTES / 2**20
        raise TooLarge(f"The recording has {size / 2**20:.1f} MB; at most {allowed:.1f} MB are allowed.")
    if size == 0:
        raise NotAudio("The recording is empty. Send an audio file such as MP3 or WAV.")
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(file, copy)
        copy.flush()
        yield copy


def _fault(word: str, facts: Mapping[str, Any], *, limit: int, several: bool) -> InvalidInput:
    if word == "long":
        what = "The recordings are too long together" if several else "The recording is too long"
        return AudioTooLong(f"{what}: at most {limit} seconds are allowed.")
    return NotAudio(_FAULTS[word].format(**facts))


def _refuse_fragments(pcm: Pcm, declared: float | None) -> None:
    if pcm.seconds < SHORTEST_SECONDS:
        raise NotAudio("There is no sound in this file, or less than a tenth of a second of it.")
    if declared is not None and pcm.seconds < declared - max(1, declared / 20):
        raise NotAudio(
            f"The recording is cut off: only {pcm.seconds:.0f} of its {declared:.0f} seconds are there. "
            "Send the whole file."
        )


# What is played ---------------------------------------------------------------------------------------------


def for_telephone(pcm: Pcm) -> Pcm:
    """The same sound at 8 kHz, without the frequencies that would fold back into it."""
    if pcm.rate == RATE:
        return pcm
    resampler = _telephone_resampler()
    frames = resampler.resample(_frame(pcm)) + resampler.resample(None)
    return Pcm(b"".join(bytes(memoryview(frame.planes[0])[: 2 * frame.samples]) for frame in frames), RATE)


def wav(pcm: Pcm) -> bytes:
    """The whole WAV file."""
    size = len(pcm.samples)
    header = _WAV_HEADER.pack(
        b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, pcm.rate, 2 * pcm.rate, 2, 16, b"data", size
    )
    return header + pcm.samples


def mp3(pcm: Pcm) -> bytes:
    """The whole MP3 file, for browsers."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as container:
        # LAME's level 7 takes less than half the time of its default, which nobody could tell from it here.
        options = {"compression_level": "7"}
        stream = container.add_stream("libmp3lame", rate=MP3_RATE, layout="mono", options=options)
        stream.bit_rate = MP3_BITS_PER_SECOND
        second = 2 * pcm.rate
        for start in range(0, len(pcm.samples), second):
            container.mux(stream.encode(_frame(Pcm(pcm.samples[start : start + second], pcm.rate))))
        container.mux(stream.encode(None))
    return file.getvalue()


def pcm_of(name: str) -> bytes:
    """The samples of a recording as a telephone plays them: 8 kHz, 16-bit signed little-endian, one channel.

    The one way to read a recording: one that is joined from fragments is joined here, and needs no file of its own.
    Raises FileNotFoundError when there is no such recording, or when its files were pruned.
    """
    try:
        return _samples(name)
    except FileNotFoundError:
        parts = Audio.objects.filter(name=name).values_list("parts", flat=True).first()
        if not parts:
            raise
    return b"".join(map(_fragment, parts))


def seconds_of_file(name: str) -> float:
    return (store.size(name, "wav") - _WAV_HEADER.size) / 2 / RATE


def wav_bytes(audio: Audio) -> bytes:
    """The WAV file of a stored recording: 8 kHz, 16 bit, mono. Raises FileNotFoundError when it is gone."""
    return wav(Pcm(pcm_of(audio.name), RATE))


def open_file(name: str, extension: Extension) -> tuple[IO[bytes], int] | None:
    """The WAV or MP3 file of a recording and its size in bytes; None when there is no such recording.

    An MP3 is made and kept when it is first asked for, since few of all those that are spoken are ever listened to in
    a browser. The WAV of a joined recording is joined each time.
    """
    try:
        if extension == "mp3" and not store.has(name, "mp3"):
            store.write(name, "mp3", mp3(Pcm(pcm_of(name), RATE)))
        if extension == "mp3" or store.has(name, "wav"):
            return store.open_file(name, extension), store.size(name, extension)
        content = wav(Pcm(pcm_of(name), RATE))
    except FileNotFoundError:
        return None
    return io.BytesIO(content), len(content)


def _samples(name: str) -> bytes:
    with store.open_file(name, "wav") as file:
        return file.read()[_WAV_HEADER.size :]


@lru_cache(maxsize=64)
def _fragment(name: str) -> bytes:
    """The constant parts of a message are read for everybody who is called."""
    return _samples(name)


def _telephone_resampler() -> AudioResampler:
    return AudioResampler(format="s16", layout="mono", rate=RATE, options=RESAMPLING)


def _frame(pcm: Pcm) -> AudioFrame:
    frame = AudioFrame(format="s16", layout="mono", samples=len(pcm.samples) // 2)
    frame.planes[0].update(pcm.samples)
    frame.sample_rate = pcm.rate
    return frame
