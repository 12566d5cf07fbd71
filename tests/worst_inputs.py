"""The most expensive known examples of each kind of input, one megabyte each."""

from __future__ import annotations

import io
import json
import random
import struct
from collections.abc import Callable
from typing import Any

import av
from av.audio.frame import AudioFrame

from telephony.speech import audio
from telephony.speech.engine import Pcm
from tests.campaigns.recipients.test_worst_sheets import WORST

MEGABYTE = 2**20
BOUNDARY = "b"


def filled(item: str, *, before: str = "[", between: str = ",", after: str = "]") -> str:
    """Repeat an item to fill one megabyte."""
    count = (MEGABYTE - 200) // len((item + between).encode())
    return before + between.join([item] * count) + after


def numbered(template: str, count: int) -> str:
    return ",".join(template.replace("#", str(n)) for n in range(count))


LISTS = {
    "numbers": filled("9841000001"),
    "bad numbers": filled('"x"'),
    "numbers of another country": filled('"+442071234567"'),
    "empty lists": filled("[]"),
    "empty objects": filled("{}"),
    "nulls": filled("null"),
    "small numbers": filled("1"),
    "long integers": filled("9" * 4300),
    "an integer too long": "9" * 500_000,
    "exponents": filled("1e308"),
    "deep lists": "[" * 500_000 + "]" * 500_000,
    "lists of lists as deep as is read": filled("[" * 50 + "]" * 50),
    "one key again and again": filled('"a":1', before="{", after="}"),
    "many keys": "{" + numbered('"k#":1', 80_000) + "}",
    "escapes": '"' + "\\u0041" * 170_000 + '"',
    "one long text": '"' + "x" * 1_000_000 + '"',
    "commas": '"' + "," * 1_000_000 + '"',
    "JSON in a text": json.dumps(filled("[]")),
    "blanks": " " * 1_000_000 + "1",
    "objects like contacts": filled('{"number":"9841000001"}'),
    "objects like bad contacts": filled('{"number":1}'),
    "objects like steps": filled('{"order":0,"content_type":"say","text_or_url":"a"}'),
    "texts like steps": filled(json.dumps('{"content_type":"say"}')),
}


FORMS = {
    "fields of one name": "individual_number=9841000001&" * 9_000,
    "numbered fields": "&".join(f"individual_number[{n}]=1" for n in range(9_000)),
    "too many fields": "a=1&" * 250_000,
    "a list in a field": "individual_number=" + "9841000001," * 90_000,
    "escapes": "individual_number=" + "%39" * 330_000,
    "brackets": "individual_number=" + "%5B" * 300_000,
    "steps": "steps=%7B%7D&" * 9_000,
    "tags": "&".join(f"available_tags[t{n}]=1" for n in range(9_000)),
}


def part(name: str, value: bytes, extra: str = "") -> bytes:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode() + value + b"\r\n"


MULTIPARTS = {
    "parts without a name": b"--b\r\n\r\n\r\n" * 110_000,
    "fields of one name": part("individual_number", b"9841000001") * 9_000,
    "files": part("0", b"x", '; filename="x"') * 12_000,
    "a hundred files": b"".join(part(str(n), b"RIFF", '; filename="x"') for n in range(100)),
    "long headers": part("a", b"", ";x=y" * 200_000),
    "many headers": b'--b\r\nContent-Disposition: form-data; name="a"\r\n'
    + b"A: b\r\n" * 150_000
    + b"\r\n\r\n",
    "almost boundaries": part("a", b"\r\n--" * 240_000),
    "multipart in multipart": part("a", part("b", part("c", b"x") * 4_000)),
    "base64": b'--b\r\nContent-Disposition: form-data; name="a"; filename="x"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    + b" =" * 500_000,
    "without an end": b"--b" * 340_000,
}


def sheet_cases() -> dict[str, Callable[[], bytes]]:
    """Return the most expensive sheets. tests/campaigns/recipients tests the result of each kind."""
    rows = {
        "numbers": "9841234567\n" * 95_000,
        "numbers of another country": "number\n" + "+442071234567\n" * 74_000,
        "bad numbers": "x\n" * 500_000,
        "empty cells": "number\n" + ("," * 250 + "\n") * 4_000,
        "quotation marks": 'number\n"' + '""' * 500_000,
        "one long line": "9," * 500_000,
        "long tags": "number,"
        + ",".join(f"{n:03}{'x' * 90}" for n in range(255))
        + "\n"
        + "9841234567\n" * 85_000,
    }
    return {
        **{name: (lambda text=text: text.encode()) for name, text in rows.items()},  # type: ignore[misc]
        **{name: made for name, (made, _) in WORST.items()},
    }


SHEETS = sheet_cases()


def frames(
    format: str, codec: str, *, rate: int, layout: str = "mono", seconds: int = 1, loud: bool = True
) -> bytes:
    """Return an encoded audio file with noise, or with silence unless `loud`."""
    file, channels = io.BytesIO(), 2 if layout == "stereo" else 1
    noise = random.Random(1).randbytes(2 * channels * rate) if loud else bytes(2 * channels * rate)
    with av.open(file, "w", format=format) as container:
        stream: Any = container.add_stream(codec, rate=rate, layout=layout)
        for _ in range(seconds):
            frame = AudioFrame(format="s16", layout=layout, samples=rate)
            frame.planes[0].update(noise)
            frame.sample_rate = rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def wav_header(*, channels: int = 1, rate: int = 8000, bits: int = 16, size: int = 900_000) -> bytes:
    width = channels * bits // 8
    fields = (16, 1, channels % 65536, rate, rate * width % 2**32, width % 65536, bits)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + size)
        + b"WAVEfmt "
        + struct.pack("<IHHIIHH", *fields)
        + b"data"
        + struct.pack("<I", size)
    )


def repeated(piece: bytes) -> bytes:
    return piece * max(1, MEGABYTE // len(piece))


def tagged_mp3() -> bytes:
    size = 1_000_000
    length = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\4\0\0" + length + bytes(size) + frames("mp3", "libmp3lame", rate=16000)


SOUNDS: dict[str, Callable[[], bytes]] = {
    "wav": lambda: audio.encode_wav(Pcm(random.Random(1).randbytes(MEGABYTE - 100), 8000)),
    "wav of 65,535 channels": lambda: wav_header(channels=65535) + bytes(900_000),
    "wav at an absurd rate": lambda: wav_header(rate=2**31) + bytes(900_000),
    "wav of one bit": lambda: wav_header(rate=4000, bits=8, size=MEGABYTE) + bytes(900_000),
    "mp3 at its lowest rate": lambda: repeated(frames("mp3", "libmp3lame", rate=8000, loud=False)),
    "mp3": lambda: repeated(frames("mp3", "libmp3lame", rate=48000, layout="stereo")),
    "mp3 with huge tags": tagged_mp3,
    "aac": lambda: repeated(frames("adts", "aac", rate=48000, layout="stereo", loud=False)),
    "flac of hours of silence": lambda: frames("flac", "flac", rate=8000, seconds=900, loud=False),
    "flac at a high rate": lambda: frames(
        "flac", "flac", rate=192_000, layout="stereo", seconds=100, loud=False
    ),
    "chained ogg": lambda: repeated(frames("ogg", "libopus", rate=48000, loud=False)),
    "chained ogg of two kinds": lambda: repeated(
        frames("ogg", "libopus", rate=48000, loud=False)
        + frames("ogg", "libopus", rate=48000, layout="stereo", loud=False)
    ),
    "opus": lambda: frames("ogg", "libopus", rate=48000, seconds=100, loud=False),
    "webm": lambda: repeated(frames("webm", "libopus", rate=48000, loud=False)),
    "m4a": lambda: frames("ipod", "aac", rate=48000, layout="stereo", seconds=30),
    "m4a with a huge sample table": lambda: _with_huge_sample_table(
        frames("ipod", "aac", rate=48000, seconds=30)
    ),
    "noise like mp3": lambda: b"\xff\xfb\x90\x64" + random.Random(2).randbytes(MEGABYTE - 4),
    "noise like ogg": lambda: repeated(b"OggS\0\2" + random.Random(3).randbytes(60)),
    "zeros": lambda: bytes(MEGABYTE),
}


def _with_huge_sample_table(m4a: bytes) -> bytes:
    """Set the entry count of the sample size table to its maximum."""
    at = m4a.index(b"stsz") + 8
    return m4a[:at] + struct.pack(">II", 1, 2**31 - 1) + m4a[at + 8 :]
