"""Where recordings lie: `audio/<2 hex>/<name>.<wav|mp3>` in Django's default storage.

A name is a keyed hash of what is in the recording. So the same thing is stored once, a file never changes,
and nobody can guess the address of what was said to another.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Literal

from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage
from django.utils.crypto import salted_hmac

Extension = Literal["wav", "mp3"]

NAME_DIGITS = 40  # hexadecimal; 160 bits
UNFINISHED = ".part"


def keyed_name(*parts: object) -> str:
    """The name of the recording that these parts describe."""
    described = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return salted_hmac("telephony.speech", described, algorithm="sha256").hexdigest()[:NAME_DIGITS]


def path_of(name: str, extension: Extension) -> str:
    return f"audio/{name[:2]}/{name}.{extension}"


def has(name: str, extension: Extension) -> bool:
    path = path_of(name, extension)
    local = _local(path)
    if local is None:
        return default_storage.exists(path)
    try:
        # We don't wait for the disk when writing; after a power failure a file may be there and empty.
        return os.stat(local).st_size > 0
    except FileNotFoundError:
        return False


def lost(name: str) -> bool:
    """True when a recording that the database knows is not on this machine's disk any more.

    A remote storage is trusted: asking it about thousands of files would take longer than speaking them.
    """
    return _local(path_of(name, "wav")) is not None and not has(name, "wav")


def write(name: str, extension: Extension, content: bytes) -> bool:
    """Stores the file whole or not at all; whether it is ours that is there now. Of several who write the same name
    at the same time the first wins: two renderings of a text may differ in length.
    """
    path = path_of(name, extension)
    local = _local(path)
    if local is None:
        if default_storage.exists(path):
            return False
        saved = default_storage.save(path, ContentFile(content))
        if saved != path:  # somebody was faster, and the storage gave ours another name
            default_storage.delete(saved)
        return saved == path
    temporary = default_storage.path(
        default_storage.save(f"{path}.{uuid.uuid4().hex}{UNFINISHED}", ContentFile(content))
    )
    try:
        if has(name, extension):
            return False
        with suppress(FileNotFoundError):  # an empty one may be there, see `has`
            os.unlink(local)
        os.link(temporary, local)
    except FileExistsError:
        return False
    finally:
        os.unlink(temporary)
    return True


def delete(name: str, extension: Extension) -> None:
    """Without a word when it is not there."""
    default_storage.delete(path_of(name, extension))


def stored() -> Iterator[tuple[str, str]]:
    """Every file below audio/, as its path and the name of the recording it belongs to."""
    try:
        folders, _ = default_storage.listdir("audio")
    except FileNotFoundError:
        return
    for folder in sorted(folders):
        for file in sorted(default_storage.listdir(f"audio/{folder}")[1]):
            yield f"audio/{folder}/{file}", file.split(".", 1)[0]


def open_file(name: str, extension: Extension) -> IO[bytes]:
    """Raises FileNotFoundError when there is no such recording."""
    return default_storage.open(path_of(name, extension), "rb")


def size(name: str, extension: Extension) -> int:
    return default_storage.size(path_of(name, extension))


def _local(path: str) -> str | None:
    """The path on this machine, or None when the storage is elsewhere."""
    # Not by asking for `path`: Django's storage in memory has one too, where nothing is.
    return default_storage.path(path) if isinstance(default_storage, FileSystemStorage) else None
