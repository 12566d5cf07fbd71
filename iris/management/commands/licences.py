"""`manage.py licences`: write the table of the dependencies' licences into docs/licences.md, from the installed packages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata

from django.conf import settings
from django.core.management import CommandError

from iris.management.generated_table import TableCommand

# What the metadata does not say, or what is installed on other systems only.
KNOWN = {
    "async-timeout": "Apache-2.0",
    "axe-playwright-python": "MIT; the axe-core script in it is MPL-2.0",
    "colorama": "BSD-3-Clause",
    "espeakng-loader": "not stated; the espeak-ng library in it is GPL-3.0-or-later",
}
# docs/licences.md says what the GPL means for these.
EXPLAINED = {"docutils", "espeakng-loader", "piper-tts"}
NOT_STATED = "not stated"
MAX_CHARACTERS = 80  # of the field `License`, in which some packages put the whole text

_PINNED = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==", re.MULTILINE)
_ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \|", re.MULTILINE)
_GPL = re.compile(r"(?<![A-Za-z])A?GPL|(?<!Lesser )General Public", re.IGNORECASE)


def requirements() -> dict[str, list[str]]:
    """Return the packages of all requirements files, each with the files that need it: `dev` only if no other does."""
    needed: dict[str, list[str]] = {}
    for path in sorted((settings.BASE_DIR / "requirements").glob("*.txt")):
        for name in sorted({name.lower() for name in _PINNED.findall(path.read_text())}):
            needed.setdefault(name, []).append(path.stem)
    return {
        name: [file for file in files if file != "dev"] or files for name, files in sorted(needed.items())
    }


def licence_of(package: PackageMetadata) -> str:
    """Return the licence of a package, as its metadata states it."""
    expression, short = (
        package[field].strip() if field in package else "" for field in ("License-Expression", "License")
    )
    if "\n" in short or len(short) > MAX_CHARACTERS or short.upper() == "UNKNOWN":
        short = ""
    classifiers = [
        last
        for classifier in package.get_all("Classifier") or []
        if classifier.startswith("License ::")
        and (last := classifier.rpartition(" :: ")[2]) != "OSI Approved"
    ]
    return (expression or short or ", ".join(classifiers) or NOT_STATED).replace("|", "\\|")


def rows(known: dict[str, str]) -> Iterator[str]:
    """Yield the rows of the table. `known` are licences that the document has, of packages that are not installed here."""
    for name, files in requirements().items():
        try:
            licence = KNOWN.get(name) or licence_of(metadata(name))
        except PackageNotFoundError as error:
            if name not in known:
                raise CommandError(
                    f"{name} is not installed, so its licence is unknown. Install requirements/{files[0]}.txt."
                ) from error
            licence = known[name]
        if _GPL.search(licence) and name not in EXPLAINED and files != ["dev"]:
            raise CommandError(
                f"{name} has the licence {licence}. Explain in docs/licences.md what that means, and add it to EXPLAINED."
            )
        yield f"| `{name}` | {licence} | {', '.join(files)} |"


class Command(TableCommand):
    help = "Writes the licences of all dependencies into docs/licences.md."
    document = "licences.md"
    begin = "<!-- licences: written by `manage.py licences` -->"
    end = "<!-- end of licences -->"

    def table(self) -> str:
        document = (settings.BASE_DIR / "docs" / self.document).read_text()
        known = {name: licence.strip() for name, licence in _ROW.findall(document)}
        return "\n".join(["| package | licence | requirements |", "|---|---|---|", *rows(known)])
