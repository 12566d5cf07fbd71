"""Recordings to upload: tones in every format."""

from __future__ import annotations

import array
import math
from pathlib import Path
from typing import Any

import av
from av.audio.frame import AudioFrame


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
