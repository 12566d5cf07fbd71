"""Decode recordings to telephone audio: a program that `telephony.speech.audio` starts, not a module to import.

FFmpeg reads untrusted files, and calls into it cannot be interrupted. So it runs in a process with its own limits,
which may crash without harm.

Arguments: the maximum seconds of sound in all files together, then the file descriptors of the files. For each file,
standard output gets one line of JSON. If the line has a `size`, that many bytes follow: 16-bit little-endian samples, 8
kHz, mono. A line with an `error` is the last one.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from typing import IO, Any, NoReturn

MEMORY_BYTES = 1 << 30
# Processor seconds until the headers of the first file are read, including the start of Python.
SECONDS_TO_OPEN = 3
RATE = 8000
# Samples per second. Below the minimum, a small file would be resampled to millions of samples.
MIN_RATE, MAX_RATE = 4000, 384_000
MAX_CHANNELS = 8

# Cost limits per second of sound, averaged over the allowed seconds: stereo at 48 kHz, in frames of 10 ms.
VALUES_PER_SECOND = 2 * 48_000
PACKETS_PER_SECOND = 100
# Maximum number of changes of format, rate or channels in a file; each change needs a new resampler.
MAX_FORMAT_CHANGES = 50
SPARE_SECONDS = 2  # in addition to the allowed seconds, for rounding and for silence that is trimmed later

# FFmpeg detects the format from the content and tries only these. Other formats, such as playlists, make
# FFmpeg open the files they name, on this machine or elsewhere.
FORMATS = "mp3,wav,w64,ogg,mov,flac,aac,matroska,aiff,au,caf,amr,avi,asf"

# Programs that do not know the size in advance write this value or a larger one.
_MIN_UNKNOWN_WAV_SIZE = 0x7FFF0000


class DecodingError(Exception):
    """An error in a file: a keyword, and facts for the message."""

    def __init__(self, keyword: str, **facts: Any) -> None:
        super().__init__(keyword)
        self.facts = {"error": keyword, **facts}


class Budget:
    """The remaining cost limits of all files together."""

    def __init__(self, seconds: int) -> None:
        self.samples = RATE * seconds
        self._values = VALUES_PER_SECOND * (seconds + SPARE_SECONDS)
        self._packets = PACKETS_PER_SECOND * (seconds + SPARE_SECONDS)

    def spend_packet(self) -> None:
        self._packets -= 1
        if self._packets < 0:
            raise DecodingError("work")

    def spend_values(self, count: int) -> None:
        self._values -= count
        if self._values < 0:
            raise DecodingError("work")

    def spend_samples(self, count: int) -> None:
        self.samples -= count
        if self.samples < 0:
            raise DecodingError("long")


class NamelessFile:
    """The file interface that FFmpeg needs, without a name: FFmpeg would guess the format from a name."""

    def __init__(self, file: IO[bytes]) -> None:
        self.read, self.seek, self.tell = file.read, file.seek, file.tell


def main(seconds: int, descriptors: list[int]) -> None:
    # The budget stops expensive files. This limit, generous for slow machines, ends FFmpeg calls that never
    # return.
    limit = 10 + seconds // 20
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS_TO_OPEN, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import av

    budget = Budget(seconds)
    out = sys.stdout.buffer
    for descriptor in descriptors:
        facts: dict[str, Any]
        samples = b""
        try:
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                file.seek(0)
                samples, facts = decode_file(file, budget)
        except DecodingError as error:
            facts = error.facts
        except MemoryError:
            facts = DecodingError("work").facts
        except (av.FFmpegError, ValueError, OSError, AssertionError, ArithmeticError):
            facts = DecodingError("unreadable").facts
        out.write(json.dumps(facts).encode() + b"\n" + samples)
        if "error" in facts:
            break


def decode_file(file: IO[bytes], budget: Budget) -> tuple[bytes, dict[str, Any]]:
    import av

    # Tags may have any encoding. PyAV 19 tolerates them; older versions need this option.
    any_tags: Any = {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}
    with av.open(
        NamelessFile(file),
        "r",
        container_options={"format_whitelist": FORMATS, "protocol_whitelist": "none"},
        io_open=_refuse_to_open,
        **any_tags,
    ) as container:
        stream = next(iter(container.streams.audio), None)
        if stream is None or stream.codec_context is None:
            raise DecodingError("soundless")
        stream.codec_context.thread_count = 1
        _, hard_limit = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (hard_limit, hard_limit))
        samples = decode_stream(container, stream, budget)
        return samples, {"size": len(samples), "declared": declared_seconds(file, container, stream)}


def _refuse_to_open(*_: object) -> NoReturn:
    raise PermissionError("An uploaded file must not refer to other files.")


class ResampledFrames:
    """Convert frames of any format to telephone audio."""

    def __init__(self, budget: Budget) -> None:
        self.samples = bytearray()
        self._budget = budget
        self._kind: tuple[str, str, int] | None = None
        self._changes = 0
        self._resampler: Any = None
        self._waiting: Any = None  # a FIFO: resampling a second at once costs half as much as frame by frame

    def add(self, frame: Any) -> None:
        from av.audio.fifo import AudioFifo

        if not MIN_RATE <= frame.sample_rate <= MAX_RATE:
            raise DecodingError("rate", rate=frame.sample_rate)
        if frame.layout.nb_channels > MAX_CHANNELS:
            raise DecodingError("channels", channels=frame.layout.nb_channels)
        self._budget.spend_values(frame.samples * frame.layout.nb_channels)
        now = (frame.format.name, frame.layout.name, frame.sample_rate)
        if now != self._kind:  # at the start, and where recordings of different formats were concatenated
            self.finish()
            self._changes += 1
            if self._changes > MAX_FORMAT_CHANGES:
                raise DecodingError("work")
            self._resampler, self._waiting, self._kind = telephone_resampler(), AudioFifo(), now
        frame.pts = None  # ignore gaps in the timestamps
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
            self._budget.spend_samples(frame.samples)
            self.samples.extend(memoryview(frame.planes[0])[: 2 * frame.samples])


def decode_stream(container: Any, stream: Any, budget: Budget) -> bytes:
    import av

    resampled = ResampledFrames(budget)
    good = bad = 0
    for packet in container.demux(stream):
        budget.spend_packet()
        try:
            frames = packet.decode()
        except av.InvalidDataError:
            # A damaged packet, or tags after the sound: players skip them too. But noise may look like MP3.
            bad += 1
            if bad > 100 + good:
                raise
            continue
        for frame in frames:
            good += 1
            resampled.add(frame)
    if bad > good:
        raise DecodingError("unreadable")
    resampled.finish()
    return bytes(resampled.samples)


def telephone_resampler() -> Any:
    from av.audio.resampler import AudioResampler

    # As `audio.RESAMPLER_OPTIONS`, which this program cannot import.
    options = {"filter_size": "64", "cutoff": "0.95"}
    return AudioResampler(format="s16", layout="mono", rate=RATE, options=options)


def declared_seconds(file: IO[bytes], container: Any, stream: Any) -> float | None:
    """Return the original length of the recording if its header states it; None if FFmpeg only estimates it."""
    kind = container.format.name
    declared = None
    if stream.duration is not None and stream.time_base is not None:
        declared = float(stream.duration * stream.time_base)
    if kind == "wav":
        # FFmpeg derives the duration from the bytes that are present; the header has the original size.
        head = _bytes_at(file, 0, 8)
        promised = int.from_bytes(head[4:8], "little") + 8
        there = file.seek(0, os.SEEK_END)
        if declared is not None and there < promised < _MIN_UNKNOWN_WAV_SIZE:
            return declared * promised / there
        return None
    if kind == "mp3":
        return declared if _has_frame_count(file) else None
    return declared if kind in {"flac", "aiff", "au"} or kind.startswith("mov") else None


def _has_frame_count(mp3: IO[bytes]) -> bool:
    """Return whether the first frame of an MP3 states the number of frames, as nearly all encoders write it."""
    head = _bytes_at(mp3, 0, 10)
    start = 0
    if head[:3] == b"ID3":  # skip the leading tags; each byte of their size holds seven bits
        start = 10 + sum((byte & 0x7F) << 7 * (3 - place) for place, byte in enumerate(head[6:]))
    first = _bytes_at(mp3, start, 200)
    return any(mark in first for mark in (b"Xing", b"Info", b"VBRI"))


def _bytes_at(file: IO[bytes], offset: int, count: int) -> bytes:
    file.seek(offset)
    return file.read(count)


if __name__ == "__main__":
    main(int(sys.argv[1]), [int(argument) for argument in sys.argv[2:]])
