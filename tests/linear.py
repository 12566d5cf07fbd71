"""Check that reading a text takes time proportional to its length, measured in CPU time."""

from __future__ import annotations

import gc
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.scale import spread

LENGTH = 10_000  # characters
QUICK = 0.02  # CPU seconds: a reader that is worse than linear needs longer for LENGTH characters
LIMIT = 3.0  # CPU seconds: exponential readers are stopped here
# A linear reader takes 4 times as long for 4 times the text, a quadratic one 16 times.
GROWTH, MAX_RATIO = 4, 9.0
MIN_MEASURED = 0.04  # CPU seconds: some systems count CPU time in steps of 0.01 s
ATTEMPTS = 4  # one slow attempt may be due to other load

# Texts that our rules match, and texts that make regular expressions backtrack.
PIECES = (
    *(
        ".",
        ",",
        ":",
        "-",
        "/",
        "@",
        "+",
        "_",
        "%",
        "$",
        "|",
        "।",
        "'",
        " ",
        "  \n",
        "\t",
        "1",
        "9",
        "a",
        "A",
        "x",
    ),
    *(
        "1,",
        "1,11",
        "1,11,111",
        "1.",
        "1. ",
        "1 ",
        "1-",
        "1/",
        "1:",
        "1:11",
        "01/",
        "12345 ",
        "1 a ",
        "A ",
        "a@",
        "a.@",
    ),
    *(
        "{",
        "}",
        "{ ",
        "{a",
        "{a}",
        "[",
        "www.",
        "http://",
        "रु",
        "रु ",
        "रु. ",
        "rs1,",
        "ने.",
        "ने. ",
        "कोड",
        "कोड ",
        "otp 1",
    ),
    *(
        "pin",
        "बिहान",
        "बिहान ",
        "वि.सं. ",
        "सन् ",
        "jan ",
        "ad.",
        "डा.",
        "क\u200d",
        "\u200d",
        "\u0301\u0323",
        "id: ",
        "err:",
    ),
    *("Q.850;", "stat:a", "; charset ", "&#x", '="'),
)
HEADS = ("", "रु", "1", "क", "$", "कोड ", "{", "www.a", "a@b", "[", "Q.850;", "; charset", "2050-05-09T1")
TAILS = ("", "!क")
# These follow each of HEADS, because some rules match only after such a beginning.
LONG_PIECES = (" ", ".", "1", "1,11", "a")


TextOfLength = Callable[[int], str]


def texts(*, part: int) -> list[TextOfLength]:
    """Return each piece repeated, with and without a different end, and the long pieces after each of HEADS.

    `make test` reads a third of them with each rule. Three consecutive values of `part` cover all.
    """
    return spread(list(_texts()), part=part)


def _texts() -> Iterator[TextOfLength]:
    for piece in PIECES:
        yield repeated(piece, tail=TAILS[-1])
        if len(piece) < 3:
            yield repeated(piece)
    for piece in ("9", "1,11", "1,111", "1 "):  # the end makes them something other than a number
        for tail in (",1", ".1", ",,1!"):
            yield repeated(piece, tail=tail)
    for head in HEADS[1:]:
        for piece in LONG_PIECES:
            yield repeated(piece, head=head, tail="!क")


def repeated(piece: str, *, head: str = "", tail: str = "") -> TextOfLength:
    return lambda length: head + piece * ((length - len(head) - len(tail)) // len(piece)) + tail


def assert_linear(
    read: Callable[[str], Any], text: TextOfLength, *, length: int = LENGTH, quick: float = QUICK
) -> None:
    """Raise AssertionError if `read` takes much more than 4 times as long for the text as for a quarter of it.

    Times are CPU seconds of this process. Less than `quick` always passes; LIMIT fails at once.
    """
    long, short = text(length), text(length // GROWTH)
    if _cpu_seconds(read, long) < quick:
        return
    ratios = []
    for _ in range(ATTEMPTS):
        ratios.append(_average(read, long) / _average(read, short))
        if ratios[-1] < MAX_RATIO:
            return
    raise AssertionError(f"{len(short)} characters to {len(long)}, times {ratios}: {long[:40]!r}")


def _average(read: Callable[[str], Any], text: str) -> float:
    total, count = 0.0, 0
    while total < MIN_MEASURED:
        total += _cpu_seconds(read, text, times=2**count)
        count += 1
    return total / (2**count - 1)


def _cpu_seconds(read: Callable[[str], Any], text: str, *, times: int = 1) -> float:
    def stop(*_: object) -> None:
        raise AssertionError(
            f"more than {LIMIT} CPU seconds for {times} times {len(text)} characters: {text[:40]!r}"
        )

    before = signal.signal(signal.SIGPROF, stop)
    gc.disable()  # its cost depends on the objects that other tests left behind
    signal.setitimer(signal.ITIMER_PROF, LIMIT * times)
    try:
        begun = time.process_time()
        for _ in range(times):
            read(text)
        return time.process_time() - begun
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        gc.enable()
        signal.signal(signal.SIGPROF, before)
