"""Read untrusted ZIP files. Their declared size is checked before anything is unpacked."""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from django.conf import settings

from campaigns.recipients.sheets.budget import Budget
from campaigns.recipients.sheets.grid import NotASheet, SheetTooLarge

MAX_MEMBERS = 2_000
CHUNK = 1 << 17
_SMALL = 8 * 2**20
_UNREADABLE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError)
_CENTRAL_HEADER = b"PK\x01\x02"
_BROKEN = (
    "The file is damaged or incomplete. Open it in a spreadsheet program, save it as .xlsx, and send that."
)


class Archive:
    """The members of a ZIP file by lower-case path. A \\ in a path, as some programs write it, counts as /."""

    def __init__(self, file: BinaryIO, budget: Budget) -> None:
        self._budget = budget
        _limit_members(file)
        with _readable():
            self._zip = zipfile.ZipFile(file)
        self._members: dict[str, zipfile.ZipInfo] = {}
        unpacked = 0
        for member in self._zip.infolist():
            if member.flag_bits & 0x1:
                raise NotASheet("The file is protected by a password. Save it without one and send it again.")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise NotASheet(_BROKEN)
            unpacked += member.file_size
            self._members.setdefault(member.filename.replace("\\", "/").lstrip("/").lower(), member)
        limit: int = settings.IRIS_SHEET_MAX_UNPACKED_BYTES
        if unpacked > limit:
            raise SheetTooLarge(
                f"The file unpacks to {unpacked / 2**20:,.0f} MB; {limit / 2**20:,.0f} MB are allowed. "
                "Remove the columns that no message needs, or send the numbers as several files."
            )

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._members

    def names(self) -> list[str]:
        return list(self._members)

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a member, at most its declared size. At the end, the checksum is verified."""
        with _readable(), self._zip.open(self._members[name.lower()]) as stream:
            while chunk := stream.read(CHUNK):
                self._budget.unpack(len(chunk))
                yield chunk

    def read(self, name: str) -> bytes:
        """Return all bytes of a small member. Raises SheetTooLarge if it is not small."""
        if self._members[name.lower()].file_size > _SMALL:
            raise SheetTooLarge(
                "The file has far more styles or sheets than a list of numbers needs. "
                "Copy the numbers into a new file and send that."
            )
        return b"".join(self.chunks(name))


def _limit_members(file: BinaryIO) -> None:
    """Raise NotASheet for too many members, before `zipfile` creates an object for each of them."""
    file.seek(0)
    count, overlap = 0, b""
    while chunk := file.read(CHUNK):
        chunk = overlap + chunk
        count += chunk.count(_CENTRAL_HEADER)
        if count > MAX_MEMBERS:
            raise NotASheet(
                "The file has more parts than any spreadsheet needs. Save it again as .xlsx and send that."
            )
        overlap = chunk[-3:]
    file.seek(0)


@contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except _UNREADABLE as e:
        raise NotASheet(_BROKEN) from e
