"""Whether reading a text takes time in proportion to its length, measured in CPU time."""

from __future__ import annotations

import gc
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

LENGTH = 10_000  # characters
QUICK = 0.02  # CPU seconds: nothing that grows faster than its text reads LENGTH characters in less
LIMIT = 3.0  # CPU seconds: exponential reading is stopped here
# Four times the text takes four times as long; what is quadratic takes 16 times as long.
GROWTH, MAX_RATIO = 4, 9.0
MEASURED = 0.04  # CPU seconds: some systems count them in steps of a hundredth
ATTEMPTS = 4  # a moment in which the machine was busy proves nothing

# What rules are made of, and what makes them look again at what they have seen.
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
# With a beginning that something hangs on, these are long in themselves.
LONG_PIECES = (" ", ".", "1", "1,11", "a")


Text = Callable[[int], str]  # by its length


def texts() -> Iterator[Text]:
    """All pieces repeated, with an end that is no part of them or without one; and the long ones behind each beginning."""
    for piece in PIECES:
        yield repeated(piece, tail=TAILS[-1])
        if len(piece) < 3:
            yield repeated(piece)
    for piece in ("9", "1,11", "1,111", "1 "):  # with an end by which they are no number
        for tail in (",1", ".1", ",,1!"):
            yield repeated(piece, tail=tail)
    for head in HEADS[1:]:
        for piece in LONG_PIECES:
            yield repeated(piece, head=head, tail="!क")


def repeated(piece: str, *, head: str = "", tail: str = "") -> Text:
    return lambda length: head + piece * ((length - len(head) - len(tail)) // len(piece)) + tail


def assert_linear(
    read: Callable[[str], Any], text: Text, *, length: int = LENGTH, quick: float = QUICK
) -> None:
    """Fails when `read` takes much more than four times as long for the text as for the quarter of it.

    Times are CPU times of this process. Below `quick` seconds they are good enough, at LIMIT seconds it fails at once.
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
    while total < MEASURED:
        total += _cpu_seconds(read, text, times=2**count)
        count += 1
    return total / (2**count - 1)


def _cpu_seconds(read: Callable[[str], Any], text: str, *, times: int = 1) -> float:
    def stop(*_: object) -> None:
        raise AssertionError(
            f"more than {LIMIT} CPU seconds for {times} times {len(text)} characters: {text[:40]!r}"
        )

    before = signal.signal(signal.SIGPROF, stop)
    gc.disable()  # it takes the longer the more the other tests have left behind
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
