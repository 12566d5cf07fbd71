"""The codes of errors: what each means, and with which sentences it is sent.

`manage.py errorcodes` reads them from the source code, where an error is raised with its code and its sentence, and
writes them into `errors.json` and into docs/errors.md.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

STORED = Path(__file__).with_name("errors.json")


@dataclass(frozen=True, kw_only=True)
class ErrorCode:
    """A code with its HTTP statuses, its meaning, and its sentences, which say what is wrong and what to do.

    “…” in a sentence stands for a value.
    """

    code: str
    statuses: str
    about: str
    sentences: tuple[str, ...]


@lru_cache(maxsize=1)
def error_codes() -> dict[str, ErrorCode]:
    """Return all codes of this release, in alphabetical order."""
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    return {one["code"]: ErrorCode(**{**one, "sentences": tuple(one["sentences"])}) for one in stored}


def dumped(codes: list[ErrorCode]) -> str:
    """Return the codes as the text of `errors.json`."""
    return json.dumps([asdict(one) for one in codes], indent=1, ensure_ascii=False) + "\n"
