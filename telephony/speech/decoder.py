"""Decodes recordings for the telephone: a program, not a module (`telephony.speech.audio` starts it).

FFmpeg reads what strangers sent, and no call into it can be interrupted. So it works in a process that has limits of its
own, and may crash without harm. Arguments: the most seconds of sound in all files together, then the descriptors of the
files. For each file, standard output gets a line of JSON and, where the line says `size`, as many bytes: 16-bit samples,
little-endian, 8 kHz, one channel. A line with `fault` is the last one.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import IO, Any, NoReturn

MEMORY = 1 << 30  # bytes
SECONDS_TO_OPEN = (
    3  # of processor time, until the headers of the first file are read, the start of Python included
)
RATE = 8000
MIN_RATE, MAX_RATE = (
    4000,
    384_000,
)  # samples a second: with fewer, a small file would become millions of samples
MAX_CHANNELS = 8

# What one second of sound may cost, on average over the seconds that are allowed: stereo at 48 kHz, in frames of 10 ms.
VALUES_PER_SECOND = 2 * 48_000
PACKETS_PER_SECOND = 100
MAX_CHANGES = 50  # of format, rate or channels within a file; each needs a new resampler
SPARE_SECONDS = 2  # on top of what is allowed, for rounding and for what is cut off later

# Formats are told by their content, and only these are tried: others, such as playlists, make FFmpeg open
# what the file names, on this machine or elsewhere.
FORMATS = "mp3,wav,w64,ogg,mov,flac,aac,matroska,aiff,au,caf,amr,avi,asf"

_WAV_SIZE_UNKNOWN = 0x7FFF0000  # what is written by programs that do not know the size beforehand, or more


class Fault(Exception):
    """What is wrong with a file: a word, and facts for the sentence."""

    def __init__(self, word: str, **facts: Any) -> None:
        super().__init__(word)
        self.facts = {"fault": word, **facts}


class Allowance:
    """What all files together may still cost."""

    def __init__(self, seconds: int) -> None:
        self.samples = RATE * seconds
        self._values = VALUES_PER_SECOND * (seconds + SPARE_SECONDS)
        self._packets = PACKETS_PER_SECOND * (seconds + SPARE_SECONDS)

    def spend_packet(self) -> None:
        self._packets -= 1
        if self._packets < 0:
            raise Fault("work")

    def spend_values(self, count: int) -> None:
        self._values -= count
        if self._values < 0:
            raise Fault("work")

    def spend_samples(self, count: int) -> None:
        self.samples -= count
        if self.samples < 0:
            raise Fault("long")


class Unnamed:
    """Just enough of a file for FFmpeg, which would else take a file name for a hint."""

    def __init__(self, file: IO[bytes]) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def main(seconds: int, descriptors: list[int]) -> None:
    # With a margin for slow machines: the allowance ends what is dear, this ends what FFmpeg does not return from.
    limit = 10 + seconds // 20
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS_TO_OPEN, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import av

    allowance = Allowance(seconds)
    out = sys.stdout.buffer
    for descriptor in descriptors:
        facts: dict[str, Any]
        samples = b""
        try:
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                file.seek(0)
                samples, facts = decoded(file, allowance)
        except Fault as fault:
            facts = fault.facts
        except MemoryError:
            facts = Fault("work").facts
        except (av.FFmpegError, ValueError, OSError, AssertionError, ArithmeticError):
            facts = Fault("unreadable").facts
        out.write(json.dumps(facts).encode() + b"\n" + samples)
        if "fault" in facts:
            break


def decoded(file: IO[bytes], allowance: Allowance) -> tuple[bytes, dict[str, Any]]:
    import av

    # Tags may be in any old encoding. PyAV 19 takes them as they are; before, it had to be asked to.
    any_tags: Any = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
    with av.open(
        Unnamed(file),
        "r",
        container_options={"format_whitelist": FORMATS, "protocol_whitelist": "none"},
        io_open=_open_nothing,
        **any_tags,
    ) as container:
        stream = next(iter(container.streams.audio), None)
        if stream is None or stream.codec_context is None:
            raise Fault("soundless")
        stream.codec_context.thread_count = 1
        _, most = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (most, most))
        samples = samples_of(container, stream, allowance)
        return samples, {"size": len(samples), "declared": declared_seconds(file, container, stream)}


def _open_nothing(*_: object) -> NoReturn:
    raise PermissionError("An uploaded file may not name other files.")


class Resampled:
    """Frames of any kind as the telephone plays them."""

    def __init__(self, allowance: Allowance) -> None:
        self.samples = bytearray()
        self._allowance = allowance
        self._kind: tuple[str, str, int] | None = None
        self._changes = 0
        self._resampler: Any = None
        self._waiting: Any = None  # a FIFO: to resample a second at once costs half as much as frame by frame

    def add(self, frame: Any) -> None:
        from av.audio.fifo import AudioFifo

        if not MIN_RATE <= frame.sample_rate <= MAX_RATE:
            raise Fault("rate", rate=frame.sample_rate)
        if frame.layout.nb_channels > MAX_CHANNELS:
            raise Fault("channels", channels=frame.layout.nb_channels)
        self._allowance.spend_values(frame.samples * frame.layout.nb_channels)
        now = (frame.format.name, frame.layout.name, frame.sample_rate)
        if now != self._kind:  # at the start, and where recordings of different kinds were joined to one file
            self.finish()
            self._changes += 1
            if self._changes > MAX_CHANGES:
                raise Fault("work")
            self._resampler, self._waiting, self._kind = telephone_resampler(), AudioFifo(), now
        frame.pts = None  # gaps in the time stamps are no sound
        self._waiting.write(frame)
        if self._waiting.samples >= frame.sample_rate:
            self._keep(self._resampler.resample(self._waiting.read()))

    def finish(self) -> None:
        if self._resampler is None:
            return
        if self._waiting.samples:
            self._keep(self._resampler.resample(self._waiting.read()))
        self._keep(self._resampler.resample(None))
        self._resampler = None

    def _keep(self, frames: list[Any]) -> None:
        for frame in frames:
            self._allowance.spend_samples(frame.samples)
            self.samples.extend(memoryview(frame.planes[0])[: 2 * frame.samples])


def samples_of(container: Any, stream: Any, allowance: Allowance) -> bytes:
    import av

    resampled = Resampled(allowance)
    good = bad = 0
    for packet in container.demux(stream):
        allowance.spend_packet()
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
            resampled.add(frame)
    if bad > good:
        raise Fault("unreadable")
    resampled.finish()
    return bytes(resampled.samples)


def telephone_resampler() -> Any:
    from av.audio.resampler import AudioResampler

    # A longer filter than FFmpeg's default, which lets through a little of what an 8 kHz signal cannot hold.
    options = {"filter_size": "64", "cutoff": "0.95"}
    return AudioResampler(format="s16", layout="mono", rate=RATE, options=options)


def declared_seconds(file: IO[bytes], container: Any, stream: Any) -> float | None:
    """How long the recording was when it was made, if its header says so; None where FFmpeg only guesses."""
    kind = container.format.name
    declared = None
    if stream.duration is not None and stream.time_base is not None:
        declared = float(stream.duration * stream.time_base)
    if kind == "wav":
        # FFmpeg takes what is there for all there was; the header knows better.
        head = _bytes_at(file, 0, 8)
        promised = int.from_bytes(head[4:8], "little") + 8
        there = file.seek(0, os.SEEK_END)
        if declared is not None and there < promised < _WAV_SIZE_UNKNOWN:
            return declared * promised / there
        return None
    if kind == "mp3":
        return declared if _has_frame_count(file) else None
    return declared if kind in {"flac", "aiff", "au"} or kind.startswith("mov") else None


def _has_frame_count(mp3: IO[bytes]) -> bool:
    """Whether the first frame of an MP3 says how many follow, as nearly all encoders write it."""
    head = _bytes_at(mp3, 0, 10)
    start = 0
    if head[:3] == b"ID3":  # the tags in front; their size has seven bits in each byte
        start = 10 + sum((byte & 0x7F) << 7 * (3 - place) for place, byte in enumerate(head[6:]))
    first = _bytes_at(mp3, start, 200)
    return any(mark in first for mark in (b"Xing", b"Info", b"VBRI"))


def _bytes_at(file: IO[bytes], offset: int, count: int) -> bytes:
    file.seek(offset)
    return file.read(count)


if __name__ == "__main__":
    main(int(sys.argv[1]), [int(argument) for argument in sys.argv[2:]])
