"""Storage of files on a local disk."""

import contextlib
import os
from typing import Any

from django.core.files.storage import FileSystemStorage


class MediaStorage(FileSystemStorage):
    """Like Django's file storage, but deletes a file that it could not write completely."""

    def _save(self, name: str, content: Any) -> str:
        there = self.exists(name)
        try:
            saved: str = super()._save(name, content)  # type: ignore[misc]  # missing in the stubs
        except OSError:
            if not there:
                with contextlib.suppress(OSError):
                    os.unlink(self.path(name))
            raise
        return saved
