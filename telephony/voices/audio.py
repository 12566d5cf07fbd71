"""Sound files: what people upload, what trunks play (8 kHz WAV), and what people listen to (MP3)."""

from __future__ import annotations

import hashlib
import io
import struct
from functools import lru_cache
from typing import IO, Any, NoReturn

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from django.conf import settings
from django.core.files import File
from django.utils import timezone

from iris.errors import InvalidInput, TooLarge
from telephony.models import Audio
from telephony.voices import loudness, store
from telephony.voices.engine import Pcm
from telephony.voices.store import Extension

Upload = IO[bytes] | File[Any]

RATE = 8000  # samples a second on the telephone network
SHORTEST_SECONDS = 0.1
KEPT_BEFORE, KEPT_AFTER = 0.1, 0.3  # seconds of the silence around an uploaded recording

MP3_RATE = 16000  # the lowest rate of MPEG-2; players need not know MPEG-2.5, which goes down to 8000
MP3_BITS_PER_SECOND = 32000

# Formats are told by their content, and only these are tried: others, such as playlists, make FFmpeg open
# what the file names, on this machine or elsewhere.
FORMATS = "mp3,wav,w64,ogg,mov,flac,aac,matroska,aiff,au,caf,amr,avi,asf"

# A longer filter than FFmpeg's default, which lets through a little of what an 8 kHz signal cannot hold.
RESAMPLING = {"filter_size": "64", "cutoff": "0.95"}

# Tags may be in any old encoding. PyAV 19 takes them as they are; before, it had to be asked to.
_ANY_TAGS: dict[str, Any] = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}

_WAV_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_WAV_SIZE_UNKNOWN = 0x7FFF0000  # what is written by programs that do not know the size beforehand, or more


class NotAudio(InvalidInput):
    """The file is no recording, or a broken one."""

    default_code = "not_audio"


class AudioTooLong(InvalidInput):
    """The recording plays longer than this server allows."""

    default_code = "audio_too_long"


# What is uploaded -------------------------------------------------------------------------------------------


def store_upload(file: Upload) -> Audio:
    """Keeps an uploaded recording, once for its content however often it is sent.

    It is made as loud as the voices are, and loses the silence at its ends. Raises NotAudio, AudioTooLong, and
    TooLarge above settings.IRIS_MAX_UPLOAD_BYTES.
    """
    pcm = as_loud_as_speech(decode(file))
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
    """The first audio track of a file of any common format, as the telephone plays it.

    Never holds more than settings.IRIS_MAX_AUDIO_SECONDS of sound, whatever a small file would unpack to.
    """
    size = file.seek(0, io.SEEK_END) or file.tell()
    file.seek(0)
    if size > settings.IRIS_MAX_UPLOAD_BYTES:
        allowed = settings.IRIS_MAX_UPLOAD_BYTES / 2**20
        raise TooLarge(f"The recording has {size / 2**20:.1f} MB; at most {allowed:.1f} MB are allowed.")
    if size == 0:
        raise NotAudio("The recording is empty. Send an audio file such as MP3 or WAV.")
    try:
        with av.open(
            _Unnamed(file),
            "r",
            container_options={"format_whitelist": FORMATS, "protocol_whitelist": "none"},
            io_open=_open_nothing,
            **_ANY_TAGS,
        ) as container:
            stream = next(iter(container.streams.audio), None)
            if stream is None or stream.codec_context is None:
                raise NotAudio("There is no sound in this file. Send an audio file such as MP3 or WAV.")
            pcm = Pcm(_samples_of(container, stream), RATE)
            declared = _declared_seconds(file, container, stream)
    except (av.FFmpegError, ValueError, OSError) as error:
        raise NotAudio("This file cannot be read as audio. Send MP3, WAV, OGG, M4A or FLAC.") from error
    if pcm.seconds < SHORTEST_SECONDS:
        raise NotAudio("There is no sound in this file, or less than a tenth of a second of it.")
    if declared is not None and pcm.seconds < declared - max(1, declared / 20):
        raise NotAudio(
            f"The recording is cut off: only {pcm.seconds:.0f} of its {declared:.0f} seconds are there. "
            "Send the whole file."
        )
    return pcm


class _Unnamed:
    """Just enough of a file for FFmpeg, which would else take the uploader's file name for a hint."""

    def __init__(self, file: Upload) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def _open_nothing(*_: object) -> NoReturn:
    raise PermissionError("An uploaded file may not name other files.")


def _samples_of(container: InputContainer, stream: AudioStream) -> bytes:
    limit = settings.IRIS_MAX_AUDIO_SECONDS
    samples = bytearray()
    resampler: AudioResampler | None = None
    kind: tuple[str, str, int] | None = None
    good = bad = 0

    def keep(frames: list[AudioFrame]) -> None:
        for frame in frames:
            samples.extend(memoryview(frame.planes[0])[: 2 * frame.samples])
        if len(samples) > 2 * RATE * limit:
            raise AudioTooLong(f"The recording is too long: at most {limit} seconds are allowed.")

    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.InvalidDataError:
            # A damaged spot, or tags behind the sound: players skip them too. But noise may pass for MP3.
            bad += 1
            if bad > 100 + good:
                raise
            continue
        for frame in frames:
            good += 1
            if not 4000 <= frame.sample_rate <= 384_000:  # fewer samples would become millions
                raise NotAudio(f"A recording with {frame.sample_rate} samples a second cannot be played.")
            now = (frame.format.name, frame.layout.name, frame.sample_rate)
            if now != kind:  # at the start, and where recordings of different kinds were joined to one file
                if resampler is not None:
                    keep(resampler.resample(None))
                resampler, kind = _telephone_resampler(), now
            assert resampler is not None
            frame.pts = None  # gaps in the time stamps are no sound
            keep(resampler.resample(frame))
    if bad > good:
        raise NotAudio("This file cannot be read as audio. Send MP3, WAV, OGG, M4A or FLAC.")
    if resampler is not None:
        keep(resampler.resample(None))
    return bytes(samples)


def _declared_seconds(file: Upload, container: InputContainer, stream: AudioStream) -> float | None:
    """How long the recording was when it was made, if its header says so; None where FFmpeg only guesses."""
    kind = container.format.name
    declared = None
    if stream.duration is not None and stream.time_base is not None:
        declared = float(stream.duration * stream.time_base)
    if kind == "wav":
        # FFmpeg takes what is there for all there was; the header knows better.
        head = _bytes_at(file, 0, 8)
        promised = int.from_bytes(head[4:8], "little") + 8
        there = file.seek(0, io.SEEK_END) or file.tell()
        if declared is not None and there < promised < _WAV_SIZE_UNKNOWN:
            return declared * promised / there
        return None
    if kind == "mp3":
        return declared if _has_frame_count(file) else None
    return declared if kind in {"flac", "aiff", "au"} or kind.startswith("mov") else None


def _has_frame_count(mp3: Upload) -> bool:
    """Whether the first frame of an MP3 says how many follow, as nearly all encoders write it."""
    head = _bytes_at(mp3, 0, 10)
    start = 0
    if head[:3] == b"ID3":  # the tags in front; their size has seven bits in each byte
        start = 10 + sum((byte & 0x7F) << 7 * (3 - place) for place, byte in enumerate(head[6:]))
    first = _bytes_at(mp3, start, 200)
    return any(mark in first for mark in (b"Xing", b"Info", b"VBRI"))


def _bytes_at(file: Upload, offset: int, count: int) -> bytes:
    file.seek(offset)
    return file.read(count)


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
