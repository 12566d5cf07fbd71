"""Store recordings as `audio/<2 hex>/<name>.<wav|mp3>` in Django's default storage.

A name is a keyed hash of the recording's content, or of what it was made from. So the same recording is stored
once, a file never changes, and nobody can guess the address of someone else's recording.
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

NAME_LENGTH = 40  # hexadecimal digits: 160 bits
TEMPORARY_SUFFIX = ".part"


def keyed_name(*parts: object) -> str:
    """Return the name of the recording that these parts describe. `parts` must be serializable as JSON."""
    described = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return salted_hmac("telephony.speech", described, algorithm="sha256").hexdigest()[:NAME_LENGTH]


def path_of(name: str, extension: Extension) -> str:
    return f"audio/{name[:2]}/{name}.{extension}"


def exists(name: str, extension: Extension) -> bool:
    path = path_of(name, extension)
    local = _local_path(path)
    if local is None:
        return default_storage.exists(path)
    try:
        # Writes are not synced to disk, so a power failure may leave an empty file.
        return os.stat(local).st_size > 0
    except FileNotFoundError:
        return False


def is_missing_locally(name: str) -> bool:
    """Return whether a recording's file is missing from the local disk.

    Always False for remote storage: checking thousands of files there would take longer than speaking them again.
    """
    return _local_path(path_of(name, "wav")) is not None and not exists(name, "wav")


def write(name: str, extension: Extension, content: bytes) -> bool:
    """Store a file completely or not at all. Return whether the stored content is the given content.

    If several processes write the same name concurrently, the file of the first process stays, and the others get False.
    They must then measure the stored file, because two renderings of a text may differ in length.
    """
    path = path_of(name, extension)
    local = _local_path(path)
    if local is None:
        if default_storage.exists(path):
            return False
        saved = default_storage.save(path, ContentFile(content))
        # If another process has stored this name first, the storage has chosen a different name for our file.
        if saved != path:
            default_storage.delete(saved)
        return saved == path
    temporary = default_storage.path(
        default_storage.save(f"{path}.{uuid.uuid4().hex}{TEMPORARY_SUFFIX}", ContentFile(content))
    )
    try:
        if exists(name, extension):
            return False
        with suppress(FileNotFoundError):  # an empty file may exist, see `exists`
            os.unlink(local)
        os.link(temporary, local)
    except FileExistsError:
        return False
    finally:
        os.unlink(temporary)
    return True


def delete(name: str, extension: Extension) -> None:
    """Delete a file if it exists."""
    default_storage.delete(path_of(name, extension))


def list_files() -> Iterator[tuple[str, str]]:
    """Yield each file below audio/ as its path and the name of its recording."""
    try:
        folders, _ = default_storage.listdir("audio")
    except FileNotFoundError:
        return
    for folder in sorted(folders):
        for file in sorted(default_storage.listdir(f"audio/{folder}")[1]):
            yield f"audio/{folder}/{file}", file.split(".", 1)[0]


def open_file(name: str, extension: Extension) -> IO[bytes]:
    """Open a file for reading. Raises FileNotFoundError if it does not exist."""
    return default_storage.open(path_of(name, extension), "rb")


def size(name: str, extension: Extension) -> int:
    return default_storage.size(path_of(name, extension))


def _local_path(path: str) -> str | None:
    """Return the path on this machine, or None if the storage is remote."""
    # Checking for a `path` method is not enough: Django's in-memory storage has one, without files behind it.
    return default_storage.path(path) if isinstance(default_storage, FileSystemStorage) else None
